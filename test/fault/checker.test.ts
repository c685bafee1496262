import { expect, test } from 'vitest'
import { check, type Run, type ViolationKind } from './checker.ts'
import type { Answered, Attempt, ClientOperation, Data, JournalEntry, SeenRecord, ViewSample } from './history.ts'

const tenant = 'eu_1'
const schema = {
	type: 'object',
	properties: { email: { type: 'string', 'x-unique': 'ci' }, phone: { type: 'string', 'x-personal': true } },
}

/** A run of one tenant in which each request begins after the last one has returned, unless a test says otherwise. */
class Story {
	readonly run: Run = { attempts: [], journals: [{ tenant, entries: [] }], samples: [], faults: {}, minimum: {} }
	#time = 0

	attempt(operation: ClientOperation, more: Partial<Attempt> = {}): Attempt {
		const attempt: Attempt = {
			tenant,
			request: `request-${this.run.attempts.length + 1}`,
			idempotencyKey: null,
			operation,
			invokedAt: ++this.#time,
			returnedAt: ++this.#time,
			outcome: 'ok',
			status: 200,
			code: null,
			answer: null,
			...more,
		}
		this.run.attempts.push(attempt)
		return attempt
	}

	entry(entry: Partial<JournalEntry>): number {
		const { entries } = this.journal
		const seq = entries.length + 1
		entries.push({ seq, op: 'update', collection: 'c', id: 'a', version: 1, request: null, ...entry })
		return seq
	}

	/** A write that takes effect and is acknowledged. */
	write(operation: ClientOperation, entry: Partial<JournalEntry>, more: Partial<Attempt> = {}): Attempt {
		const attempt = this.attempt(operation, more)
		const seq = this.entry({ request: attempt.request, ...entry })
		const data = 'data' in operation ? operation.data : null
		const records = data ? [{ id: entry.id ?? 'a', version: entry.version ?? 1, seq, data }] : []
		attempt.answer ??= { position: seq, records }
		return attempt
	}

	define(given: Data = schema, version = 1): Attempt {
		return this.write({ op: 'define', collection: 'c', schema: given }, { op: 'schema', id: null, version })
	}

	put(id: string, data: Data, version: number, more: Partial<Attempt> = {}): Attempt {
		const op = version === 1 ? 'create' : 'update'
		return this.write({ op: 'put', collection: 'c', id, data }, { op, id, version }, more)
	}

	get(record: SeenRecord, more: Partial<Attempt> = {}): Attempt {
		const answer = { position: null, records: [record] }
		return this.attempt({ op: 'get', collection: 'c', id: record.id }, { answer, ...more })
	}

	fail(operation: ClientOperation, code: string): Attempt {
		return this.attempt(operation, { outcome: 'fail', status: 409, code })
	}

	sample(appliedSeq: number, readSeq: number, rows: [id: string, version: number, data: Data][]): ViewSample {
		const shown = rows.map(([id, version, data]) => ({ collection: 'c', id, version, data }))
		const exact = appliedSeq === readSeq
		const flags = { exact, filling: false, final: false }
		const sample = { tenant, epoch: 1, appliedSeq, readSeq, ...flags, rows: shown, deadLetters: [] }
		this.run.samples.push(sample)
		return sample
	}

	get journal() {
		const [journal] = this.run.journals
		if (!journal) throw new Error('there is one')
		return journal
	}

	found(): ViolationKind[] {
		return check(this.run).violations.map(({ kind }) => kind)
	}
}

const both = (story: Story): Answered => ({ position: story.journal.entries.length, records: [] })

/** A run with every kind of operation in it and nothing wrong. */
function goodStory(): Story {
	const story = new Story()
	story.entry({ op: 'tenant', collection: null, id: null })
	story.define()
	story.put('a', { n: 1, phone: '1' }, 1)
	story.put('b', { email: 'Ann@example.org' }, 1)
	story.fail({ op: 'put', collection: 'c', id: 'a', data: { email: 'ann@EXAMPLE.org' } }, 'unique_violation')
	story.fail({ op: 'delete', collection: 'c', id: 'z' }, 'not_found')
	const patched = { id: 'a', version: 2, seq: 5, data: { phone: '1', m: { x: 1 } } }
	story.write(
		{ op: 'patch', collection: 'c', id: 'a', patch: { n: null, m: { x: 1 } } },
		{ id: 'a', version: 2 },
		{ answer: { position: 5, records: [patched] } },
	)
	const lost = story.attempt({ op: 'put', collection: 'c', id: 'a', data: { n: 3 } }, { outcome: 'info' })
	story.entry({ id: 'a', version: 3, request: lost.request })
	story.get({ id: 'a', version: 3, seq: 6, data: { n: 3 } })
	story.write({ op: 'delete', collection: 'c', id: 'b' }, { op: 'delete', id: 'b', version: 2 })
	story.attempt(
		{ op: 'list', collection: 'c' },
		{ answer: { position: null, records: [{ id: 'a', version: 3, seq: 6, data: { n: 3 } }] } },
	)
	story.sample(3, 3, [['a', 1, { n: 1 }]])
	story.sample(4, 6, [
		['a', 3, { n: 3 }],
		['b', 1, { email: 'Ann@example.org' }],
	])
	story.sample(7, 7, [['a', 3, { n: 3 }]]).final = true
	return story
}

test('a run in which nothing is wrong passes, and says what it saw', () => {
	const verdict = check(goodStory().run)
	expect(verdict).toMatchObject({ verdict: 'passed', violations: [], lacking: [] })
	expect(verdict.counts).toMatchObject({
		'ok.put': 2,
		'info.put': 1,
		info_done: 1,
		'fail.unique_violation': 1,
		'sample.exact': 2,
		'sample.bounded': 1,
		entries: 7,
	})
})

test('a run that saw too little is inconclusive, which is not passed', () => {
	const { run } = goodStory()
	const verdict = check({ ...run, faults: { kill: 2 }, minimum: { 'ok.put': 2, 'fault.kill': 3, 'sample.exact': 9 } })
	expect(verdict.verdict).toBe('inconclusive')
	expect(verdict.lacking).toEqual(['fault.kill: 2 of 3', 'sample.exact: 2 of 9'])
})

/** Each breaks the good run, or tells another one, and names what must be found. */
const broken: [what: string, kind: ViolationKind, story: (story: Story) => void][] = [
	[
		'an acknowledged write that is not in the journal',
		'lost',
		(story) => {
			story.attempt({ op: 'put', collection: 'c', id: 'q', data: {} }, { answer: { position: 8, records: [] } })
		},
	],
	[
		'an acknowledged write whose position belongs to another',
		'position_reused',
		(story) => {
			story.attempt({ op: 'put', collection: 'c', id: 'q', data: {} }, { answer: { position: 3, records: [] } })
		},
	],
	[
		'one request that took effect twice',
		'doubled',
		(story) => {
			const { request } = story.put('q', { n: 1 }, 1)
			story.entry({ id: 'q', version: 2, request })
		},
	],
	[
		'a retry that took effect once more',
		'doubled',
		(story) => {
			story.put('q', { n: 1 }, 1, { idempotencyKey: 'k' })
			story.put('q', { n: 1 }, 2, { idempotencyKey: 'k' })
		},
	],
	[
		'a write that nobody asked for',
		'nobody_asked',
		(story) => {
			story.entry({ op: 'create', id: 'q', request: 'request-of-nobody' })
		},
	],
	[
		'a refused write that took effect',
		'refused_but_done',
		(story) => {
			const { request } = story.fail({ op: 'put', collection: 'c', id: 'q', data: {} }, 'validation_failed')
			story.entry({ op: 'create', id: 'q', request })
		},
	],
	[
		'a position that is missing',
		'gap',
		(story) => {
			story.journal.entries.splice(0, 1)
		},
	],
	[
		'a position that comes twice',
		'gap',
		(story) => {
			story.entry({ seq: 7, op: 'key', collection: null, id: null })
		},
	],
	[
		'a version that does not follow',
		'wrong_entry',
		(story) => {
			story.put('a', { n: 9 }, 5)
		},
	],
	[
		'a create of what is there',
		'wrong_entry',
		(story) => {
			story.put('a', { n: 9 }, 1)
		},
	],
	[
		'half of a batch',
		'wrong_entry',
		(story) => {
			const operations = ['x', 'y'].map((id) => ({ op: 'put' as const, collection: 'c', id, data: {} }))
			const { request } = story.attempt({ op: 'batch', operations }, { outcome: 'info' })
			story.entry({ op: 'create', id: 'x', request })
		},
	],
	[
		'a wrong version in the answer',
		'wrong_answer',
		(story) => {
			const answer = { position: 8, records: [{ id: 'q', version: 2, seq: 8, data: {} }] }
			story.put('q', {}, 1, { answer })
		},
	],
	[
		'a wrong position in the answer',
		'wrong_answer',
		(story) => {
			story.put('q', {}, 1, { answer: { position: 7, records: [] } })
		},
	],
	[
		'another record in the answer',
		'wrong_answer',
		(story) => {
			story.put('q', { n: 1 }, 1, { answer: { position: 8, records: [{ id: 'q', version: 1, seq: 8, data: {} }] } })
		},
	],
	[
		'a key that stood for two requests',
		'key_reused',
		(story) => {
			const { answer } = story.put('q', { n: 1 }, 1, { idempotencyKey: 'k' })
			story.attempt({ op: 'put', collection: 'c', id: 'q', data: { n: 2 } }, { idempotencyKey: 'k', answer })
		},
	],
	[
		'a precondition that did not hold',
		'condition_ignored',
		(story) => {
			const operation = { op: 'put' as const, collection: 'c', id: 'a', data: {}, ifMatch: ['1-3'] }
			story.write(operation, { id: 'a', version: 4 })
		},
	],
	[
		'an If-None-Match that did not hold',
		'condition_ignored',
		(story) => {
			story.write({ op: 'put', collection: 'c', id: 'a', data: {}, ifNoneMatch: '*' }, { id: 'a', version: 4 })
		},
	],
	[
		'two records with one unique value',
		'unique',
		(story) => {
			story.put('x', { email: 'bob@example.org' }, 1)
			story.put('y', { email: 'BOB@example.org' }, 1)
		},
	],
	[
		'a write that began later and came earlier',
		'order',
		(story) => {
			const late = story.attempt({ op: 'put', collection: 'c', id: 'y', data: {} }, { invokedAt: 900, returnedAt: 901 })
			late.answer = { position: story.entry({ op: 'create', id: 'y', request: late.request }), records: [] }
			story.put('x', {}, 1, { invokedAt: 800, returnedAt: 801 })
		},
	],
	[
		'a read of what was before',
		'stale_read',
		(story) => {
			story.get({ id: 'a', version: 1, seq: 3, data: { n: 1, phone: '1' } })
		},
	],
	[
		'a read of what never was',
		'wrong_read',
		(story) => {
			story.get({ id: 'a', version: 3, seq: 6, data: { n: 4 } })
		},
	],
	[
		'a read of what had not happened yet',
		'wrong_read',
		(story) => {
			story.get({ id: 'q', version: 1, seq: 8, data: {} }, { invokedAt: 700, returnedAt: 701 })
			story.put('q', {}, 1, { invokedAt: 800, returnedAt: 801 })
		},
	],
	[
		'a list that lacks a record',
		'wrong_read',
		(story) => {
			story.attempt({ op: 'list', collection: 'c' }, { answer: { position: null, records: [] } })
		},
	],
	[
		'a list with a record of before',
		'stale_read',
		(story) => {
			const records = [{ id: 'a', version: 1, seq: 3, data: { n: 1, phone: '1' } }]
			story.attempt({ op: 'list', collection: 'c' }, { answer: { position: null, records } })
		},
	],
	[
		'a record that was there and not found',
		'unexplained_refusal',
		(story) => {
			story.fail({ op: 'get', collection: 'c', id: 'a' }, 'not_found')
		},
	],
	[
		'a unique value that nobody held',
		'unexplained_refusal',
		(story) => {
			const data = { email: 'ann@example.org' }
			story.fail({ op: 'put', collection: 'c', id: 'q', data }, 'unique_violation')
		},
	],
	[
		'a precondition that held and was refused',
		'unexplained_refusal',
		(story) => {
			story.fail({ op: 'delete', collection: 'c', id: 'a', ifMatch: ['3-6'] }, 'precondition_failed')
		},
	],
	[
		'a row that is older than the watermark',
		'row_too_old',
		(story) => {
			story.put('a', { n: 4 }, 4)
			story.sample(7, 8, [['a', 2, { m: { x: 1 } }]])
		},
	],
	[
		'a row that is newer than what was read',
		'row_too_new',
		(story) => {
			story.put('q', {}, 1)
			story.put('a', { n: 4 }, 4)
			story.sample(7, 8, [['a', 4, { n: 4 }]])
		},
	],
	[
		'a row that the view lacks',
		'row_missing',
		(story) => {
			story.put('q', {}, 1)
			story.sample(7, 8, [])
		},
	],
	[
		'a row with a personal field',
		'row_wrong',
		(story) => {
			story.put('q', { phone: '2' }, 1)
			story.entry({ op: 'key', collection: null, id: null })
			story.sample(8, 9, [
				['a', 3, { n: 3 }],
				['q', 1, { phone: '2' }],
			])
		},
	],
	[
		'a row of nobody',
		'row_wrong',
		(story) => {
			story.sample(7, 7, [
				['a', 3, { n: 3 }],
				['nobody', 1, {}],
			])
		},
	],
	[
		'a view that says it is exact and differs',
		'exact_unequal',
		(story) => {
			story.sample(7, 7, [['a', 2, { m: { x: 1 } }]])
		},
	],
	[
		'a view that says it is exact before it is',
		'exact_unequal',
		(story) => {
			story.put('q', {}, 1)
			story.sample(7, 8, [['a', 3, { n: 3 }]]).exact = true
		},
	],
	[
		'a watermark that goes back',
		'watermark_back',
		(story) => {
			story.sample(3, 3, [['a', 1, { n: 1 }]])
		},
	],
	[
		'a head that goes back',
		'watermark_back',
		(story) => {
			story.put('q', {}, 1)
			story.sample(7, 8, [['a', 3, { n: 3 }]])
			story.sample(7, 7, [['a', 3, { n: 3 }]])
		},
	],
	[
		'a watermark beyond the journal',
		'watermark_ahead',
		(story) => {
			story.sample(9, 9, [])
		},
	],
	[
		'a view that never caught up',
		'not_converged',
		(story) => {
			story.put('q', {}, 1)
			story.sample(7, 7, [['a', 3, { n: 3 }]]).final = true
		},
	],
	[
		'a view that caught up without being exact',
		'not_converged',
		(story) => {
			const sample = story.sample(7, 7, [])
			Object.assign(sample, { exact: false, final: true, deadLetters: [{ collection: 'c', id: 'a' }] })
		},
	],
]

test.each(broken)('the checker names %s', (_, kind, breaks) => {
	const story = goodStory()
	breaks(story)
	expect(story.found()).toContain(kind)
	expect(check(story.run).verdict).toBe('violated')
})

test('what is unknown may have happened or not, late or not', () => {
	const story = new Story()
	story.define()
	const unknown = story.attempt({ op: 'put', collection: 'c', id: 'a', data: { n: 1 } }, { outcome: 'info' })
	story.attempt({ op: 'put', collection: 'c', id: 'b', data: { n: 1 } }, { outcome: 'info' })
	story.put('b', { n: 2 }, 1)
	story.entry({ op: 'create', id: 'a', request: unknown.request })
	story.get({ id: 'a', version: 1, seq: 3, data: { n: 1 } })
	expect(story.found()).toEqual([])
})

test('a retry is given the answer of the attempt that took effect, also when its client was never told', () => {
	const story = new Story()
	story.define()
	const operation = { op: 'create', collection: 'c', data: { n: 1 } } as const
	const first = story.attempt(operation, { outcome: 'info', idempotencyKey: 'k' })
	const seq = story.entry({ op: 'create', id: 'minted', request: first.request })
	const answer = { position: seq, records: [{ id: 'minted', version: 1, seq, data: { n: 1 } }] }
	story.attempt(operation, { idempotencyKey: 'k', answer })
	story.attempt(
		{ ...operation, data: { n: 2 } },
		{ idempotencyKey: 'k', outcome: 'fail', code: 'idempotency_mismatch' },
	)
	expect(story.found()).toEqual([])
	expect(check(story.run).counts.replayed).toBe(1)
})

test('requests that overlap may come in either order, and reads see either state', () => {
	const story = new Story()
	story.define()
	story.put('a', { n: 2 }, 1, { invokedAt: 100, returnedAt: 200 })
	story.put('a', { n: 1 }, 2, { invokedAt: 90, returnedAt: 210 })
	for (const [version, seq, n] of [
		[1, 2, 2],
		[2, 3, 1],
	] as const)
		story.get({ id: 'a', version, seq, data: { n } }, { invokedAt: 150, returnedAt: 151 + seq })
	expect(story.found()).toEqual([])
})

test('after a drop, everything begins again, and rows of before are wrong', () => {
	const story = new Story()
	story.define()
	story.put('a', { n: 1, email: 'a' }, 1)
	story.write({ op: 'drop', collection: 'c' }, { op: 'schema', id: null, version: null })
	story.fail({ op: 'get', collection: 'c', id: 'a' }, 'not_found')
	story.define()
	story.put('b', { email: 'a' }, 1)
	story.sample(5, 5, [['b', 1, { email: 'a' }]])
	expect(story.found()).toEqual([])
	story.sample(5, 5, [
		['a', 1, { n: 1, email: 'a' }],
		['b', 1, { email: 'a' }],
	])
	expect(story.found()).toEqual(['exact_unequal'])
})

test('a field that becomes personal leaves the row with the entry that says so', () => {
	const story = new Story()
	story.define({ type: 'object', properties: {} })
	story.put('a', { n: 1, phone: '1' }, 1)
	story.define(schema, 2)
	story.sample(2, 2, [['a', 1, { n: 1, phone: '1' }]])
	story.sample(2, 3, [['a', 1, { n: 1 }]])
	expect(story.found()).toEqual([])
	story.sample(3, 3, [['a', 1, { n: 1, phone: '1' }]])
	expect(story.found()).toEqual(['exact_unequal'])
})

test('a schema that is put again as it is leaves no entry, and a batch leaves one each', () => {
	const story = new Story()
	story.define()
	story.attempt({ op: 'define', collection: 'c', schema }, { answer: both(story) })
	const batch = story.attempt({
		op: 'batch',
		operations: [
			{ op: 'put', collection: 'c', id: 'a', data: { n: 1 } },
			{ op: 'delete', collection: 'c', id: 'a' },
		],
	})
	story.entry({ op: 'create', id: 'a', version: 1, request: batch.request })
	story.entry({ op: 'delete', id: 'a', version: 2, request: batch.request })
	const results = [1, 2].map((version) => ({ id: 'a', version, seq: null, data: null }))
	batch.answer = { position: 3, records: results }
	expect(story.found()).toEqual([])
})

test('a dead letter excuses the row that it names, and a view that is being filled lacks rows', () => {
	const story = new Story()
	story.define()
	story.put('a', { n: 1 }, 1)
	const letter = story.sample(2, 2, [])
	Object.assign(letter, { exact: false, deadLetters: [{ collection: 'c', id: 'a' }] })
	Object.assign(story.sample(2, 2, []), { exact: false, filling: true })
	expect(story.found()).toEqual([])
	letter.exact = true
	expect(story.found()).toEqual([])
	letter.deadLetters = []
	expect(story.found()).toEqual(['exact_unequal'])
})
