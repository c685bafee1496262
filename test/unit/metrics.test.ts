import { expect, test } from 'vitest'
import { counter, gauge } from '../../core/exposition.ts'
import type { TenantId } from '../../core/ids.ts'
import { Edge } from '../api-ports.ts'
import { parseExposition } from '../exposition.ts'

const tenant = 'eu_01k9zq4m3c8t5w2x7v6y0r1n4p' as TenantId

const measured = {
	requests: [
		{ route: 'GET /v1/collections/{collection}', class: '2xx' as const, requests: 3, durationMs: 1_205 },
		{ route: 'GET /v1/collections/{collection}', class: '5xx' as const, requests: 1, durationMs: 70_000 },
		{ route: 'other', class: '4xx' as const, requests: 1, durationMs: 1 },
	],
	latency: [
		{ route: 'GET /v1/collections/{collection}', bucket: 8, requests: 2 },
		{ route: 'GET /v1/collections/{collection}', bucket: 41, requests: 1 },
		{ route: 'GET /v1/collections/{collection}', bucket: 65, requests: 1 },
		{ route: 'other', bucket: 0, requests: 1 },
	],
	view: { shards: 2, shardsBehind: 1, worstLagMs: 1_500, deadLetters: 0 },
	shards: [
		{
			tenant,
			shard: 0,
			head: 9,
			lagMs: 1_500,
			sizeBytes: 4_096,
			records: 5,
			keys: 1,
			changes: 8,
			rowsWritten: 40,
			rowsRead: 90,
			messages: 3,
		},
	],
}

test('/metrics is what a strict reader of the format accepts, with a dead region beside a living one', async () => {
	const edge = new Edge()
	edge.measured = measured
	const answer = await edge.fetch('GET', '/metrics', { as: 'scraper-token' })
	expect(answer.headers.get('Content-Type')).toBe('text/plain; version=0.0.4; charset=utf-8')
	const families = parseExposition(await answer.text())
	const sampled = (name: string, labels: Record<string, string>) =>
		families
			.flatMap(({ samples }) => samples)
			.find(
				(sample) =>
					sample.name === name && Object.entries(labels).every(([label, text]) => sample.labels[label] === text),
			)?.value
	const route = 'GET /v1/collections/{collection}'
	expect(sampled('freehold_requests_total', { region: 'eu', route, class: '5xx' })).toBe(1)
	expect(sampled('freehold_request_duration_seconds_bucket', { region: 'eu', route, le: '0.004' })).toBe(2)
	expect(sampled('freehold_request_duration_seconds_bucket', { region: 'eu', route, le: '65.536' })).toBe(3)
	expect(sampled('freehold_request_duration_seconds_count', { region: 'eu', route })).toBe(4)
	expect(sampled('freehold_request_duration_seconds_sum', { region: 'eu', route })).toBe(71.205)
	expect(sampled('freehold_shard_lag_seconds', { region: 'eu', tenant })).toBe(1.5)
	edge.measured = null
	const dead = parseExposition(await (await edge.fetch('GET', '/metrics', { as: 'scraper-token' })).text())
	expect(dead.map(({ name, samples }) => [name, samples.map(({ value }) => value)])).toEqual([
		['freehold_database_up', [0, 0]],
	])
})

test('labels are escaped, and the strict reader refuses what is not the format', () => {
	expect(gauge('a_bytes', 'Help \\ and\nmore.', [[{ l: 'a"b\\c\nd' }, 1]])).toBe(
		'# HELP a_bytes Help \\\\ and\\nmore.\n# TYPE a_bytes gauge\na_bytes{l="a\\"b\\\\c\\nd"} 1\n',
	)
	expect(() => counter('freehold_things', 'Help.', [])).toThrow('_total')
	const head = '# HELP a_total H\n# TYPE a_total counter\n'
	for (const broken of [
		'a_total 1',
		`${head}`,
		`${head}a_total 1\na_total 1\n`,
		`${head}a_total -1\n`,
		`${head}b_total 1\n`,
	])
		expect(() => parseExposition(broken), broken).toThrow()
	const histogram = '# HELP h H\n# TYPE h histogram\n'
	for (const broken of [
		'h_bucket{le="1"} 1\nh_sum 1\nh_count 1\n',
		'h_bucket{le="1"} 2\nh_bucket{le="+Inf"} 1\nh_sum 1\nh_count 1\n',
	])
		expect(() => parseExposition(histogram + broken), broken).toThrow()
})

const oneSample = (name: string, type: string, labels = '') =>
	`# HELP ${name} H\n# TYPE ${name} ${type}\n${name}${labels} 1\n`
const sound = oneSample('size_bytes', 'gauge', '{a_b="c"}')
const linted = [
	...[
		...['lag_milliseconds', 'lag_minutes', 'size_kilobytes', 'size_bits', 'lag_ms', 'size_mb', 'lag_s_now'],
		...['things_total', 'things_count', 'things_sum', 'things_bucket', 'things_gauge', 'a_counter_b', 'a:b', 'aB'],
	].map((name) => oneSample(name, 'gauge')),
	...['{le="1"}', '{quantile="0.9"}', '{aB="c"}'].map((label) => oneSample('things', 'gauge', label)),
	...[oneSample('things', 'counter'), '# TYPE a gauge\na 1\n'],
]

test('the strict reader refuses every kind of name and label that the linter of Prometheus warns about', () => {
	expect(() => parseExposition(sound)).not.toThrow()
	// Of the last one the linter says nothing: a type that nobody chose is ours to refuse.
	for (const text of [...linted, oneSample('things', 'untyped')]) expect(() => parseExposition(text), text).toThrow()
})

test('a request is counted under its route, its status and its tenant, and never under its path', async () => {
	const edge = new Edge()
	const { id, key } = await edge.tenant()
	edge.counted.length = 0
	await edge.fetch('GET', '/v1/tenant', { as: key })
	await edge.fetch('GET', '/v1/collections/canary-collection/records/canary-record', { as: key })
	await edge.fetch('GET', '/canary?canary=1')
	expect(edge.counted).toMatchObject([
		{ route: 'GET /v1/tenant', status: 200, tenant: id },
		{ route: 'GET /v1/collections/{collection}/records/{id}', status: 404, tenant: id },
		{ route: 'other', status: 404, tenant: null },
	])
	expect(JSON.stringify(edge.counted)).not.toContain('canary')
})

test('usage takes a grain and a limit only, and names what is wrong', async () => {
	const edge = new Edge()
	const { id } = await edge.tenant()
	const status = async (query: string) =>
		(await edge.fetch('GET', `/v1/tenants/${id}/usage${query}`, { as: 'reader-token' })).status
	expect(
		await Promise.all(['', '?grain=hour&limit=400', '?grain=minute', '?limit=0', '?limit=401', '?x=1'].map(status)),
	).toEqual([200, 200, 400, 400, 400, 400])
})
