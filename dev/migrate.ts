/**
 * Brings the view's database of a region to the schema of this code: the SQL files that drizzle-kit keeps in
 * db/neon/migrations, in the order of its journal, each in a transaction of its own.
 */
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import pg from 'pg'
import { z } from 'zod'
import { runCommand, UsageError } from './command.ts'
import { projectDir } from './processes.ts'
import { regionsOf } from './regions.ts'

const migrationsDir = join(projectDir, 'db', 'neon', 'migrations')
/** Any number that no other program uses for a lock in this database. */
const lockKey = 4_670_468

interface Migration {
	id: string
	/** SHA-256 of the file, in hex. */
	hash: string
	statements: string[]
}

/**
 * Applies what is missing and returns the ids of what was applied.
 * @throws when an applied migration differs from its file, or the database has one that this code does not know
 */
export async function migrate(databaseUrl: string, folder = migrationsDir): Promise<string[]> {
	const migrations = readMigrations(folder)
	const client = new pg.Client({ connectionString: databaseUrl })
	client.on('error', () => {})
	await client.connect()
	try {
		await client.query("SET client_min_messages = 'warning'")
		const applied: string[] = []
		for (;;) {
			const id = await applyNext(client, migrations)
			if (id === null) return applied
			applied.push(id)
		}
	} finally {
		await client.end()
	}
}

async function applyNext(client: pg.Client, migrations: Migration[]): Promise<string | null> {
	await client.query('BEGIN')
	try {
		// Two deployments at once take turns; the second finds the work done. Bound to the transaction, because a pooled
		// connection string may give every transaction another session.
		await client.query('SELECT pg_advisory_xact_lock($1)', [lockKey])
		await client.query(`CREATE TABLE IF NOT EXISTS freehold_migration (
			id text PRIMARY KEY, hash text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now()
		)`)
		const { rows } = await client.query<{ id: string; hash: string }>(
			'SELECT id, hash FROM freehold_migration ORDER BY id',
		)
		const next = migrations[checkApplied(rows, migrations)]
		if (next !== undefined) {
			for (const statement of next.statements) await client.query(statement)
			await client.query('INSERT INTO freehold_migration (id, hash) VALUES ($1, $2)', [next.id, next.hash])
		}
		await client.query('COMMIT')
		return next?.id ?? null
	} catch (error) {
		await client.query('ROLLBACK').catch(() => {})
		throw error
	}
}

/** The number of migrations that are applied. */
function checkApplied(applied: { id: string; hash: string }[], migrations: Migration[]): number {
	for (const [position, { id, hash }] of applied.entries()) {
		const migration = migrations[position]
		if (migration === undefined || !migrations.some((known) => known.id === id)) {
			throw new Error(`the database is newer than this code: it has migration ${id}`)
		}
		if (migration.id !== id)
			throw new Error(`migration ${migration.id} would have to be applied before ${id}, which is applied`)
		if (migration.hash !== hash)
			throw new Error(`migration ${id} was changed after it was applied; add another one instead`)
	}
	return applied.length
}

const journal = z.object({ entries: z.array(z.object({ idx: z.number(), tag: z.string().regex(/^\d{4}_[\w-]+$/) })) })

function readMigrations(folder: string): Migration[] {
	const { entries } = journal.parse(JSON.parse(readFileSync(join(folder, 'meta', '_journal.json'), 'utf8')))
	return entries
		.toSorted((a, b) => a.idx - b.idx)
		.map(({ tag }) => {
			const text = readFileSync(join(folder, `${tag}.sql`), 'utf8')
			const hash = createHash('sha256').update(text).digest('hex')
			const statements = text.split('--> statement-breakpoint').filter((statement) => statement.trim() !== '')
			return { id: tag, hash, statements }
		})
}

const usage = `Usage: npm run migrate -- --region NAME
       npm run migrate -- --database-url URL

Applies the missing migrations of db/neon/migrations to a region's database.

  --region NAME        a region of wrangler.toml; its database is in DATABASE_URL (the first region) or DATABASE_URL_<NAME>
  --database-url URL   a connection string of the database's owner
  --help               this text`

async function main(args: string[]): Promise<void> {
	const { values } = parseArgs({ args, options: { region: { type: 'string' }, 'database-url': { type: 'string' } } })
	const applied = await migrate(chooseDatabase(values.region, values['database-url']))
	for (const id of applied) console.log(`applied ${id}`)
	console.log(applied.length === 0 ? 'The database is up to date.' : 'The database is up to date now.')
}

function chooseDatabase(region: string | undefined, url: string | undefined): string {
	if ((region === undefined) === (url === undefined)) throw new UsageError('give either --region or --database-url')
	if (url !== undefined) return url
	const found = regionsOf().find(({ name }) => name === region)
	if (found === undefined)
		throw new UsageError(
			`wrangler.toml serves ${regionsOf()
				.map(({ name }) => name)
				.join(', ')} only`,
		)
	const variable = `DATABASE_URL${found.suffix}`
	const value = process.env[variable]
	if (value === undefined || value === '') throw new UsageError(`${variable} is not set`)
	return value
}

if (import.meta.main) await runCommand(main, usage)
