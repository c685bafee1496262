import type { Count, Violation, ViolationKind } from './checker.ts'
import type { Journal, ViewRow, ViewSample } from './history.ts'
import type { JournalModel } from './journal-model.ts'

/** Holds samples of the view against the states that the shard went through (V1, V2). */
export function checkView(
	{ tenant, entries }: Journal,
	model: JournalModel,
	samples: ViewSample[],
	count: Count,
): Violation[] {
	const violations: Violation[] = []
	const report = (kind: ViolationKind, seq: number, detail: string) => violations.push({ tenant, kind, seq, detail })
	const head = entries.length
	const keys = [...model.keys()]
	let before: ViewSample | null = null
	for (const sample of samples) {
		const { epoch, appliedSeq, readSeq, exact, final } = sample
		count(exact ? 'sample.exact' : 'sample.bounded')
		const isBack =
			before !== null &&
			(epoch < before.epoch || (epoch === before.epoch && (appliedSeq < before.appliedSeq || readSeq < before.readSeq)))
		if (isBack) report('watermark_back', appliedSeq, `it was ${before?.appliedSeq}, read at ${before?.readSeq}`)
		before = sample
		if (readSeq > head || appliedSeq > readSeq) {
			report('watermark_ahead', appliedSeq, `read at ${readSeq} of a journal of ${head}`)
			continue
		}
		if (exact && appliedSeq !== readSeq) report('exact_unequal', appliedSeq, `read at ${readSeq}`)
		if (final && !(exact && appliedSeq === head))
			report('not_converged', appliedSeq, `${exact ? 'exact' : 'not exact'} at ${appliedSeq} of ${head}`)
		checkRows(model, keys, sample, head, report)
	}
	return violations
}

type Report = (kind: ViolationKind, seq: number, detail: string) => void

function checkRows(
	model: JournalModel,
	keys: { collection: string; id: string }[],
	sample: ViewSample,
	head: number,
	report: Report,
): void {
	const { appliedSeq, readSeq, exact, filling } = sample
	const rows = new Map(sample.rows.map((row) => [`${row.collection}/${row.id}`, row]))
	if (rows.size < sample.rows.length) report('row_wrong', appliedSeq, 'a record has two rows')
	const last = exact ? appliedSeq : readSeq
	for (const { collection, id } of keys) {
		const place = `${collection}/${id}`
		const row = rows.get(place) ?? null
		rows.delete(place)
		if (model.showsOneOf(collection, id, row, appliedSeq, last)) continue
		if (filling || (row === null && isSetAside(sample, collection, id))) continue
		const kind = exact ? 'exact_unequal' : kindOf(model, collection, id, row, sample, head)
		report(kind, appliedSeq, `${place} at version ${row?.version ?? 'none'}, read at ${readSeq}`)
	}
	if (!filling) for (const place of rows.keys()) report('row_wrong', appliedSeq, `the shard never had ${place}`)
}

function isSetAside({ deadLetters }: ViewSample, collection: string, id: string): boolean {
	return deadLetters.some((letter) => letter.collection === collection && (letter.id === null || letter.id === id))
}

function kindOf(
	model: JournalModel,
	collection: string,
	id: string,
	row: ViewRow | null,
	{ appliedSeq, readSeq }: ViewSample,
	head: number,
): ViolationKind {
	if (row === null) return 'row_missing'
	if (model.showsOneOf(collection, id, row, 0, appliedSeq)) return 'row_too_old'
	return model.showsOneOf(collection, id, row, readSeq, head) ? 'row_too_new' : 'row_wrong'
}
