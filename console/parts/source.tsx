import { copy } from '../toast.ts'

/** The call behind a number; a click copies it as a command. */
export function Source({ path, method = 'GET' }: { path: string; method?: string }) {
	const command = `curl${method === 'GET' ? '' : ` -X ${method}`} -H "Authorization: Bearer $OPERATOR_TOKEN" '${location.origin}${path}'`
	return (
		<button type="button" class="source" title="Copy as curl" onClick={() => copy(command, 'the command')}>
			<span class="method">{method}</span> {path}
		</button>
	)
}
