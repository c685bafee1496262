import { hkdfSync } from 'node:crypto'
import { z } from '@hono/zod-openapi'
import type { AuditFilter, PagePosition } from '../../core/contract.ts'
import { type CursorKeys, openCursor, pagePosition, queryFingerprint, sealCursor } from '../../core/cursor.ts'
import { type DeadLetterPosition, type DeadLetterState, deadLetterStates } from '../../core/dead-letter.ts'
import { type ParsedList, parseListQuery } from '../../core/filter.ts'
import { parseRegion, parseTenantId, type Region, type TenantId } from '../../core/ids.ts'
import { cursorBytesMax, listLimitDefault, listLimitMax } from '../../core/limits.ts'
import type { ListQuery } from '../../core/query.ts'
import { accept, type Outcome, refuse } from '../../core/refusal.ts'
import type { ViewPosition, ViewRecordQuery, ViewScope } from '../../core/view.ts'
import type { Call, OperatorCall, TenantCall } from './call.ts'
import { badParameter, collectionNamePattern, readInteger, readQuery, searchParams } from './request.ts'

type PageHeaders = Record<string, string>

/** The headers of a paged answer, for the OpenAPI document. */
export const pageHeaders = ['Link']

/** A query of records whose cursor was opened, and the way to the page after the answer's. */
export interface RecordQuery<Query = ListQuery, Position = PagePosition> {
	query: Query
	link(next: Position | null): Outcome<PageHeaders>
}

export function readRecordQuery(call: TenantCall, collection: string): Outcome<RecordQuery> {
	const parsed = parseListQuery(searchParams(call), 'query')
	return parsed.ok ? openRecordQuery(call, collection, parsed.value) : parsed
}

/** Opens the cursor of a parsed list: only one that was made for this query, collection and tenant. */
export function openRecordQuery(
	call: TenantCall,
	collection: string,
	{ query, cursor }: ParsedList,
): Outcome<RecordQuery> {
	const fingerprint = queryFingerprint(query, 'records', call.tenant, collection)
	const after = openPosition(call, cursor, fingerprint, pagePosition)
	if (!after.ok) return after
	return accept({
		query: { ...query, after: after.value, count: prefersCount(call) },
		link: (next) => linkToPosition(call, fingerprint, next),
	})
}

/** The same grammar over the view; `own` are the view's own parameters. */
export function readViewRecordQuery(
	call: OperatorCall,
	parameters: URLSearchParams,
	scope: ViewScope,
): Outcome<RecordQuery<ViewRecordQuery, ViewPosition>> {
	const own = ['collection', 'tenant', 'region', 'max_staleness']
	const repeated = own.find((name) => parameters.getAll(name).length > 1)
	if (repeated) return badParameter(repeated, 'must not be repeated')
	const collection = parameters.get('collection') ?? ''
	if (!collectionNamePattern.test(collection))
		return badParameter('collection', `must match ${collectionNamePattern.source}`)
	const parsed = parseListQuery(parameters, 'query', own)
	if (!parsed.ok) return parsed
	const { query, cursor } = parsed.value
	const fingerprint = queryFingerprint(query, 'view/records', collection, scope.tenant ?? '', ...scope.regions)
	const after = openPosition(call, cursor, fingerprint, viewPosition)
	if (!after.ok) return after
	return accept({
		query: { ...query, collection, after: after.value, count: prefersCount(call) },
		link: (next) => linkToPosition(call, fingerprint, next),
	})
}

const tenantId = z.custom<TenantId>((value) => typeof value === 'string' && parseTenantId(value) !== null)
const viewPosition: z.ZodType<ViewPosition> = z.strictObject({
	values: z.array(z.union([z.string(), z.number(), z.boolean(), z.null()])),
	tenant: tenantId,
	id: z.string(),
})

/** A list that has no query: a page of it, and the way to the page after it. */
export interface ListPage<Position> {
	page: { limit: number; after: Position | null }
	link(next: Position | null): Outcome<PageHeaders>
}

/** A page of a list that goes by names or ids. */
export function readPage(call: Call, list: string): Outcome<ListPage<string>> {
	const asked = readQuery(call, ['limit', 'cursor'])
	return asked.ok ? openListPage(call, list, asked.value, z.string()) : asked
}

/** A page of the tenants that a search found; its cursor belongs to that search. */
export function readTenantPage(
	call: Call,
	asked: { limit?: string; cursor?: string },
	search: string | null,
): Outcome<ListPage<TenantId>> {
	return openListPage(call, JSON.stringify(['tenants', search]), asked, tenantId)
}

export function readViewCollectionPage(
	call: Call,
	asked: { limit?: string; cursor?: string },
	scope: ViewScope,
): Outcome<ListPage<{ tenant: TenantId; name: string }>> {
	const list = JSON.stringify(['view/collections', scope])
	return openListPage(call, list, asked, z.strictObject({ tenant: tenantId, name: z.string() }))
}

/** A page of the dead letters; its cursor belongs to one scope and state. */
export function readDeadLetterPage(
	call: Call,
	asked: { state?: string; limit?: string; cursor?: string },
	scope: ViewScope,
): Outcome<ListPage<DeadLetterPosition> & { state: DeadLetterState | null }> {
	const state = deadLetterStates.find((one) => one === asked.state) ?? null
	if (state === null && asked.state !== undefined)
		return badParameter('state', `must be one of ${deadLetterStates.join(', ')}`)
	const page = openListPage(call, JSON.stringify(['view/dead-letters', scope, state]), asked, deadLetterPosition)
	return page.ok ? accept({ ...page.value, state }) : page
}

const deadLetterPosition: z.ZodType<DeadLetterPosition> = z.strictObject({
	region: z.custom<Region>((value) => typeof value === 'string' && parseRegion(value) !== null),
	number: z.int().positive(),
})

/** A page of the audit log; its cursor belongs to one filter. */
export function openAuditPage(
	call: TenantCall,
	asked: { limit?: string; cursor?: string },
	filter: AuditFilter,
): Outcome<ListPage<number>> {
	return openListPage(call, JSON.stringify(['audit', filter]), asked, z.int().nonnegative())
}

export function openListPage<Position>(
	call: Call,
	list: string,
	asked: { limit?: string; cursor?: string },
	schema: z.ZodType<Position>,
): Outcome<ListPage<Position>> {
	const limit = readInteger('limit', asked.limit, { min: 1, max: listLimitMax, absent: listLimitDefault })
	if (!limit.ok) return limit
	const fingerprint = JSON.stringify([list, call.tenant])
	const after = openPosition(call, asked.cursor ?? null, fingerprint, schema)
	if (!after.ok) return after
	return accept({
		page: { limit: limit.value, after: after.value },
		link: (next) => linkToPosition(call, fingerprint, next),
	})
}

function openPosition<Position>(
	call: Call,
	cursor: string | null,
	fingerprint: string,
	schema: z.ZodType<Position>,
): Outcome<Position | null> {
	return cursor === null ? accept(null) : openCursor(cursor, cursorKeys(call), fingerprint, schema)
}

/** The address of the same list, further on. */
function linkToPosition(call: Call, fingerprint: string, next: unknown): Outcome<PageHeaders> {
	if (next === null) return accept({})
	const cursor = sealCursor(next, cursorKeys(call), fingerprint, call.ports.random)
	if (cursor.length > cursorBytesMax)
		return refuse('limit_exceeded', 'the values to order by are too long to go on from; order by another field')
	const parameters = searchParams(call)
	parameters.set('cursor', cursor)
	return accept(linkTo(call, parameters))
}

/** `Link` with the next page, relative to the origin; nothing at the end. */
export function linkTo(call: Call, parameters: URLSearchParams | null): PageHeaders {
	return parameters === null ? {} : { Link: `<${encodeURI(call.c.req.path)}?${parameters}>; rel="next"` }
}

/** Cursors have keys of their own, derived from the signing secrets and replaced with them. */
function cursorKeys(call: Call): CursorKeys {
	const [first, ...others] = call.ports.config.signingSecrets
	const derive = (secret: string) => new Uint8Array(hkdfSync('sha256', secret, '', 'freehold-cursor', 32))
	return [derive(first), ...others.map(derive)]
}

/** `Prefer: count=exact` (RFC 7240); other preferences are passed over. */
function prefersCount(call: Call): boolean {
	return (call.c.req.header('Prefer') ?? '')
		.split(',')
		.some((preference) => /^count\s*=\s*"?exact"?$/.test(preference.trim()))
}

/** What `Prefer: count=exact` brought. Only the first page knows at which record it starts. */
export function countHeaders(count: number | null, records: number, isFirst: boolean): PageHeaders {
	if (count === null) return {}
	const range = isFirst && records > 0 ? `0-${records - 1}` : '*'
	return { 'Content-Range': `${range}/${count}`, 'Preference-Applied': 'count=exact' }
}
