import type { InputHTMLAttributes } from 'preact'
import { useId } from 'preact/hooks'

interface FieldProps {
	label: string
	value: string
	hint?: string
	numeric?: boolean
	onWrite: (text: string) => void
}

/** One line that must be filled in; what it should hold is told after its name, not as a part of it. */
export function Field({ label, value, hint, numeric = false, onWrite }: FieldProps) {
	const id = useId()
	const kind: InputHTMLAttributes = numeric ? { inputMode: 'decimal' } : {}
	return (
		<div class="field">
			<label>
				{label}
				<input
					required
					autocomplete="off"
					value={value}
					{...kind}
					aria-describedby={hint === undefined ? undefined : id}
					onInput={({ currentTarget }) => onWrite(currentTarget.value)}
				/>
			</label>
			{hint !== undefined && (
				<p id={id} class="quiet">
					{hint}
				</p>
			)}
		</div>
	)
}
