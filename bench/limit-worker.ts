/**
 * The physical limit: a bare Worker in front of a bare object. A write is one transaction of two rows, a read is one row;
 * there is no key, schema, index or header that the measurement does not need.
 */
import { DurableObject } from 'cloudflare:workers'

interface Env {
	LIMIT: DurableObjectNamespace<Limit>
}

export default {
	async fetch(request: Request, env: Env): Promise<Response> {
		// /<tenant>/<create|grouped|many|record number>
		const [, tenant = '', what = ''] = new URL(request.url).pathname.split('/')
		const object = env.LIMIT.getByName(tenant)
		if (request.method === 'GET') {
			const body = await object.read(Number(what))
			return new Response(body, { status: body === null ? 404 : 200 })
		}
		const body = await request.text()
		if (what === 'many') return new Response((await object.createMany(body.split('\n'))).join('\n'), { status: 201 })
		const id = what === 'grouped' ? await object.createGrouped(body) : await object.create(body)
		return new Response(String(id), { status: 201 })
	},
}

export class Limit extends DurableObject<Env> {
	readonly #sql: SqlStorage
	#waiting: { body: string; settle(id: number): void }[] = []

	constructor(ctx: DurableObjectState, env: Env) {
		super(ctx, env)
		this.#sql = ctx.storage.sql
		this.#sql.exec('CREATE TABLE IF NOT EXISTS record (id INTEGER PRIMARY KEY, body TEXT NOT NULL)')
		this.#sql.exec('CREATE TABLE IF NOT EXISTS journal (seq INTEGER PRIMARY KEY, record INTEGER NOT NULL)')
	}

	async create(body: string): Promise<number> {
		return this.ctx.storage.transactionSync(() => this.#insert(body))
	}

	/** For filling it before anything is measured. */
	async createMany(bodies: string[]): Promise<number[]> {
		return this.ctx.storage.transactionSync(() => bodies.map((body) => this.#insert(body)))
	}

	/** All that have arrived in this turn of the event loop share one transaction. */
	createGrouped(body: string): Promise<number> {
		return new Promise((settle) => {
			if (this.#waiting.length === 0) setTimeout(() => this.#flush(), 0)
			this.#waiting.push({ body, settle })
		})
	}

	async read(id: number): Promise<string | null> {
		for (const row of this.#sql.exec<{ body: string }>('SELECT body FROM record WHERE id = ?', id)) return row.body
		return null
	}

	#flush(): void {
		const group = this.#waiting
		this.#waiting = []
		const ids = this.ctx.storage.transactionSync(() => group.map(({ body }) => this.#insert(body)))
		for (const [index, { settle }] of group.entries()) settle(ids[index] ?? 0)
	}

	#insert(body: string): number {
		const { id } = this.#sql.exec<{ id: number }>('INSERT INTO record (body) VALUES (?) RETURNING id', body).one()
		this.#sql.exec('INSERT INTO journal (record) VALUES (?)', id)
		return id
	}
}
