/** What a shard promises, each promise put to the test through the API. */
import { z } from 'zod'
import { type Answer, Client, problemOf } from '../client.ts'
import { deleteAll } from './load.ts'
import { plural, type Report } from './report.ts'
import type { Data, SourceRecord } from './sources.ts'
import { heldIn, notePosition, type Tenant, tenantOf } from './tenants.ts'

/** Two requests that would break a unique constraint, and a tenant that would take another's name. */
export async function showUniqueness(report: Report, operator: Client, tenants: Tenant[]): Promise<void> {
	const europe = tenantOf(tenants, 'atlas-europe')
	const austria = heldIn(europe, 'countries').get('AUT') ?? {}
	const post = (data: Data, idempotencyKey: string) =>
		europe.client.send('POST', '/v1/collections/countries/records', { body: data, idempotencyKey })
	const sameCode = await post({ ...austria, name: 'Another Austria' }, 'same-code')
	report.check('a second country with the code AT: 409 unique_violation on countries.code', refusalOf(sameCode), [
		409,
		'unique_violation',
		'countries.code',
	])
	const sameName = await post({ ...austria, code: 'ZZ', name: 'AUSTRIA' }, 'same-name')
	report.check(
		'"AUSTRIA" beside "Austria" (x-unique: "ci"): 409 unique_violation on countries.name',
		refusalOf(sameName),
		[409, 'unique_violation', 'countries.name'],
	)
	const body = { slug: 'atlas-asia', name: 'Another Atlas', region: 'eu' }
	const sameSlug = await operator.send('POST', '/v1/tenants', { body, idempotencyKey: 'provision-again' })
	report.check('the slug of a tenant in global, asked for in eu: 409 slug_taken', refusalOf(sameSlug), [
		409,
		'slug_taken',
		undefined,
	])
}

/** A create that is repeated, then two changes that know the same version. `city` is one that was held back from the load. */
export async function showRetries(report: Report, tenants: Tenant[], city: SourceRecord): Promise<void> {
	const europe = tenantOf(tenants, 'atlas-europe')
	const path = `/v1/collections/cities/records/${city.id}`
	const create = { body: city.data, headers: { 'If-None-Match': '*' } }
	const idempotencyKey = 'create-vienna'

	const before = await countOf(europe, 'cities')
	const first = await europe.client.send('PUT', path, { ...create, idempotencyKey })
	report.check(
		`a city is created: 201, version 1, ETag ${first.headers.get('ETag')}`,
		[first.status, versionOf(first)],
		[201, 1],
	)
	const again = await europe.client.send('PUT', path, { ...create, idempotencyKey })
	report.check(
		'the same request again, as after a lost answer: the same bytes, Idempotency-Replayed: true',
		[again.status, again.text, again.headers.get('ETag'), again.headers.get('Idempotency-Replayed')],
		[201, first.text, first.headers.get('ETag'), 'true'],
	)
	report.check('and there is one city more, not two', await countOf(europe, 'cities'), before + 1)
	const other = await europe.client.send('PUT', path, create)
	report.check(
		'without the key it is another request, and If-None-Match: * refuses it: 412',
		refusalOf(other).slice(0, 2),
		[412, 'precondition_failed'],
	)
	notePosition(europe, first)
	heldIn(europe, 'cities').set(String(city.id), city.data)

	const known = { 'If-Match': first.headers.get('ETag') ?? '', 'Content-Type': 'application/merge-patch+json' }
	const patch = { other_name: 'Wien' }
	const changed = await europe.client.send('PATCH', path, {
		body: patch,
		headers: known,
		idempotencyKey: 'name-vienna',
	})
	report.check(
		`If-Match with that ETag: 200, version 2, ETag ${changed.headers.get('ETag')}`,
		[changed.status, versionOf(changed)],
		[200, 2],
	)
	notePosition(europe, changed)
	heldIn(europe, 'cities').set(String(city.id), { ...city.data, ...patch })
	const stale = await europe.client.send('PATCH', path, {
		body: { other_name: 'Vindobona' },
		headers: known,
		idempotencyKey: 'rename-vienna',
	})
	report.check('a second change that knows the old version only: 412', refusalOf(stale).slice(0, 2), [
		412,
		'precondition_failed',
	])
}

/** A key that nobody minted, and a key that asks for what is another tenant's. */
export async function showIsolation(report: Report, url: string, tenants: Tenant[]): Promise<void> {
	const asia = tenantOf(tenants, 'atlas-asia')
	const madeUpKey = `fhk_${asia.id}_${'0'.repeat(26)}_${'0'.repeat(32)}_${'0'.repeat(26)}`
	const made = await new Client(url, madeUpKey).send('GET', '/v1/tenant')
	report.check('a made-up key of the right form: 401, refused at the edge', refusalOf(made).slice(0, 2), [
		401,
		'unauthorized',
	])
	const { client } = asia
	const record = await client.send('GET', '/v1/collections/cities/records/2761369')
	report.check("Asia's key asks for a city of Europe by its id: 404", refusalOf(record).slice(0, 2), [404, 'not_found'])
	const collection = await client.send('GET', '/v1/collections/films')
	report.check("Asia's key asks for a collection of the film archive: 404", refusalOf(collection).slice(0, 2), [
		404,
		'not_found',
	])
	const list = await client.ask(
		'GET',
		'/v1/collections/cities/records?country=eq.AT',
		z.object({ records: z.array(z.unknown()) }),
	)
	report.check("Asia's key lists the cities of Austria: none", list.records, [])
}

/** The source counts city districts as cities too; every atlas removes its own, each in one transaction. */
export async function removeDistricts(report: Report, tenants: Tenant[]): Promise<void> {
	const atlases = tenants.filter(({ held }) => held.has('cities'))
	let removed = 0
	for (const atlas of atlases) {
		const districts = [...heldIn(atlas, 'cities')].filter(([, { feature }]) => feature === 'PPLX').map(([id]) => id)
		const before = await countOf(atlas, 'cities')
		await deleteAll(atlas, 'cities', districts)
		const after = await countOf(atlas, 'cities')
		if (before - after !== districts.length)
			report.check(`${atlas.dataset.slug} has its districts removed`, before - after, districts.length)
		removed += districts.length
	}
	report.line(
		`${plural(removed, 'district')} that the source counts as cities removed, one batch for each of ${plural(atlases.length, 'tenant')}`,
	)
}

async function countOf(tenant: Tenant, collection: string): Promise<number> {
	const { records } = await tenant.client.ask('GET', `/v1/collections/${collection}`, z.object({ records: z.int() }))
	return records
}

function versionOf({ status, text }: Answer): number {
	return status < 300 ? z.object({ version: z.int() }).parse(JSON.parse(text)).version : 0
}

/** Status, code, and the constraint where one is named. */
function refusalOf(answer: Answer): [number, string, string | undefined] {
	const { code, constraint } = problemOf(answer)
	return [answer.status, code, constraint]
}
