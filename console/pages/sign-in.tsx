import { useState } from 'preact/hooks'
import { Refused } from '../api.ts'
import { enter } from '../enter.ts'
import { ProblemNote } from '../parts/problem.tsx'
import { farewell } from '../session.ts'

/** The address stays as it is, so that a link to any page works after signing in. */
export function SignInPage() {
	const [secret, setSecret] = useState('')
	const [keep, setKeep] = useState(false)
	const [failure, setFailure] = useState<Refused | null>(null)
	const [busy, setBusy] = useState(false)
	const submit = async () => {
		setBusy(true)
		setFailure(null)
		try {
			await enter(secret.trim(), keep)
		} catch (error) {
			if (!(error instanceof Refused)) throw error
			setFailure(error)
			setBusy(false)
		}
	}
	return (
		<main class="sign-in">
			<form
				onSubmit={(event) => {
					event.preventDefault()
					void submit()
				}}
			>
				<p class="brand">Freehold</p>
				<h1>Sign in</h1>
				{farewell.value !== null && <p role="status">{farewell.value}</p>}
				<label>
					Operator token
					<input
						type="password"
						autocomplete="off"
						spellcheck={false}
						required
						value={secret}
						onInput={({ currentTarget }) => setSecret(currentTarget.value)}
					/>
				</label>
				<p class="quiet">
					Scope <code>read</code> looks, <code>admin</code> also acts. On a laptop, <code>npm run dev</code> prints one.
				</p>
				<label class="check">
					<input type="checkbox" checked={keep} onChange={({ currentTarget }) => setKeep(currentTarget.checked)} />
					Keep it for this tab, until the tab is closed
				</label>
				{failure !== null && <ProblemNote failure={failure} />}
				<button type="submit" class="primary" disabled={busy}>
					Sign in
				</button>
			</form>
		</main>
	)
}
