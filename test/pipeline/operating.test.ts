import { afterAll, beforeAll, expect, test } from 'vitest'
import { parseExposition } from '../exposition.ts'
import { Client, type TemporaryStack, temporaryStack, until } from '../stack-client.ts'

let stack: TemporaryStack
let operator: Client

beforeAll(async () => {
	stack = await temporaryStack({ cronMs: 2_000 })
	operator = new Client(stack.url, stack.operatorToken)
})
afterAll(() => stack.remove())

test('the probe of every region writes, reads and finds its write in the view, through the public address', async () => {
	const monitors = await until(
		'a probe that succeeded everywhere',
		async () => {
			const { body } = await operator.ok('GET', '/v1/alerts')
			return (
				body.monitors.every(({ probe }: { probe: { failed: string | null } | null }) => probe?.failed === null) &&
				body.monitors
			)
		},
		90_000,
	)
	expect(monitors.map(({ region }: { region: string }) => region)).toEqual(['global', 'eu'])
})

test('what isolates and shards counted comes out of /metrics, in a form that the strict reader accepts', async () => {
	const names = ['freehold_requests_total', 'freehold_request_duration_seconds', 'freehold_shard_rows_written_total']
	const families = await until(
		'requests and shards of both regions in the metrics',
		async () => {
			const answer = await fetch(`${stack.url}/metrics`, {
				headers: { Authorization: `Bearer ${stack.operatorToken}` },
			})
			const read = parseExposition(await answer.text())
			const regionsOf = (name: string) =>
				new Set(read.find((family) => family.name === name)?.samples.map(({ labels }) => labels.region))
			return names.every((name) => regionsOf(name).size === 2) && read
		},
		90_000,
	)
	expect(families.length).toBeGreaterThan(10)
	const canaries = families.find(({ name }) => name === 'freehold_shard_records')?.samples ?? []
	expect(canaries.every(({ value }) => value >= 1)).toBe(true)
})
