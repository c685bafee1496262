import { setTimeout as pause } from 'node:timers/promises'
import { z } from 'zod'
import { keySet, verifyCertificate } from '../../core/certificate.ts'
import { type Client, problemOf } from '../client.ts'
import { plural, type Report, seconds } from './report.ts'
import { type Tenant, tenantOf } from './tenants.ts'

const counts = z.record(z.string(), z.number())
const erasure = z.object({
	status: z.string(),
	horizon: z.string().nullable(),
	certificate: z
		.object({ stores: z.array(z.object({ store: z.string(), found_before: counts, found_after: counts })) })
		.nullable(),
	certificate_jws: z.string().nullable(),
})
const list = z.object({ records: z.array(z.unknown()) })

const waitMsMax = 60_000

/** A tenant leaves: every store is emptied and asked again, and the operator gets a certificate that anybody can verify. */
export async function showErasure(report: Report, operator: Client, tenants: Tenant[]): Promise<void> {
	const leaving = tenantOf(tenants, 'film-archive')
	const records = [...leaving.held.values()].reduce((sum, held) => sum + held.size, 0)
	const startedAt = performance.now()
	const idempotencyKey = 'erase-film-archive'
	const asked = await operator.send('DELETE', `/v1/tenants/${leaving.id}`, { idempotencyKey })
	const { certificate, certificate_jws: jws, horizon } = await certified(operator, asked.headers.get('Location') ?? '')
	report.line(`${plural(records, 'record')} erased and certified in ${seconds(performance.now() - startedAt)}`)
	// Queues and logs cannot be asked: they never hold data, and forget by time.
	const stores = (certificate?.stores ?? []).filter(({ found_before }) => Object.keys(found_before).length > 0)
	report.table(
		['store', 'held before', 'holds now'],
		stores.map((store) => [store.store, shown(store.found_before), shown(store.found_after)]),
	)
	const left = stores.flatMap(({ found_after }) => Object.values(found_after)).filter((count) => count > 0)
	report.check('every store was asked again, and holds nothing', left, [])

	const keys = await operator.ask('GET', '/.well-known/jwks.json', keySet)
	const genuine = await verifyCertificate(jws ?? '', keys.keys)
	report.check(`the certificate is genuine; no recoverable copy exists after ${horizon}`, genuine.ok, true)
	const answer = await leaving.client.send('GET', '/v1/tenant')
	report.check('the key of the tenant is dead', [answer.status, problemOf(answer).code], [410, 'tenant_erased'])
	const view = await operator.ask('GET', `/v1/view/records?collection=films&tenant=${leaving.id}`, list)
	report.check('the view knows nothing of it', view.records, [])
}

async function certified(operator: Client, location: string): Promise<z.infer<typeof erasure>> {
	const deadline = Date.now() + waitMsMax
	for (;;) {
		const found = await operator.ask('GET', location, erasure)
		if (found.status === 'done') return found
		if (Date.now() > deadline) throw new Error(`the erasure is still ${found.status}`)
		await pause(100)
	}
}

function shown(found: Record<string, number>): string {
	const present = Object.entries(found).filter(([, count]) => count > 0)
	return present.map(([things, count]) => `${count} ${things}`).join(', ') || 'nothing'
}
