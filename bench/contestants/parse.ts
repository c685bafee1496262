import cluster, { type Worker } from 'node:cluster'
import { randomBytes, randomUUID } from 'node:crypto'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { freePort } from '../../dev/port.ts'
import { startPostgres } from '../../dev/postgres.ts'
import { once, requestText } from '../load.ts'
import { collection, indexedCollection } from '../records.ts'
import type { Address, Client, Contestant, Served, Tenant } from './contestant.ts'

/** Half of the cores for the application, half for Postgres. */
const processes = Math.max(1, Math.floor(availableParallelism() / 2))

/** A well-known product of the same kind on the same Postgres. */
export const parse: Contestant = { serve, client }

async function serve(dataDir: string): Promise<Served> {
	const postgres = await startPostgres({ dataDir, databases: ['parse'], log: () => {} })
	const database = postgres.url('parse')
	const port = await freePort()
	cluster.setupPrimary({ exec: join(import.meta.dirname, '..', 'peers', 'parse.ts') })
	const secret = randomBytes(20).toString('hex')
	const workers: Worker[] = []
	// One after the other, because the first makes the tables.
	for (let place = 0; place < processes; place++) {
		// Its logger makes a folder before it reads any option, and only the environment is earlier.
		const logs = { PARSE_SERVER_LOGS_FOLDER: tmpdir() }
		const worker = cluster.fork({ DATABASE_URL: database, PORT: port, MASTER_KEY: secret, ...logs })
		workers.push(worker)
		await serving(worker)
	}
	await createIndexes(database)
	const stop = async () => {
		// First the application: one that loses its database under way complains about it.
		await Promise.all(workers.map(ended))
		await postgres.stop()
	}
	return { port, secret, database, endpoint: null, inspectorPort: null, stop }
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
		worker.on('message', (message) => message === 'serving' && resolve())
		worker.once('exit', (code) => reject(new Error(`Parse Server ended with code ${code}`)))
	})
}

async function createIndexes(database: string): Promise<void> {
	const db = new pg.Client({ connectionString: database })
	await db.connect()
	try {
		for (const name of [collection, indexedCollection])
			await db.query(`CREATE UNIQUE INDEX ON "${name}" (tenant, email)`)
		await db.query(`CREATE INDEX ON "${indexedCollection}" (tenant, team, "objectId")`)
	} finally {
		await db.end()
	}
}

function client({ port }: Address): Client {
	const headers = ({ credential }: Tenant) => ['X-Parse-Application-Id: bench', `X-Parse-Session-Token: ${credential}`]
	const batch = (tenant: Tenant, name: string, records: readonly string[]) => {
		const requests = records.map((record) => `{"method":"POST","path":"/parse/classes/${name}","body":${record}}`)
		return requestText('POST /parse/batch', headers(tenant), `{"transaction":true,"requests":[${requests.join(',')}]}`)
	}
	return {
		provision: async (count) => {
			const tenants: Tenant[] = []
			for (let place = 0; place < count; place++) {
				// A user without a password: hashing one takes a third of a second and is no part of what is measured.
				const body = JSON.stringify({ authData: { anonymous: { id: randomUUID() } } })
				const made = await once(port, requestText('POST /parse/users', ['X-Parse-Application-Id: bench'], body))
				if (made.status !== 201) throw new Error(`a user was refused with ${made.status}: ${made.body.slice(0, 300)}`)
				const { objectId, sessionToken } = JSON.parse(made.body) as { objectId: string; sessionToken: string }
				tenants.push({ id: objectId, credential: sessionToken })
			}
			return tenants
		},
		seed: async (tenant, name, records) => {
			const { status, body } = await once(port, batch(tenant, name, records))
			if (status !== 200) throw new Error(`a batch was refused with ${status}: ${body.slice(0, 300)}`)
			return (JSON.parse(body) as { success: { objectId: string } }[]).map(({ success }) => success.objectId)
		},
		create: (tenant, name, record) => requestText(`POST /parse/classes/${name}`, headers(tenant), record),
		read: (tenant, name, id) => requestText(`GET /parse/classes/${name}/${id}`, headers(tenant), null),
		list: (tenant, name, team, limit) => {
			const where = encodeURIComponent(JSON.stringify({ tenant: tenant.id, team }))
			return requestText(
				`GET /parse/classes/${name}?where=${where}&limit=${limit}&order=objectId`,
				headers(tenant),
				null,
			)
		},
		batch,
	}
}
