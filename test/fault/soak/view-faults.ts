/** What can happen on the way to the view: the network, the Neon endpoint, Postgres, and its single sessions. */
import { setTimeout as pause } from 'node:timers/promises'
import pg from 'pg'
import type { Fault as EndpointFault } from '../../../dev/neon-endpoint.ts'
import { type Postgres, startPostgres } from '../../../dev/postgres.ts'
import type { Stack } from '../../../dev/stack.ts'
import type { ProxyFault, TcpProxy } from '../../../dev/tcp-proxy.ts'
import { Client } from '../../stack-client.ts'
import type { Fault, Random } from './nemesis.ts'
import { send } from './worker-faults.ts'

/** How long a session of the Worker is given to be caught in the middle of a statement. */
const catchMsMax = 5_000

export interface ViewTarget {
	stack: Stack
	proxy: TcpProxy
	/** The server that runs now; a restart replaces it. */
	postgres: Postgres
}

export function viewFaults(target: ViewTarget): Fault[] {
	return [
		network(target, 'network slow', (random) => ({ kind: 'slow', ms: 50 + random() * 400 })),
		network(target, 'network refusing', () => ({ kind: 'refusing' })),
		network(target, 'network frozen', () => ({ kind: 'frozen' })),
		network(target, 'reply cut', (random) => ({ kind: 'cut', afterBytes: 1 + Math.floor(random() * 200) })),
		endpoint(target, 'endpoint 429', { kind: 'status', status: 429 }),
		endpoint(target, 'endpoint 500', { kind: 'status', status: 500 }),
		endpoint(target, 'endpoint silent after execution', { kind: 'timeout_after_execution' }),
		endpoint(target, 'endpoint cold', { kind: 'slow', ms: 5_000 }),
		{ name: 'postgres stopped', run: (random) => restart(target, () => target.postgres.stop(), random) },
		{ name: 'postgres killed', run: (random) => restart(target, () => target.postgres.kill(), random) },
		{ name: 'session frozen', times: 2, run: (random) => freezeSessions(target, random) },
		{ name: 'rebuild', run: () => rebuild(target) },
	]
}

function network({ proxy }: ViewTarget, name: string, fault: (random: Random) => ProxyFault): Fault {
	return {
		name,
		run: async (random) => {
			proxy.fault(fault(random))
			await pause(500 + random() * 2_500)
			proxy.fault(null)
			return true
		},
	}
}

function endpoint({ stack }: ViewTarget, name: string, fault: EndpointFault): Fault {
	return {
		name,
		run: async (random) => {
			stack.endpoint?.fault(fault)
			await pause(500 + random() * 2_500)
			stack.endpoint?.fault(null)
			return true
		},
	}
}

async function restart(target: ViewTarget, end: () => Promise<void>, random: Random): Promise<boolean> {
	const { dataDir } = target.stack
	const { port } = target.postgres
	await end()
	await pause(random() * 2_000)
	target.postgres = await startPostgres({ dataDir, databases: [], port, log: () => {} })
	return true
}

/**
 * Stops the server's processes of the Worker's sessions in the middle of a statement, best in its commit: the consumer hears
 * nothing, and what it asked for is done after it has given up, when another may have been faster.
 */
async function freezeSessions({ stack }: ViewTarget, random: Random): Promise<boolean> {
	const frozen = await catchSessions(Object.values(stack.databases).map(({ write }) => write))
	// Now and then longer than the consumer waits for an answer.
	await pause(random() < 0.2 ? 16_000 : 500 + random() * 3_000)
	for (const pid of frozen) send(pid, 'SIGCONT')
	return frozen.length > 0
}

async function catchSessions(databases: string[]): Promise<number[]> {
	const deadline = Date.now() + catchMsMax
	const sessions = await Promise.all(databases.map(connect))
	try {
		for (;;) {
			const found = (await Promise.all(sessions.map(activeSessions))).flat()
			if (found.length > 0 || Date.now() > deadline) {
				for (const pid of found) send(pid, 'SIGSTOP')
				return found
			}
		}
	} finally {
		await Promise.all(sessions.map((session) => session.end()))
	}
}

/** Nothing breaks: everything is read anew while the other faults go on. False when the Worker was down and did not hear it. */
async function rebuild({ stack }: ViewTarget): Promise<boolean> {
	const operator = new Client(stack.url, stack.operatorToken)
	try {
		return (await operator.send('POST', '/v1/view/rebuild', {})).status === 202
	} catch {
		return false
	}
}

async function connect(connectionString: string): Promise<pg.Client> {
	const client = new pg.Client({ connectionString })
	client.on('error', () => {})
	await client.connect()
	return client
}

async function activeSessions(session: pg.Client): Promise<number[]> {
	const { rows } = await session.query<{ pid: number }>(
		`SELECT pid FROM pg_stat_activity
		WHERE datname = current_database() AND usename = current_user AND state = 'active' AND pid <> pg_backend_pid()`,
	)
	return rows.map(({ pid }) => pid)
}
