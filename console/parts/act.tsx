import type { ComponentChildren } from 'preact'
import { useEffect, useRef, useState } from 'preact/hooks'
import { Refused } from '../api.ts'
import { Field } from './field.tsx'
import { ProblemNote } from './problem.tsx'

interface DialogProps {
	title: string
	onClose: () => void
	children: ComponentChildren
}

/** The platform's own dialog: it keeps the focus inside, and Escape closes it. */
export function Dialog({ title, onClose, children }: DialogProps) {
	const dialog = useRef<HTMLDialogElement>(null)
	useEffect(() => {
		dialog.current?.showModal()
	}, [])
	return (
		<dialog ref={dialog} aria-label={title} onClose={onClose}>
			<header class="dialog">
				<h2>{title}</h2>
				<button type="button" onClick={() => dialog.current?.close()}>
					Close
				</button>
			</header>
			{children}
		</dialog>
	)
}

interface ActionProps {
	title: string
	/** On the button that does it. */
	verb: string
	danger?: boolean
	/** @throws Refused, which is shown and leaves the dialog open */
	act: () => Promise<void>
	onClose: () => void
	/** What must be typed before it can be done, for what cannot be undone. */
	typed?: string
	children?: ComponentChildren
}

/** A dialog with one thing to do. */
export function Action({ title, verb, danger = false, act, onClose, typed, children }: ActionProps) {
	const [failure, setFailure] = useState<Refused | null>(null)
	const [busy, setBusy] = useState(false)
	const [written, setWritten] = useState('')
	const submit = async () => {
		setBusy(true)
		setFailure(null)
		try {
			await act()
		} catch (error) {
			if (!(error instanceof Refused)) throw error
			setFailure(error)
			setBusy(false)
		}
	}
	return (
		<Dialog title={title} onClose={onClose}>
			<form
				onSubmit={(event) => {
					event.preventDefault()
					void submit()
				}}
			>
				{children}
				{typed !== undefined && <Field label={`Type ${typed} to confirm`} value={written} onWrite={setWritten} />}
				{failure !== null && <ProblemNote failure={failure} />}
				<button
					type="submit"
					class={danger ? 'danger' : 'primary'}
					disabled={busy || (typed !== undefined && written !== typed)}
				>
					{verb}
				</button>
			</form>
		</Dialog>
	)
}
