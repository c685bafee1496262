/**
 * The one way to a region's Postgres: Neon's SQL over HTTP, behind a port of three functions. Values cross it as text,
 * so that records stay the JSON text they are and nothing depends on a driver's idea of a type.
 */
import { neon, neonConfig } from '@neondatabase/serverless'
import { databaseTimeoutMs, viewStatementMsMax } from '../../core/limits.ts'

export interface Statement {
	text: string
	/** `$1`, `$2`, … */
	params: readonly (string | number | boolean | null)[]
}

/** A column's value in Postgres's own text form. */
export type Row = Record<string, string | null>

export interface Database {
	/** Runs one statement in a transaction of its own. @throws DatabaseFailure */
	query(statement: Statement): Promise<Row[]>
	/** Runs all statements in one transaction, in which each sees what was committed before it began. @throws DatabaseFailure */
	write(statements: readonly Statement[]): Promise<void>
	/** Runs all statements on one snapshot, read-only and bounded by `viewStatementMsMax` each. @throws DatabaseFailure */
	read(statements: readonly Statement[]): Promise<Row[][]>
}

/**
 * What Postgres refused, or that it did not answer. A failure without an answer may still have taken effect.
 * The server's own message is left out, because it quotes data and connection strings.
 */
export class DatabaseFailure extends Error {
	override readonly name = 'DatabaseFailure'
	/** Five characters, or null when no answer of Postgres arrived. */
	readonly sqlstate: string | null

	constructor(sqlstate: string | null) {
		super(
			sqlstate === null ? 'the database did not answer' : `the database refused a statement with SQLSTATE ${sqlstate}`,
		)
		this.sqlstate = sqlstate
	}
}

const asText = { getTypeParser: () => (value: string) => value }

/** @param endpoint replaces Neon's own HTTP endpoint, for every database of this isolate; null in production */
export function connect(url: string, endpoint: string | null): Database {
	if (endpoint !== null) neonConfig.fetchEndpoint = endpoint
	const sql = neon(url)
	const options = () => ({ types: asText, fetchOptions: { signal: AbortSignal.timeout(databaseTimeoutMs) } })
	const bounded = { text: "SELECT set_config('statement_timeout', $1, true)", params: [String(viewStatementMsMax)] }
	return {
		query: ({ text, params }) => attempt(() => sql.query(text, [...params], options())),
		write: async (statements) => {
			const queries = statements.map(({ text, params }) => sql.query(text, [...params], { types: asText }))
			const { fetchOptions } = options()
			await attempt(() => sql.transaction(queries, { isolationLevel: 'ReadCommitted', fetchOptions }))
		},
		read: async (statements) => {
			const queries = [bounded, ...statements].map(({ text, params }) =>
				sql.query(text, [...params], { types: asText }),
			)
			const { fetchOptions } = options()
			const results = await attempt(() =>
				sql.transaction(queries, { readOnly: true, isolationLevel: 'RepeatableRead', fetchOptions }),
			)
			return results.slice(1)
		},
	}
}

async function attempt<T>(run: () => Promise<T>): Promise<T> {
	try {
		return await run()
	} catch (error) {
		const code = error instanceof Error && 'code' in error ? error.code : null
		throw new DatabaseFailure(typeof code === 'string' && /^[0-9A-Z]{5}$/.test(code) ? code : null)
	}
}
