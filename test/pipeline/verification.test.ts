import { afterAll, beforeAll, expect, test } from 'vitest'
import {
	Client,
	createTenant,
	type TemporaryStack,
	type Tenant,
	temporaryStack,
	until,
	viewRows,
} from '../stack-client.ts'

let stack: TemporaryStack
let operator: Client

beforeAll(async () => {
	stack = await temporaryStack({ cronMs: 1_000 })
	operator = new Client(stack.url, stack.operatorToken)
})
afterAll(() => stack?.remove())

const patience = 90_000

/** A tenant with three records, whose view is known to be equal. */
async function verifiedTenant(): Promise<Tenant> {
	const tenant = await createTenant(stack, 'global')
	await tenant.client.ok('PUT', '/v1/collections/people', { schema: { properties: { name: { 'x-personal': true } } } })
	for (const id of ['a', 'b', 'c'])
		await tenant.client.ok('PUT', `/v1/collections/people/records/${id}`, { name: id, n: 1e21, text: 'é\n' })
	await tenant.client.ok('PUT', '/v1/collections/people/records/b', { name: 'b', n: 2 })
	await until('the first comparison', async () => (await told(tenant)).equal === 1, patience)
	return tenant
}

async function told({ id }: Tenant) {
	return (await operator.ok('GET', `/v1/view/verification?tenant=${id}`)).body
}

const rows = (tenant: Tenant) =>
	viewRows(
		stack,
		'global',
		'SELECT collection, id, version, data, created_at, updated_at FROM record WHERE tenant_id = $1 ORDER BY collection, id',
		[tenant.id],
	)

const added = `INSERT INTO record SELECT tenant_id, collection, 'x', 1, data, created_at, updated_at
	FROM record WHERE tenant_id = $1 AND id = 'a'`
const corruptions = {
	'a row is gone': `DELETE FROM record WHERE tenant_id = $1 AND id = 'a'`,
	'a value is another': `UPDATE record SET data = '{"n": 7}' WHERE tenant_id = $1 AND id = 'a'`,
	'an old version is back': `UPDATE record SET version = 1 WHERE tenant_id = $1 AND id = 'b'`,
	'a row is there that no shard has': added,
	'a row has changed places': `UPDATE record SET collection = 'others' WHERE tenant_id = $1 AND id = 'c'`,
}

for (const [name, corruption] of Object.entries(corruptions))
	test(`[V2] ${name}: the sweep finds it, the shard is read anew, and the next comparison is equal`, async () => {
		const tenant = await verifiedTenant()
		const before = await rows(tenant)
		await viewRows(stack, 'global', corruption, [tenant.id])
		const after = await until(
			'a repair',
			async () => {
				const body = await told(tenant)
				return body.repairs === 1 && body.equal === 1 && body
			},
			patience,
		)
		expect(after).toMatchObject({ checked: 1, differing: 0, unknown: 0, regions: [{ region: 'global', shards: [] }] })
		expect(await rows(tenant)).toEqual(before)
	})

test('a shard that differs again within the hour is reported and not read anew', async () => {
	const tenant = await verifiedTenant()
	await viewRows(stack, 'global', added, [tenant.id])
	const repaired = async () => {
		// Of one answer: between two, the difference may only just have been found.
		const body = await told(tenant)
		return body.equal === 1 && body.repairs === 1
	}
	await until('a repair', repaired, patience)
	const { position } = (await tenant.client.ok('GET', '/v1/tenant')).body.usage
	await viewRows(stack, 'global', added, [tenant.id])
	const found = await until(
		'the second difference',
		async () => {
			const body = await told(tenant)
			return body.differing === 1 && body
		},
		patience,
	)
	await until(
		'two more comparisons',
		async () => (await told(tenant)).newest_check_at > found.newest_check_at,
		patience,
	)
	expect(await told(tenant)).toMatchObject({
		...{ equal: 0, differing: 1, repairs: 1 },
		regions: [{ shards: [{ tenant: tenant.id, shard: 0, repairs: 1 }] }],
	})
	expect((await tenant.client.ok('GET', '/v1/tenant')).body.usage.position).toBe(position)
	expect((await rows(tenant)).map(({ id }) => id)).toEqual(['a', 'b', 'c', 'x'])
	await expectNamed(tenant)
})

/** Of a tenant whose view has one record too many and is not read anew any more: its deep comparison, at rest and during writes. */
async function expectNamed({ id, client }: Tenant): Promise<void> {
	const compared = async () => {
		const { status, body } = await operator.send('GET', `/v1/view/verification?tenant=${id}&deep=true`)
		return status === 200 && body.deep
	}
	const named = (id: string) => [{ collection: 'people', id }]
	const nothing = { missing: [], extra: [], different: [], undecided: [], done: true }
	expect(await until('a comparison', compared, patience)).toMatchObject({ ...nothing, extra: named('x'), records: 3 })
	await viewRows(stack, 'global', corruptions['a row is gone'], [id])
	await viewRows(stack, 'global', corruptions['an old version is back'], [id])
	const writing = { on: true }
	const written = (async () => {
		for (let n = 0; writing.on; n++) await client.ok('PUT', `/v1/collections/people/records/w${n % 7}`, { n })
	})()
	for (let times = 0; times < 3; times++) {
		const { missing, extra, different } = await until('a comparison during writes', compared, patience)
		expect({ missing, extra, different }).toEqual({ missing: named('a'), extra: named('x'), different: named('b') })
	}
	writing.on = false
	await written
}

test('rows of a tenant that nobody has go, and one that the view has lost sight of is met again', async () => {
	const lost = await verifiedTenant()
	const stranger = `${lost.id.slice(0, -4)}zzzz`
	const before = await rows(lost)
	await viewRows(stack, 'global', added.replace('SELECT tenant_id', `SELECT '${stranger}'`), [lost.id])
	await viewRows(stack, 'global', `UPDATE record SET data = '{}' WHERE tenant_id = $1`, [lost.id])
	await viewRows(stack, 'global', 'DELETE FROM shard WHERE tenant_id = $1', [lost.id])
	await until(
		'the stranger to go',
		async () => (await viewRows(stack, 'global', 'SELECT 1 FROM record WHERE tenant_id = $1', [stranger])).length === 0,
		patience,
	)
	await until('the lost one to be met', async () => (await told(lost)).equal === 1, patience)
	expect(await rows(lost)).toEqual(before)
})

test('a digest that is computed anew, which announces nothing, is asked for', async () => {
	const tenant = await verifiedTenant()
	await tenant.client.ok('PUT', '/v1/collections/people', {
		schema: { properties: { name: {}, n: { 'x-personal': true } } },
	})
	await viewRows(stack, 'global', 'UPDATE shard SET checksum_seq = NULL WHERE tenant_id = $1', [tenant.id])
	const before = (await told(tenant)).newest_check_at
	await until('another comparison', async () => (await told(tenant)).newest_check_at > before, patience)
	expect(await told(tenant)).toMatchObject({ equal: 1, differing: 0, repairs: 0 })
})
