import { exports } from 'cloudflare:workers'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { acceptedJson, brokenUtf8, refusedJson, strangeNames, strangeTexts } from '../corpus.ts'
import { type NewTenant, newTenant, request, send } from './client.ts'
import { each } from './each.ts'
import { gatherLog } from './log.ts'
import { canary, expectCalm, readProblem } from './problem.ts'

const main = (exports as unknown as { default: Fetcher }).default
vi.setConfig({ testTimeout: 120_000 })
const log = gatherLog()
let tenant: NewTenant

beforeAll(async () => {
	tenant = await newTenant()
	await putSchema('things', {})
	await putSchema('texts', { properties: { text: { type: 'string', 'x-index': true } } })
})

afterAll(() => {
	expect(log.length).toBeGreaterThan(100)
	expect(log.join('\n')).not.toContain(canary)
})

const records = '/v1/collections/things/records'
let ids = 0

/** Every way in which JSON text becomes a record: what it takes, and where the record then is. */
const ways: Record<string, (text: string) => Promise<[Response, string]>> = {
	POST: async (text) => {
		const response = await send('POST', records, tenant.secret, text)
		return [response, response.headers.get('Location') ?? '']
	},
	PUT: async (text) => {
		const path = `${records}/put-${++ids}`
		return [await send('PUT', path, tenant.secret, text), path]
	},
	PATCH: async (text) => {
		const path = `${records}/patch-${++ids}`
		expect((await send('PUT', path, tenant.secret, {})).status).toBe(201)
		return [await send('PATCH', path, tenant.secret, text), path]
	},
	batch: async (text) => {
		const id = `batch-${++ids}`
		const body = `{"operations":[{"op":"put","collection":"things","id":"${id}","data":${text}}]}`
		return [await send('POST', '/v1/batch', tenant.secret, body), `${records}/${id}`]
	},
}

for (const [way, write] of Object.entries(ways)) {
	test(`what ${way} accepts comes back equal, name by name and digit by digit`, async () => {
		await each(Object.entries(acceptedJson), async ([name, text]) => {
			const [written, path] = await write(text)
			expect(written.status, `${name}: ${await written.text()}`).toBeLessThan(300)
			expect(await dataAt(path), name).toBe(JSON.stringify(JSON.parse(text)))
		})
	})

	test(`what ${way} refuses is named, and leaves no record and no journal entry`, async () => {
		// Inside an operation some broken texts would be something else.
		const texts = Object.entries(refusedJson).filter(([, text]) => way !== 'batch' || text.endsWith('}'))
		const before = await positionOf()
		await each(texts, async ([name, text]) => {
			const [refused] = await write(text.replaceAll('"a', `"${canary}`))
			expect(await expectCalm(refused, name), name).toMatch(/^(invalid_json|validation_failed|invalid_request)$/)
		})
		expect(await positionOf()).toBe(before + (way === 'PATCH' ? texts.length : 0))
	})
}

test('[L1] bytes that are not UTF-8 are refused, in a value and in a name', async () => {
	const encoder = new TextEncoder()
	for (const [name, bytes] of Object.entries(brokenUtf8)) {
		for (const [start, end] of [
			['{"v":"', '"}'],
			['{"', '":1}'],
		] as const) {
			const body = new Uint8Array([...encoder.encode(start), ...bytes, ...encoder.encode(end)])
			const problem = await readProblem(await sendBytes(body))
			expect(problem.code, name).toBe('invalid_json')
		}
	}
	for (const encoding of ['utf-16le', 'utf-16be', 'utf-32'] as const) {
		const width = encoding === 'utf-32' ? 4 : 2
		const body = new Uint8Array([...'{"v":1}'].flatMap((char) => unitOf(char, width, encoding !== 'utf-16be')))
		expect((await readProblem(await sendBytes(body))).code, encoding).toBe('invalid_json')
	}
})

test('a name that means something elsewhere is a name like any other', async () => {
	await each(strangeNames, async (name) => {
		const text = `{${JSON.stringify(name)}:${JSON.stringify(canary)},"nested":{${JSON.stringify(name)}:[1]}}`
		for (const [way, write] of Object.entries(ways)) {
			const [written, path] = await write(text)
			expect(written.status, `${way} ${name}`).toBeLessThan(300)
			expect(await dataAt(path), `${way} ${name}`).toBe(JSON.stringify(JSON.parse(text)))
		}
	})
})

test('a schema may declare such a name, and its rules then hold for it', async () => {
	await each(strangeNames, async (name, index) => {
		const path = `/v1/collections/name-${index}`
		const schema = `{"schema":{"properties":{${JSON.stringify(name)}:{"type":"integer"}},"required":[${JSON.stringify(name)}]}}`
		const put = await send('PUT', path, tenant.secret, schema)
		expect(put.status, `${name}: ${await put.clone().text()}`).toBe(201)
		expect(JSON.stringify((await put.json<{ schema: unknown }>()).schema)).toBe(
			JSON.stringify(JSON.parse(schema).schema),
		)
		const good = await send('POST', `${path}/records`, tenant.secret, `{${JSON.stringify(name)}:1}`)
		expect(good.status, `${name}: ${await good.text()}`).toBe(201)
		const wrong = await send('POST', `${path}/records`, tenant.secret, `{${JSON.stringify(name)}:"${canary}"}`)
		expect(await expectCalm(wrong, name), name).toBe('validation_failed')
		const missing = await send('POST', `${path}/records`, tenant.secret, '{}')
		expect(await expectCalm(missing, name), name).toBe('validation_failed')
		await send('DELETE', path, tenant.secret)
	})
})

test('[L1] every strange text comes back equal, and a search for it finds it and it alone', async () => {
	const path = '/v1/collections/texts/records'
	await each(strangeTexts, async (text) => {
		const written = await send('POST', path, tenant.secret, { text })
		expect(written.status, text.slice(0, 50)).toBe(201)
		const location = written.headers.get('Location') ?? ''
		expect(await dataAt(location)).toBe(JSON.stringify({ text }))
		const quoted = `"${text.replace(/["\\]/g, '\\$&')}"`
		const queries = [{ text: `eq.${text}` }, { text: `in.(${quoted})` }, { or: `(text.eq.${quoted},text.eq.none)` }]
		for (const query of queries) {
			const found = await send('POST', `${path}/search`, tenant.secret, query)
			expect(found.status, await found.clone().text()).toBe(200)
			const list = await found.json<{ records: { id: string; data: { text: string } }[] }>()
			expect(list.records.map(({ data }) => data.text === text)).toEqual([true])
		}
		if (text.length > 1_000) return
		const byAddress = await send('GET', `${path}?text=${encodeURIComponent(`eq.${text}`)}`, tenant.secret)
		expect((await byAddress.json<{ records: unknown[] }>()).records, text).toHaveLength(1)
	})
})

test('texts that only look alike are different, but a unique value is compared in NFC and, with "ci", without case', async () => {
	await putSchema('alike', {
		properties: { exact: { type: 'string', 'x-unique': true }, folded: { type: 'string', 'x-unique': 'ci' } },
	})
	const path = '/v1/collections/alike/records'
	const pairs: [string, string, { exact: number; folded: number }][] = [
		['é', 'e\u0301', { exact: 409, folded: 409 }],
		['\u212b', 'Å', { exact: 409, folded: 409 }],
		['straße', 'STRASSE', { exact: 201, folded: 409 }],
		['ΣΊΣΥΦΟΣ', 'σίσυφος', { exact: 201, folded: 409 }],
		['σας', 'σασ', { exact: 201, folded: 409 }],
		['istanbul', 'İstanbul', { exact: 201, folded: 201 }],
		['ＦＵＬＬ', 'ｆｕｌｌ', { exact: 201, folded: 409 }],
		['FULL-1', 'ＦＵＬＬ-1', { exact: 201, folded: 201 }],
		['ﬁn', 'fin', { exact: 201, folded: 409 }],
		['a b', 'a\u00a0b', { exact: 201, folded: 201 }],
		['admin', 'аdmin', { exact: 201, folded: 201 }],
		['x', 'x ', { exact: 201, folded: 201 }],
	]
	for (const [first, second, statuses] of pairs) {
		for (const property of ['exact', 'folded'] as const) {
			expect((await send('POST', path, tenant.secret, { [property]: first })).status, first).toBe(201)
			const response = await send('POST', path, tenant.secret, { [property]: second })
			expect(response.status, `${property}: ${first} and ${second}`).toBe(statuses[property])
			if (response.status === 201) continue
			const problem = await readProblem(response)
			expect(problem).toMatchObject({ code: 'unique_violation', constraint: `alike.${property}` })
			expect(JSON.stringify(problem)).not.toContain(second)
		}
	}
})

test('names of tenants and keys come back equal, or are refused by name', async () => {
	await each(strangeTexts, async (text) => {
		const made = await send('POST', '/v1/keys', tenant.secret, { name: text, scopes: ['read'] })
		if (/\S/.test(text) && [...text].length <= 200) expect(made.status, text).toBe(201)
		if (made.status === 201) expect((await made.json<{ name: string }>()).name).toBe(text)
		else expect((await readProblem(made)).errors).toMatchObject([{ pointer: '/name' }])
	})
	const slugs = strangeTexts.filter((text) => !/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/.test(text))
	await each(slugs, async (slug) => {
		const made = await send('POST', '/v1/tenants', 'fho_test_operator_token', { slug, name: 'Tenant' })
		expect(
			(await readProblem(made)).errors?.map(({ pointer }) => pointer),
			slug,
		).toContain('/slug')
	})
})

async function putSchema(collection: string, schema: object): Promise<void> {
	expect((await send('PUT', `/v1/collections/${collection}`, tenant.secret, { schema })).status).toBe(201)
}

function sendBytes(body: Uint8Array<ArrayBuffer>): Promise<Response> {
	return main.fetch(new Request(request('POST', records, tenant.secret, '{}'), { body }))
}

function unitOf(char: string, width: number, little: boolean): number[] {
	const bytes = [char.charCodeAt(0), ...Array.from({ length: width - 1 }, () => 0)]
	return little ? bytes : bytes.reverse()
}

/** The text of the data of a record, as it stands in the answer. */
async function dataAt(path: string): Promise<string> {
	const response = await send('GET', path, tenant.secret)
	expect(response.status).toBe(200)
	const text = await response.text()
	return text.slice(text.indexOf('"data":') + '"data":'.length, -1)
}

async function positionOf(): Promise<number> {
	const shown = await send('GET', '/v1/tenant', tenant.secret)
	return (await shown.json<{ usage: { position: number } }>()).usage.position
}
