import { env } from 'cloudflare:workers'
import { expect, test, vi } from 'vitest'
import type { Env } from '../../workers/env.ts'
import { newTenant, send } from './client.ts'

const { OPERATOR_TOKEN } = env as unknown as Env

/** Appears in every value that a client chooses, and so must appear in no line of the log. */
const canary = 'canary7f3a'

test('no line of the log holds what a client sent, and every line is JSON with the request and its tenant', async () => {
	const lines: string[] = []
	for (const method of ['log', 'info', 'warn', 'error', 'debug'] as const)
		vi.spyOn(console, method).mockImplementation((...all) => lines.push(all.map(String).join(' ')))
	const { id, secret } = await newTenant()
	const schema = {
		type: 'object',
		properties: {
			name: { type: 'string', maxLength: 40, 'x-unique': true, 'x-personal': true },
			age: { type: 'integer' },
		},
	}
	await send('PUT', '/v1/collections/people', secret, { schema })
	const record = { name: `${canary} name` }
	const attempts: Parameters<typeof send>[] = [
		['POST', '/v1/collections/people/records', secret, record],
		// Refused: the value is taken, violates the schema, is no JSON, or is in a place where nothing is.
		['POST', '/v1/collections/people/records', secret, record],
		['POST', '/v1/collections/people/records', secret, { name: canary.repeat(5), age: canary }],
		['POST', '/v1/collections/people/records', secret, `{"name": "${canary}`],
		['PUT', `/v1/collections/people/records/${canary}`, secret, { ...record, age: 'x' }, { 'If-Match': `"${canary}"` }],
		['GET', `/v1/collections/people/records?name=eq.${canary}&${canary}=1`, secret],
		['GET', `/v1/collections/${canary}/records/${canary}?q=${canary}`, secret],
		['GET', `/${canary}?${canary}=${canary}`, null],
		['GET', '/v1/tenant', `fhk_${canary}`],
		['POST', '/v1/tenants', OPERATOR_TOKEN, { slug: canary.toUpperCase(), name: canary }],
		['POST', '/v1/batch', secret, { operations: [{ op: 'create', collection: canary, data: { [canary]: canary } }] }],
		['GET', '/v1/changes', secret, undefined, { 'Last-Event-ID': canary, 'User-Agent': canary, Cookie: canary }],
		[
			'POST',
			'/v1/collections/people/records',
			secret,
			record,
			{ 'Idempotency-Key': `${canary} key`, 'X-Request-Id': `${canary} no id` },
		],
	]
	const answers: Response[] = []
	for (const attempt of attempts) answers.push(await send(...attempt))
	expect(answers.filter(({ status }) => status >= 400).length).toBeGreaterThanOrEqual(attempts.length - 2)
	expect(answers.filter(({ status }) => status >= 500)).toEqual([])
	expect(lines.filter((line) => line.includes(canary))).toEqual([])
	const requests = lines.map((line) => JSON.parse(line)).filter(({ event }) => event === 'request')
	const logged = new Map(requests.map((line) => [line.request_id, line]))
	for (const answer of answers.filter(({ status }) => status >= 400)) {
		const line = logged.get(answer.headers.get('X-Request-Id'))
		expect(line).toMatchObject({ level: 'info', status: answer.status })
		expect([id, null]).toContain(line.tenant)
	}
	expect(requests.filter(({ tenant }) => tenant === id).length).toBeGreaterThan(5)
})
