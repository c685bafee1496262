import type { SchemaPage } from '../../core/contract.ts'
import type { Move } from './apply.ts'
import type { Database, Statement } from './client.ts'
import { describeTenant, hasMoved, move, moveParams, tenantParams } from './move.ts'

/** Applies a page that is about a collection's schema, which may touch all of its rows. */
export async function applySchema(database: Database, { watermark, page }: Move, schema: SchemaPage): Promise<boolean> {
	const params = [...moveParams(watermark, { kind: 'page', page }), ...tenantParams(page), schema.collection]
	return hasMoved(await database.query(statement(schema, params)))
}

function statement(schema: SchemaPage, params: Statement['params']): Statement {
	switch (schema.kind) {
		case 'put':
			return {
				text: putCollection,
				params: [...params, JSON.stringify(schema.fields), schema.createdAt, JSON.stringify(schema.personal)],
			}
		case 'dropped':
			return { text: dropCollection, params }
	}
}

/** $18 to $21: the collection, its fields, its creation, and the properties that no row may hold any longer. */
const putCollection = `${move}, ${describeTenant}, defined AS (
	INSERT INTO collection (tenant_id, name, fields, created_at)
	SELECT $1, $18, $19::jsonb, to_timestamp($20::bigint / 1000.0) FROM moved
	ON CONFLICT (tenant_id, name) DO UPDATE SET fields = excluded.fields, created_at = excluded.created_at
), personal AS (
	SELECT array_agg(p.name) AS names FROM moved, jsonb_array_elements_text($21::jsonb) AS p (name)
), stripped AS (
	UPDATE record r SET data = r.data - p.names FROM personal p
	WHERE r.tenant_id = $1 AND r.collection = $18 AND r.data ?| p.names
), unsummed AS (
	-- Without its personal properties an absent record has another hash.
	UPDATE dead_letter d SET hash = NULL FROM moved WHERE d.tenant_id = $1 AND d.shard = $2::int AND d.collection = $18
)
SELECT count(*) AS moved FROM moved`

const dropCollection = `${move}, ${describeTenant}, undefined AS (
	DELETE FROM collection c USING moved WHERE c.tenant_id = $1 AND c.name = $18
), emptied AS (
	DELETE FROM record r USING moved WHERE r.tenant_id = $1 AND r.collection = $18
), recovered AS (
	DELETE FROM dead_letter d USING moved WHERE d.tenant_id = $1 AND d.shard = $2::int AND d.collection = $18
)
SELECT count(*) AS moved FROM moved`
