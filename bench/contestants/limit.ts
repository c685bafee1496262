import { readFileSync } from 'node:fs'
import { stripTypeScriptTypes } from 'node:module'
import { join } from 'node:path'
import { convertV4MiniflareOptions, Miniflare } from 'miniflare'
import { freePort } from '../../dev/port.ts'
import { once, requestText } from '../load.ts'
import type { Address, Client, Contestant, Served, ServeOptions } from './contestant.ts'

/** A bare Worker and object: nothing that does what Freehold does on this runtime can be faster. */
export const limit: Contestant = { serve, client: (address) => client(address, 'create') }

/** The same server, asked to group the writes of one turn into one transaction. */
export const groupedLimit: Contestant = { serve, client: (address) => client(address, 'grouped') }

async function serve(dataDir: string, { keepsObjects = false }: ServeOptions): Promise<Served> {
	const port = await freePort()
	const source = readFileSync(join(import.meta.dirname, '..', 'limit-worker.ts'), 'utf8')
	const worker = {
		name: 'limit',
		modules: [{ type: 'ESModule' as const, path: 'limit-worker.js', contents: stripTypeScriptTypes(source) }],
		compatibilityDate: '2026-11-01',
		durableObjects: { LIMIT: { className: 'Limit', useSQLite: true, unsafePreventEviction: keepsObjects } },
		unsafeDirectSockets: [{ host: '127.0.0.1', port }],
	}
	const place = { host: '127.0.0.1', port: 0, cf: false as const, logRequests: false, telemetry: { enabled: false } }
	const miniflare = new Miniflare(
		convertV4MiniflareOptions({ workers: [worker], ...place, resourcePersistencePath: join(dataDir, 'v3') }),
	)
	await miniflare.ready
	const nothing = { secret: null, database: null, endpoint: null, inspectorPort: null }
	return { port, ...nothing, stop: () => miniflare.dispose() }
}

function client({ port }: Address, write: 'create' | 'grouped'): Client {
	return {
		provision: async (count) =>
			Array.from({ length: count }, (_, place) => ({ id: `${write}-${place}`, credential: '' })),
		seed: async (tenant, _collection, records) =>
			(await once(port, requestText(`POST /${tenant.id}/many`, [], records.join('\n')))).body.split('\n'),
		create: (tenant, _collection, record) => requestText(`POST /${tenant.id}/${write}`, [], record),
		read: (tenant, _collection, id) => requestText(`GET /${tenant.id}/${id}`, [], null),
	}
}
