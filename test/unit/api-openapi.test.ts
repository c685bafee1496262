import { expect, test } from 'vitest'
import { routeTable } from '../../workers/api/routes.ts'
import { Edge } from '../api-ports.ts'

interface Operation {
	operationId: string
	security: object[]
	parameters?: { name: string; in: string }[]
	requestBody?: { content: Record<string, { schema?: object; example?: unknown }> }
	responses: Record<
		string,
		{ description: string; headers?: object; content?: Record<string, { schema?: object; example?: unknown }> }
	>
}

interface Document {
	openapi: string
	paths: Record<string, Record<string, Operation>>
	components: { schemas: Record<string, object>; securitySchemes: Record<string, object> }
}

async function readDocument(): Promise<Document> {
	return (await new Edge().fetch('GET', '/openapi.json')).json<Document>()
}

test('the OpenAPI document describes every route, and no other', async () => {
	const { openapi, paths, components } = await readDocument()
	expect(openapi).toBe('3.1.0')
	const described = Object.entries(paths).flatMap(([path, methods]) =>
		Object.keys(methods).map((method) => `${method} ${path}`),
	)
	expect(described.sort()).toEqual(routeTable.map(({ method, path }) => `${method} ${path}`).sort())
	expect(Object.keys(components.securitySchemes).sort()).toEqual(['apiKey', 'operatorToken'])
	const ids = Object.values(paths).flatMap((methods) => Object.values(methods).map(({ operationId }) => operationId))
	expect(new Set(ids).size).toBe(ids.length)
})

test('every reference in the document leads somewhere', async () => {
	const document = await readDocument()
	const references = [...JSON.stringify(document).matchAll(/"\$ref":"#\/components\/schemas\/([^"]+)"/g)].map(
		(match) => match[1] ?? '',
	)
	expect(references.length).toBeGreaterThan(20)
	for (const name of references) expect(document.components.schemas).toHaveProperty(name)
})

test('every operation names its security, its errors, its path parameters and shows an example', async () => {
	const { paths } = await readDocument()
	for (const { method, path, access, mutates } of routeTable) {
		const operation = paths[path]?.[method]
		if (!operation) throw new Error(`${method} ${path} is missing`)
		const scheme = access.audience === 'tenant' ? 'apiKey' : 'operatorToken'
		expect(operation.security).toEqual(access.audience === 'public' ? [] : [{ [scheme]: [] }])
		const named = (operation.parameters ?? []).filter((parameter) => parameter.in === 'path').map(({ name }) => name)
		const inPath = [...path.matchAll(/\{([a-z]+)\}/g)].map((match) => match[1])
		expect(named).toEqual(inPath)
		expect((operation.parameters ?? []).some(({ name }) => name === 'Idempotency-Key')).toBe(mutates)
		if (access.audience !== 'public') {
			for (const status of ['400', '401', '403', '500', '503']) {
				expect(operation.responses[status]?.content?.['application/problem+json']?.schema).toEqual({
					$ref: '#/components/schemas/Problem',
				})
			}
			const good = Object.entries(operation.responses).filter(
				([status, { content }]) => status.startsWith('2') && content,
			)
			for (const [, { content }] of good) expect(Object.values(content ?? {})[0]?.example).toBeDefined()
		}
		if (operation.requestBody) expect(Object.values(operation.requestBody.content)[0]?.example).toBeDefined()
	}
})
