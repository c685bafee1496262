import { expect } from 'vitest'
import { type RefusalCode, statusByCode } from '../../core/refusal.ts'

export interface Problem {
	type: string
	title: string
	status: number
	detail: string
	code: RefusalCode
	request_id: string
	errors?: { pointer: string; detail: string }[]
	constraint?: string
}

/** The status and, of a refusal, the code: what a table of expectations names. */
export type Verdict = number | RefusalCode

/** Reads a refusal and holds it to RFC 9457 and to what every refusal of this API says. */
export async function readProblem(response: Response): Promise<Problem> {
	const text = await response.text()
	expect(response.headers.get('Content-Type'), text).toBe('application/problem+json')
	const problem = JSON.parse(text) as Problem
	expect(problem).toMatchObject({
		type: `urn:problem-type:freehold:${problem.code}`,
		title: expect.stringMatching(/\S/),
		detail: expect.stringMatching(/\S/),
		status: response.status,
		request_id: response.headers.get('X-Request-Id'),
	})
	expect(statusByCode[problem.code]).toBe(response.status)
	for (const fault of problem.errors ?? [])
		expect(fault).toEqual({ pointer: expect.any(String), detail: expect.stringMatching(/\S/) })
	if (problem.errors) expect(problem.errors.length).toBeGreaterThan(0)
	return problem
}

/** The code of a refusal, otherwise the status. A refusal is held to its form on the way. */
export async function verdictOf(response: Response): Promise<Verdict> {
	if (response.status >= 400) return (await readProblem(response)).code
	await response.body?.cancel()
	return response.status
}

/** Text that no answer and no log may repeat; it is put into values, never into names. */
export const canary = 'canaryq7x'

/**
 * Holds any answer to what bad input may get: anything but a 5xx, and a refusal that names the place when the request can be
 * blamed at one, without repeating a value. The view has no database in this layer and says so.
 */
export async function expectCalm(response: Response, context: string): Promise<Verdict> {
	if (response.status < 400) {
		await response.body?.cancel()
		return response.status
	}
	const problem = await readProblem(response)
	if (problem.code !== 'view_unavailable') expect(response.status, `${context}: ${problem.detail}`).toBeLessThan(500)
	expect(JSON.stringify(problem), context).not.toContain(canary)
	if (placed.has(response.status) && !unplaced.some((start) => problem.detail.startsWith(start)))
		expect(problem.errors?.[0]?.pointer, `${context}: ${problem.code}, ${problem.detail}`).toBeTypeOf('string')
	return problem.code
}

const placed = new Set([400, 422])
/** Text that cannot be read or is not parsed has no places, and neither has what is one too many. */
const unplaced = [
	'the body is not valid JSON',
	'the body is not valid UTF-8',
	'the body could not be read to its end',
	'the body nests deeper than',
	'a tenant may have',
]
