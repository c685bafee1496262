import { useState } from 'preact/hooks'
import { Refused } from '../api.ts'
import { say } from '../toast.ts'

interface ActProps {
	verb: string
	/** What a screen reader says, where many buttons have the same verb. */
	label?: string
	act: () => Promise<void>
}

/** A button for what can be undone or repeated; a refusal is told in a sentence. */
export function Act({ verb, label, act }: ActProps) {
	const [busy, setBusy] = useState(false)
	const run = async () => {
		setBusy(true)
		try {
			await act()
		} catch (error) {
			if (!(error instanceof Refused)) throw error
			say(`${error.message} (${error.code}${error.requestId === null ? '' : `, request ${error.requestId}`})`)
		} finally {
			setBusy(false)
		}
	}
	return (
		<button type="button" aria-label={label} disabled={busy} onClick={() => void run()}>
			{verb}
		</button>
	)
}
