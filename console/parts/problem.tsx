import type { Refused } from '../api.ts'

/** What a person can do about a refusal; the request id is what the log is searched by. */
export function ProblemNote({ failure, again }: { failure: Refused; again?: () => void }) {
	return (
		<div class="problem" role="alert">
			<p>
				<strong>{failure.message}</strong>
			</p>
			{failure.faults.length > 0 && (
				<ul>
					{failure.faults.map(({ pointer, detail }) => (
						<li key={pointer}>
							<code>{pointer === '' ? 'body' : pointer}</code> {detail}
						</li>
					))}
				</ul>
			)}
			<p class="quiet">
				<code>{failure.code}</code>
				{failure.requestId !== null && (
					<>
						{' · request '}
						<code>{failure.requestId}</code>
					</>
				)}
			</p>
			{again && (
				<button type="button" onClick={again}>
					Try again
				</button>
			)}
		</div>
	)
}
