import { countHeaders, pageHeaders, readViewCollectionPage, readViewRecordQuery } from './page.ts'
import { showFreshness, showViewCollection, viewRecordText } from './representation.ts'
import { readQuery, searchParams } from './request.ts'
import { respondJson } from './respond.ts'
import { operatorRoute, type Route } from './route.ts'
import {
	freshness,
	minPositionHeaders,
	preferHeaders,
	viewCollectionList,
	viewCollectionQuery,
	viewFreshnessQuery,
	viewRecordList,
	viewRecordQuery,
} from './schemas.ts'
import {
	awaitPosition,
	freshnessExample,
	readMaxStaleness,
	readScope,
	refuseStale,
	viewHeaderNames,
	viewHeaders,
} from './view-answer.ts'

const tag = 'View (operator)'
const tenantExample = 'eu_01k9zq4m3c8t5w2x7v6y0r1n4p'
const recordExample = {
	tenant: tenantExample,
	id: 'p-7',
	version: 3,
	created_at: '2026-11-22T19:50:49.120Z',
	updated_at: '2026-11-22T19:51:02.004Z',
	data: { age: 36 },
}
const refusals = ['unknown_field', 'view_behind', 'view_stale', 'view_unavailable'] as const
const headers = [...pageHeaders, ...viewHeaderNames]

export const viewRoutes: readonly Route[] = [
	operatorRoute(
		{
			method: 'get',
			path: '/v1/view/records',
			scope: 'read',
			tag,
			summary: 'Read the records of a collection across tenants',
			description:
				'Takes the filters of a record list. Personal fields never reach the view. `freshness` says how far the view has come.',
			query: viewRecordQuery,
			headers: minPositionHeaders.extend(preferHeaders.shape),
			answers: {
				200: {
					description: 'A page of records',
					schema: viewRecordList,
					example: { records: [recordExample], freshness: freshnessExample },
					headers: [...headers, 'Content-Range', 'Preference-Applied'],
				},
			},
			refusals: [...refusals, 'invalid_filter', 'invalid_cursor', 'index_required'],
		},
		async (call) => {
			const parameters = searchParams(call)
			const scope = readScope(call, parameters.get('region'), parameters.get('tenant'))
			if (!scope.ok) return scope
			const maxMs = readMaxStaleness(parameters.get('max_staleness'))
			if (!maxMs.ok) return maxMs
			const query = readViewRecordQuery(call, parameters, scope.value)
			if (!query.ok) return query
			const reached = await awaitPosition(call)
			if (!reached.ok) return reached
			const read = await call.ports.view.records(scope.value, query.value.query)
			if (!read.ok) return read
			const { records, next, count, freshness: fresh } = read.value
			const enough = refuseStale(fresh, maxMs.value)
			if (!enough.ok) return enough
			const text = `{"records":[${records.map(viewRecordText).join()}],"freshness":${JSON.stringify(showFreshness(fresh))}}`
			const counted = countHeaders(count, records.length, query.value.query.after === null)
			const link = query.value.link(next)
			if (!link.ok) return link
			return respondJson(call, 200, text, { ...link.value, ...counted, ...viewHeaders(fresh) })
		},
	),
	operatorRoute(
		{
			method: 'get',
			path: '/v1/view/collections',
			scope: 'read',
			tag,
			summary: 'Count the records per tenant and collection',
			query: viewCollectionQuery,
			headers: minPositionHeaders,
			answers: {
				200: {
					description: 'A page of collections',
					schema: viewCollectionList,
					example: {
						collections: [{ tenant: tenantExample, name: 'people', records: 1 }],
						freshness: freshnessExample,
					},
					headers,
				},
			},
			refusals: [...refusals, 'invalid_cursor'],
		},
		async (call) => {
			const asked = readQuery(call, ['region', 'tenant', 'max_staleness', 'limit', 'cursor'])
			if (!asked.ok) return asked
			const maxMs = readMaxStaleness(asked.value.max_staleness)
			if (!maxMs.ok) return maxMs
			const scope = readScope(call, asked.value.region ?? null, asked.value.tenant ?? null)
			if (!scope.ok) return scope
			const page = readViewCollectionPage(call, asked.value, scope.value)
			if (!page.ok) return page
			const reached = await awaitPosition(call)
			if (!reached.ok) return reached
			const read = await call.ports.view.collections(scope.value, page.value.page)
			if (!read.ok) return read
			const { collections, next, freshness: fresh } = read.value
			const enough = refuseStale(fresh, maxMs.value)
			if (!enough.ok) return enough
			const text = JSON.stringify({ collections: collections.map(showViewCollection), freshness: showFreshness(fresh) })
			const link = page.value.link(next)
			if (!link.ok) return link
			return respondJson(call, 200, text, { ...link.value, ...viewHeaders(fresh) })
		},
	),
	operatorRoute(
		{
			method: 'get',
			path: '/v1/view/freshness',
			scope: 'read',
			tag,
			summary: 'How far the view has come',
			description:
				'`tenants_missing` are in the registry and not in the view, as of `registry_compared_at`; null while nobody has compared the two. Lag counts from when the view heard of a change.',
			query: viewFreshnessQuery,
			headers: minPositionHeaders,
			answers: {
				200: {
					description: 'Positions and lag per region',
					schema: freshness,
					example: freshnessExample,
					headers: viewHeaderNames,
				},
			},
			refusals,
		},
		async (call) => {
			const asked = readQuery(call, ['region', 'tenant', 'max_staleness'])
			if (!asked.ok) return asked
			const maxMs = readMaxStaleness(asked.value.max_staleness)
			if (!maxMs.ok) return maxMs
			const scope = readScope(call, asked.value.region ?? null, asked.value.tenant ?? null)
			if (!scope.ok) return scope
			const reached = await awaitPosition(call)
			if (!reached.ok) return reached
			const read = await call.ports.view.freshness(scope.value)
			if (!read.ok) return read
			const enough = refuseStale(read.value, maxMs.value)
			if (!enough.ok) return enough
			return respondJson(call, 200, JSON.stringify(showFreshness(read.value)), viewHeaders(read.value))
		},
	),
]
