import type { BatchOperation, BatchWritten } from '../../core/contract.ts'
import { accept, type Fault, type Outcome, type Refusal, refuse } from '../../core/refusal.ts'
import { createMany } from './bulk.ts'
import { createRecord, deleteRecord, etagOf, patchRecord, putRecord, readRecord } from './records.ts'
import { keyedByPerson, requireKeys } from './sealing.ts'
import { attempt, type Work } from './work.ts'

/** Steps of checking that one batch may take; 1,000 simple records take a hundredth of it, and it is spent in about a second. */
const batchStepsMax = 2_000_000

/** Below this the set-based statements cost more than they save. */
const bulkOperationsMin = 4

/** Runs all operations or none: the first refusal rolls back whatever went before and names its place. */
export function runBatch(work: Work, takes: { operations: BatchOperation[] }): Outcome<BatchWritten> {
	const results: BatchWritten['results'] = []
	const metered = { ...work, meter: { steps: batchStepsMax }, storage: work.storage.together() }
	requireKeysOf(work, takes.operations)
	const bulk = runBulk(metered, takes.operations)
	if (bulk) return accept(bulk)
	for (const [index, operation] of takes.operations.entries()) {
		const outcome = runOne(metered, operation)
		if (!outcome.ok) return { ok: false, refusal: placed(outcome.refusal, index) }
		results.push(outcome.value)
	}
	return accept({ results, position: work.journal.head })
}

/** What the operations will need of persons' keys, as far as can be told before the first of them. */
function requireKeysOf(work: Work, operations: BatchOperation[]): void {
	for (const [name, asked] of Map.groupBy(operations, ({ collection }) => collection)) {
		const definition = work.catalog.definition(name)
		if (!definition || !keyedByPerson(definition.schema)) continue
		const stored = asked.flatMap(({ op, id = '' }) => (op === 'patch' ? (readRecord(work, definition, id) ?? []) : []))
		const written = asked.flatMap(({ op, data = '{}' }) => (op === 'delete' ? [] : [data]))
		requireKeys(work, definition, stored, written)
	}
}

/** A batch of nothing but creates in one collection goes by sets; whatever is refused there is asked again one by one. */
function runBulk(work: Work, operations: BatchOperation[]): BatchWritten | null {
	const collection = operations[0]?.collection ?? ''
	if (operations.length < bulkOperationsMin) return null
	if (operations.some((operation) => operation.op !== 'create' || operation.collection !== collection)) return null
	const definition = work.catalog.definition(collection)
	if (!definition) return null
	const outcome = attempt(work, () => {
		const written = createMany(
			work,
			definition,
			operations.map(({ data = '{}' }) => data),
		)
		return written ? accept(written) : refuse('unavailable', 'one by one')
	})
	return outcome.ok ? outcome.value : null
}

function runOne(work: Work, operation: BatchOperation): Outcome<BatchWritten['results'][number]> {
	const { op, collection, id = '', data = '{}', ifMatch = null } = operation
	if (op === 'delete') {
		const outcome = deleteRecord(work, { collection, id, ifMatch })
		if (!outcome.ok) return outcome
		const { version, position } = outcome.value
		return accept({ id, version, etag: `"${version}-${position}"` })
	}
	const outcome =
		op === 'create'
			? createRecord(work, { collection, data })
			: op === 'put'
				? putRecord(work, { collection, id, data, ifMatch, ifNoneMatch: null })
				: patchRecord(work, { collection, id, patch: data, ifMatch })
	if (!outcome.ok) return outcome
	const { record } = outcome.value
	return accept({ id: record.id, version: record.version, etag: `"${etagOf(record)}"` })
}

function placed(refusal: Refusal, index: number): Refusal {
	const place = `/operations/${index}`
	const errors: Fault[] = refusal.errors?.map(({ pointer, detail }) => ({
		pointer: `${place}/data${pointer}`,
		detail,
	})) ?? [{ pointer: place, detail: refusal.detail }]
	return { ...refusal, detail: `operations/${index}: ${refusal.detail}`, errors }
}
