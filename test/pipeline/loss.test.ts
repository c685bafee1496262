import { afterAll, beforeAll, expect, test } from 'vitest'
import { migrate } from '../../dev/migrate.ts'
import { type Postgres, startPostgres } from '../../dev/postgres.ts'
import { seeded } from '../shard.ts'
import {
	Client,
	createTenant,
	type TemporaryStack,
	type Tenant,
	temporaryStack,
	until,
	viewRows,
} from '../stack-client.ts'

const collection = 'entries'
/** Few, so that records are changed, deleted and made again; and all of a tenant fit into one page of a list. */
const ids = 200
const convergedMsMax = 300_000

let stack: TemporaryStack
/** The server of the stack's databases; a restart replaces it. */
let server: Postgres
let tenants: Tenant[]

beforeAll(async () => {
	stack = await temporaryStack()
	if (stack.postgres === null) throw new Error('this needs a Postgres of its own, without DATABASE_URL')
	server = stack.postgres
	tenants = await Promise.all(['global', 'eu', 'eu'].map((region) => createTenant(stack, region)))
	for (const { client } of tenants) await client.ok('PUT', `/v1/collections/${collection}`, { schema: {} })
})
afterAll(async () => {
	await server?.stop()
	await stack?.remove()
})

test('[V1] while Postgres is down every write is taken, and when it is back the view catches up', async () => {
	const { port } = server
	const writers = startWriters()
	await writers.write(50)
	await server.stop()
	await writers.write(300)
	server = await startPostgres({ dataDir: stack.dataDir, databases: [], port, log: () => {} })
	await writers.stop()
	for (const tenant of tenants) await expectEqual(tenant)
})

test('[V1] [V2] a lost view is rebuilt from the shards', async () => {
	await loseView()
	await rebuild()
	for (const tenant of tenants) await expectEqual(tenant)
})

test('[V1] [V2] a lost view is rebuilt while writes go on', async () => {
	const writers = startWriters()
	await writers.write(50)
	await loseView()
	await writers.write(50)
	await rebuild()
	await writers.stop()
	for (const tenant of tenants) await expectEqual(tenant)
})

/** Every region's database as it was made: without a table, and then with empty ones. */
async function loseView(): Promise<void> {
	for (const [region, { write }] of Object.entries(stack.databases)) {
		await viewRows(stack, region, 'DROP SCHEMA public CASCADE')
		await viewRows(stack, region, 'CREATE SCHEMA public')
		await migrate(write)
	}
}

/** Asks for everything to be read anew, and waits until it says that it was. */
async function rebuild(): Promise<void> {
	const operator = new Client(stack.url, stack.operatorToken)
	const { headers } = await operator.ok('POST', '/v1/view/rebuild', {})
	const location = headers.get('location') ?? ''
	const done = async () => {
		const { status, body } = await operator.send('GET', location)
		return status === 200 && body.state === 'done'
	}
	await until('the rebuild to be done', done, convergedMsMax)
}

/** One writer for each tenant: puts and deletes, none of which may be refused. */
function startWriters() {
	const seed = Number(process.env.SEED ?? Date.now() % 1_000_000)
	console.log(`seed ${seed}`)
	const random = seeded(seed)
	let written = 0
	let stopped = false
	const work = async ({ client }: Tenant) => {
		while (!stopped) {
			const path = `/v1/collections/${collection}/records/r${Math.floor(random() * ids)}`
			const deletes = random() < 0.3
			const { status, text } = await client.send(deletes ? 'DELETE' : 'PUT', path, deletes ? undefined : { n: written })
			const isTaken = deletes ? status === 204 || status === 404 : status === 200 || status === 201
			if (!isTaken) throw new Error(`a write was answered with ${status}: ${text}`)
			written += 1
		}
	}
	const running = Promise.all(tenants.map(work))
	return {
		/** Waits for so many writes more. */
		write: async (count: number) => {
			const end = written + count
			await Promise.race([running, until('writes', async () => written >= end, 120_000)])
		},
		stop: async () => {
			stopped = true
			await running
		},
	}
}

/** Waits until the view calls itself exact at the shard's position, and compares every record. */
async function expectEqual({ id, region, client }: Tenant): Promise<void> {
	const { body: tenant } = await client.ok('GET', '/v1/tenant')
	const arrived = async () => {
		const [row] = await viewRows(stack, region, 'SELECT applied_seq, exact FROM view_freshness WHERE tenant_id = $1', [
			id,
		])
		return row?.exact === true && Number(row.applied_seq) >= tenant.usage.position
	}
	await until(`the view of ${id}`, arrived, convergedMsMax)
	const { body: list } = await client.ok('GET', `/v1/collections/${collection}/records?limit=1000&order=id.asc`)
	const shown = await viewRows(
		stack,
		region,
		'SELECT id, version, data FROM record WHERE tenant_id = $1 AND collection = $2 ORDER BY id COLLATE "C"',
		[id, collection],
	)
	expect(shown).toEqual(list.records.map(({ id, version, data }: Record<string, unknown>) => ({ id, version, data })))
	expect(shown.length).toBeGreaterThan(0)
}
