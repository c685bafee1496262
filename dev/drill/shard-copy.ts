import { cpSync, existsSync, globSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import type { Stack } from '../stack.ts'

/** The files that SQLite may have beside a database. */
const beside = ['', '-wal', '-shm']

/** The database of one tenant's shard, as a point-in-time recovery would bring it back. Both ways only while the stack is stopped. */
export class ShardCopy {
	readonly #stack: Stack
	readonly #tenant: string
	#file = ''

	constructor(stack: Stack, tenant: string) {
		this.#stack = stack
		this.#tenant = tenant
	}

	take(): void {
		this.#file = this.#find()
		for (const end of beside) if (existsSync(this.#file + end)) cpSync(this.#file + end, this.#copy(end))
	}

	putBack(): void {
		for (const end of beside) {
			rmSync(this.#file + end, { force: true })
			if (existsSync(this.#copy(end))) cpSync(this.#copy(end), this.#file + end)
		}
	}

	#copy(end: string): string {
		return join(this.#stack.dataDir, `${this.#tenant}.copy${end}`)
	}

	/** Objects are named by hashes, so their own rows say whose they are. */
	#find(): string {
		const files = globSync(join(this.#stack.stateDir, 'v3', 'do', '*TenantShard*', '*.sqlite'))
		const found = files.find((file) => tenantOf(file) === this.#tenant)
		if (found === undefined) throw new Error('the shard has no file')
		return found
	}
}

function tenantOf(file: string): unknown {
	const database = new DatabaseSync(file)
	try {
		return database.prepare('SELECT id FROM tenant').get()?.id
	} catch {
		// An object without tables: nobody's yet, or a tombstone.
		return undefined
	} finally {
		database.close()
	}
}
