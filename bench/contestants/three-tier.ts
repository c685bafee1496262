import cluster, { type Worker } from 'node:cluster'
import { createHash, randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { freePort } from '../../dev/port.ts'
import { startPostgres } from '../../dev/postgres.ts'
import { once, requestText } from '../load.ts'
import { collection, indexedCollection, indexedSchema, schema } from '../records.ts'
import type { Address, Client, Contestant, Served, Tenant } from './contestant.ts'
import { freehold } from './freehold.ts'

/** Half of the cores for the application, half for Postgres: on two cores, two processes were slower than one. */
const processes = Math.max(1, Math.floor(availableParallelism() / 2))

const peersDir = join(import.meta.dirname, '..', 'peers')

/** The same API on Hono, Node and one Postgres with row-level security. */
export const threeTier: Contestant = { serve, client }

async function serve(dataDir: string): Promise<Served> {
	const postgres = await startPostgres({ dataDir, databases: ['three_tier'], log: () => {} })
	const database = postgres.url('three_tier')
	await query(database, async (db) => db.query(readFileSync(join(peersDir, 'three-tier.sql'), 'utf8')))
	const port = await freePort()
	cluster.setupPrimary({ exec: join(peersDir, 'three-tier.ts') })
	const workers = Array.from({ length: processes }, () => cluster.fork({ DATABASE_URL: database, PORT: port }))
	await Promise.all(workers.map(serving))
	const stop = async () => {
		// First the application: one that loses its database under way complains about it.
		await Promise.all(workers.map(ended))
		await postgres.stop()
	}
	return { port, secret: null, database, endpoint: null, inspectorPort: null, stop }
}

function ended(worker: Worker): Promise<void> {
	return new Promise((resolve) => {
		if (worker.isDead()) resolve()
		worker.once('exit', () => resolve())
		worker.kill()
	})
}

function serving(worker: Worker): Promise<void> {
	return new Promise((resolve, reject) => {
		worker.once('message', () => resolve())
		worker.once('exit', (code) => reject(new Error(`the three-tier peer ended with code ${code}`)))
	})
}

/** Its requests are Freehold's own; only the way in which a tenant is made differs. */
function client(address: Address): Client {
	const { database, port } = address
	if (database === null) throw new Error('the three-tier peer has a database')
	return {
		...freehold.client(address),
		provision: (count) =>
			query(database, async (db) => {
				const tenants: Tenant[] = []
				for (let place = 0; place < count; place++) {
					const id = `t-${randomBytes(8).toString('hex')}`
					const secret = randomBytes(20).toString('hex')
					const hash = createHash('sha256').update(secret).digest('base64url')
					await db.query('INSERT INTO tenant (id) VALUES ($1)', [id])
					await db.query('INSERT INTO api_key VALUES ($1, $2, $3, $4)', [
						`k-${id}`,
						id,
						hash,
						['read', 'write', 'schema'],
					])
					const credential = `k-${id}.${secret}`
					await putSchema(port, credential, collection, schema)
					await putSchema(port, credential, indexedCollection, indexedSchema)
					tenants.push({ id, credential })
				}
				return tenants
			}),
	}
}

async function putSchema(port: number, credential: string, name: string, rules: object): Promise<void> {
	const line = `PUT /v1/collections/${name}`
	const { status } = await once(
		port,
		requestText(line, [`Authorization: Bearer ${credential}`], JSON.stringify({ schema: rules })),
	)
	if (status !== 201) throw new Error(`${line} was answered with ${status}`)
}

async function query<T>(database: string, work: (db: pg.Client) => Promise<T>): Promise<T> {
	const db = new pg.Client({ connectionString: database })
	await db.connect()
	try {
		return await work(db)
	} finally {
		await db.end()
	}
}
