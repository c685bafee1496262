import { fieldExpression } from '../../db/shard/list.ts'
import type { Sql } from '../../db/shard/sql.ts'
import { type Definition, listSubjectDefinitions, subjectFields } from './definition.ts'

/** The ids of a person's records in one collection, in order. */
export function idsOf(sql: Sql, definition: Definition, subject: string): string[] {
	const ids = subjectFields(definition).flatMap((field) =>
		sql
			.all<{ id: string }>(
				`SELECT id FROM ${definition.table} WHERE ${fieldExpression(field)} = ? ORDER BY id`,
				subject,
			)
			.map(({ id }) => id),
	)
	return [...new Set(ids)]
}

/** Everybody whom a record is about, or who is restricted. */
export function subjectsOf(sql: Sql): string[] {
	const restricted = sql.all<{ subject: string }>('SELECT subject FROM restriction').map(({ subject }) => subject)
	const named = listSubjectDefinitions(sql).flatMap((definition) =>
		subjectFields(definition).flatMap((field) =>
			sql
				.all<{ subject: string | null }>(
					`SELECT DISTINCT ${fieldExpression(field)} AS subject FROM ${definition.table}`,
				)
				.flatMap(({ subject }) => subject ?? []),
		),
	)
	return [...restricted, ...named]
}
