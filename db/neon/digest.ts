/** The view's side of the checksum that a shard keeps of its rows (`core/row-hash.ts`). */
import type { Checksum } from '../../core/contract.ts'
import type { TenantId } from '../../core/ids.ts'
import type { Database } from './client.ts'
import { numberIn, textIn } from './row.ts'

const milliseconds = (column: string) => `(extract(epoch FROM ${column}) * 1000)::bigint`

/** The hash of a row of `record` under that alias: 16 hexadecimal digits, and as a signed 64-bit integer. */
export const printedHashOf = (row: string): string => `substr(encode(sha256(convert_to(concat_ws(E'\\n',
	${row}.collection, ${row}.id, ${row}.version, ${milliseconds(`${row}.created_at`)}, ${milliseconds(`${row}.updated_at`)},
	${row}.data::text), 'UTF8')), 'hex'), 1, 16)`
export const rowHashOf = (row: string): string => `('x' || ${printedHashOf(row)})::bit(64)::bigint`

/** A sum of hashes, signed or not, as the unsigned 64-bit number that the shard prints. */
export const digestOf = (sum: string): string =>
	`mod(mod(coalesce(${sum}, 0), 18446744073709551616) + 18446744073709551616, 18446744073709551616)`

/** What the tenant's rows come to now. Reads all of them: about a second for 300,000 small records. */
export async function tenantChecksum(database: Database, tenant: TenantId): Promise<Checksum> {
	const [row] = await database.query({ text: checksum, params: [tenant] })
	if (row === undefined) throw new Error('an aggregate without groups returned no row')
	return { count: numberIn(row, 'count'), digest: textIn(row, 'digest') }
}

const checksum = `SELECT count(*) AS count, ${digestOf(`sum(${rowHashOf('r')})`)}::text AS digest FROM record r WHERE r.tenant_id = $1`
