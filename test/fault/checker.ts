/**
 * Judges a run: the histories of its clients, the journals of its shards and samples of its view. A shard has one total
 * order, its journal, so nothing is searched for: the journal is played through a model, and everything that anybody was
 * told or saw is held against the model's states.
 */
import type { Attempt, Journal, ViewSample } from './history.ts'
import { checkHistory } from './history-check.ts'
import { checkView } from './view-check.ts'

export interface Run {
	attempts: Attempt[]
	journals: Journal[]
	samples: ViewSample[]
	/** How often each fault was injected; counted as `fault.<name>`. */
	faults: Record<string, number>
	/** What a run must have seen at least, by the names of `Verdict.counts`; otherwise it proves nothing. */
	minimum: Record<string, number>
}

export interface Violation {
	tenant: string
	kind: ViolationKind
	/** The journal position it is about, where there is one. */
	seq: number | null
	detail: string
}

export type ViolationKind =
	/** Positions are not 1, 2, 3, … */
	| 'gap'
	/** An entry that no request explains. */
	| 'nobody_asked'
	/** An entry that the model does not have there: another operation, version or record. */
	| 'wrong_entry'
	/** A request that was refused left an entry. */
	| 'refused_but_done'
	/** One request, or the retries of one, left more than one effect. */
	| 'doubled'
	/** An acknowledged write is not in the journal. */
	| 'lost'
	/** An acknowledged write was given the position of somebody else's. */
	| 'position_reused'
	/** What a client was told is not what the model says. */
	| 'wrong_answer'
	/** Another request was accepted under the same idempotency key. */
	| 'key_reused'
	/** A precondition did not hold where the write took effect. */
	| 'condition_ignored'
	/** Two records hold one unique value. */
	| 'unique'
	/** A write that began after another was acknowledged has the lower position. */
	| 'order'
	/** A read saw a state from before what was acknowledged when it began. */
	| 'stale_read'
	/** A read saw a state that never was, or not yet. */
	| 'wrong_read'
	/** A refusal that no state of its time explains. */
	| 'unexplained_refusal'
	| 'row_too_old'
	| 'row_too_new'
	/** A row that the shard never had. */
	| 'row_wrong'
	| 'row_missing'
	/** The view says that it is exact and differs. */
	| 'exact_unequal'
	| 'watermark_back'
	| 'watermark_ahead'
	/** When all was over, the view did not show the whole journal. */
	| 'not_converged'

export interface Verdict {
	/** `inconclusive` is as bad as `violated`: a run that saw too little must not pass for one that found nothing. */
	verdict: 'passed' | 'violated' | 'inconclusive'
	violations: Violation[]
	/** `ok.<op>`, `fail.<code>`, `info.<op>`, `info_done`, `replayed`, `entries`, `sample.exact`, `sample.bounded`, `fault.<name>`. */
	counts: Record<string, number>
	/** What was too little: `<name>: <count> of <minimum>`. */
	lacking: string[]
}

export function check(run: Run): Verdict {
	const counts: Record<string, number> = {}
	const count = (name: string, by = 1) => {
		counts[name] = (counts[name] ?? 0) + by
	}
	for (const [name, times] of Object.entries(run.faults)) count(`fault.${name}`, times)
	const attempts = groupBy(run.attempts)
	const samples = groupBy(run.samples)
	const violations = run.journals.flatMap((journal) => {
		const { model, violations: ofHistory } = checkHistory(journal, attempts.get(journal.tenant) ?? [], count)
		return [...ofHistory, ...checkView(journal, model, samples.get(journal.tenant) ?? [], count)]
	})
	const known = new Set(run.journals.map(({ tenant }) => tenant))
	const strangers = [...attempts.keys(), ...samples.keys()].filter((tenant) => !known.has(tenant))
	if (strangers.length > 0) throw new Error(`there is no journal of ${strangers.join()}`)
	const lacking = Object.entries(run.minimum)
		.filter(([name, least]) => (counts[name] ?? 0) < least)
		.map(([name, least]) => `${name}: ${counts[name] ?? 0} of ${least}`)
	const verdict = violations.length > 0 ? 'violated' : lacking.length > 0 ? 'inconclusive' : 'passed'
	return { verdict, violations, counts, lacking }
}

/** Counts one thing of a run under a name. */
export type Count = (name: string, by?: number) => void

function groupBy<T extends { tenant: string }>(all: readonly T[]): Map<string, T[]> {
	const groups = new Map<string, T[]>()
	for (const one of all) {
		const group = groups.get(one.tenant)
		if (group) group.push(one)
		else groups.set(one.tenant, [one])
	}
	return groups
}
