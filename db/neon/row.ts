import { parseTenantId, type TenantId } from '../../core/ids.ts'
import type { Row } from './client.ts'

/** Columns come as text; these read the ones that a statement of ours declares. @throws when it does not hold what it should */
export function textIn(row: Row, column: string): string {
	const text = row[column]
	if (text === undefined || text === null) throw new Error(`column ${column} holds no text`)
	return text
}

/** An integer that JavaScript holds exactly. */
export function numberIn(row: Row, column: string): number {
	const value = Number(textIn(row, column))
	if (!Number.isSafeInteger(value)) throw new Error(`column ${column} holds no safe integer`)
	return value
}

export function numberOrNull(row: Row, column: string): number | null {
	return row[column] == null ? null : numberIn(row, column)
}

export function tenantIn(row: Row): TenantId {
	const tenant = parseTenantId(textIn(row, 'tenant_id'))
	if (tenant === null) throw new Error('the view holds a row of no tenant')
	return tenant
}
