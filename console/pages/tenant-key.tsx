import { Dialog } from '../parts/act.tsx'
import type { CreatedTenant } from '../shapes.ts'
import { copy } from '../toast.ts'

/** The only time that the secret can be seen. */
export function FirstKey({ created, onClose }: { created: CreatedTenant; onClose: () => void }) {
	const { secret } = created.api_key
	const command = `curl '${location.origin}/v1/tenant' -H 'Authorization: Bearer ${secret}'`
	return (
		<Dialog title={`${created.slug} is there`} onClose={onClose}>
			<p>This is its first API key, with every scope. It is shown now and never again.</p>
			<pre class="secret">{secret}</pre>
			<div class="actions">
				<button type="button" class="primary" onClick={() => copy(secret, 'the key')}>
					Copy the key
				</button>
			</div>
			<h3>A first call</h3>
			<pre>{command}</pre>
			<div class="actions">
				<button type="button" onClick={() => copy(command, 'the command')}>
					Copy the command
				</button>
				<a href={`/console/tenants/${created.id}`}>Open {created.slug}</a>
			</div>
		</Dialog>
	)
}
