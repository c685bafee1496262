/** What the view holds, row by row, for whoever compares it with the shard: names and hashes, nothing of the records. */
import type { RowName } from '../../core/contract.ts'
import { regionOf, type TenantId } from '../../core/ids.ts'
import { accept, type Outcome } from '../../core/refusal.ts'
import type { HeldRow, HeldRows, RowRange } from '../../core/view.ts'
import type { Row } from './client.ts'
import { printedHashOf } from './digest.ts'
import { askRegions, type RegionDatabase } from './regions.ts'
import { numberIn, textIn } from './row.ts'

/** @see View.heldRange */
export async function heldRange(
	databases: readonly RegionDatabase[],
	tenant: TenantId,
	{ after, last, limit }: RowRange,
): Promise<Outcome<HeldRow[]>> {
	const bounds = [after?.collection ?? '', after?.id ?? '', last?.collection ?? null, last?.id ?? null]
	const asked = await askRegions(databases, { regions: [regionOf(tenant)], tenant }, [
		{ text: selectRange, params: [tenant, ...bounds, limit] },
	])
	return asked.ok ? accept((asked.value[0]?.results[0] ?? []).map(readHeld)) : asked
}

/** @see View.heldRows */
export async function heldRows(
	databases: readonly RegionDatabase[],
	tenant: TenantId,
	names: readonly RowName[],
): Promise<Outcome<HeldRows | null>> {
	const asked = await askRegions(databases, { regions: [regionOf(tenant)], tenant }, [
		{ text: 'SELECT epoch, applied_seq, base_hollow FROM shard WHERE tenant_id = $1 AND shard = 0', params: [tenant] },
		{ text: selectNamed, params: [tenant, JSON.stringify(names)] },
	])
	if (!asked.ok) return asked
	const [watermarks = [], rows = []] = asked.value[0]?.results ?? []
	const [watermark] = watermarks
	if (watermark === undefined) return accept(null)
	return accept({
		rows: rows.map(readHeld),
		epoch: numberIn(watermark, 'epoch'),
		appliedSeq: numberIn(watermark, 'applied_seq'),
		hollow: watermark.base_hollow === 't',
	})
}

function readHeld(row: Row): HeldRow {
	return { collection: textIn(row, 'collection'), id: textIn(row, 'id'), hash: textIn(row, 'hash') }
}

const selectRange = `
SELECT r.collection, r.id, ${printedHashOf('r')} AS hash FROM record r
WHERE r.tenant_id = $1 AND (r.collection, r.id) > ($2, $3) AND ($4::text IS NULL OR (r.collection, r.id) <= ($4, $5))
ORDER BY r.collection, r.id LIMIT $6::int`

const selectNamed = `
SELECT r.collection, r.id, ${printedHashOf('r')} AS hash
FROM jsonb_to_recordset($2::jsonb) AS n (collection text, id text)
JOIN record r ON r.tenant_id = $1 AND r.collection = n.collection AND r.id = n.id`
