import type { BatchOperation, BatchWritten } from '../../core/contract.ts'
import { accept, type Fault, type Outcome, type Refusal } from '../../core/refusal.ts'
import { head } from './journal.ts'
import { createRecord, deleteRecord, etagOf, patchRecord, putRecord } from './records.ts'
import type { Work } from './work.ts'

/** Steps of checking that one batch may take; 1,000 simple records take a hundredth of it, and it is spent in about a second. */
const batchStepsMax = 2_000_000

/** Runs all operations or none: the first refusal rolls back whatever went before and names its place. */
export function runBatch(work: Work, takes: { operations: BatchOperation[] }): Outcome<BatchWritten> {
	const results: BatchWritten['results'] = []
	const metered = { ...work, meter: { steps: batchStepsMax } }
	for (const [index, operation] of takes.operations.entries()) {
		const outcome = runOne(metered, operation)
		if (!outcome.ok) return { ok: false, refusal: placed(outcome.refusal, index) }
		results.push(outcome.value)
	}
	return accept({ results, position: head(work.sql) })
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
	const inner: Fault[] = refusal.errors ?? [{ pointer: '', detail: refusal.detail }]
	const errors = inner.map(({ pointer, detail }) => ({
		pointer: pointer === '' ? place : `${place}/data${pointer}`,
		detail,
	}))
	return { ...refusal, detail: `operations/${index}: ${refusal.detail}`, errors }
}
