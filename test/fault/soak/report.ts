import { writeFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import type { Verdict } from '../checker.ts'
import type { Strike } from './nemesis.ts'

/** What one run did and what the checker says of it; goes to `report.json`. */
export interface Report {
	seed: number
	verdict: Verdict['verdict']
	/** How long the faults went on. */
	seconds: number
	/** From their end until the view showed everything. */
	secondsToConverge: number
	cores: number
	writesAcknowledged: number
	/** Attempts that settled nothing: 5xx, timeouts, resets. */
	unknown: number
	/** Writes that were sent again after they had been done, and answered as the first time. */
	replayed: number
	lost: number
	doubled: number
	/** Times a follower connected; each but the first resumed where the last one had ended. */
	streams: number
	/** Refusals that nothing in the workload explains, by code. */
	refusals: Record<string, number>
	/** What followers were told otherwise than the journal says. */
	streamFaults: string[]
	/** Looks at the view that found no server. */
	samplesMissed: number
	counts: Verdict['counts']
	violations: Verdict['violations']
	lacking: string[]
	strikes: Strike[]
}

/** What the workload is refused now and then; the checker asks each of them but the last for its reason. */
const expectedRefusals = ['not_found', 'precondition_failed', 'unique_violation', 'schema_conflict']

const writes = ['create', 'put', 'patch', 'delete', 'batch', 'define', 'drop']

/** What a run of a minute must have seen at the least; a machine that is ten times slower than a laptop gets there. */
const leastOperations = {
	'ok.create': 30,
	'ok.put': 30,
	'ok.patch': 20,
	'ok.delete': 20,
	'ok.batch': 10,
	'ok.get': 20,
	'ok.list': 10,
	'ok.define': 4,
	'ok.drop': 1,
	'fail.not_found': 5,
	'fail.precondition_failed': 3,
	'fail.unique_violation': 3,
	'sample.exact': 40,
}

/** The least counts of a run, by the checker's names. */
export function minimumOf(faults: readonly { name: string; times?: number }[]): Record<string, number> {
	const each = faults.map(({ name, times = 1 }) => [`fault.${name}`, times])
	return { ...leastOperations, ...Object.fromEntries(each) }
}

/** Whether something is still too little. */
export function lacks(
	minimum: Record<string, number>,
	counts: Record<string, number>,
	faults: Record<string, number>,
): boolean {
	const struck = Object.entries(faults).map(([name, times]) => [`fault.${name}`, times])
	const all: Record<string, number> = { ...counts, ...Object.fromEntries(struck) }
	return Object.entries(minimum).some(([name, least]) => (all[name] ?? 0) < least)
}

export function reportOf(
	{ verdict, counts, violations, lacking }: Verdict,
	run: Pick<
		Report,
		'seed' | 'seconds' | 'secondsToConverge' | 'streams' | 'streamFaults' | 'samplesMissed' | 'strikes'
	>,
): Report {
	const sum = (names: string[]) => names.reduce((total, name) => total + (counts[name] ?? 0), 0)
	const kinds = (kind: string) => violations.filter((violation) => violation.kind === kind).length
	const refused = Object.entries(counts).flatMap(([name, times]) =>
		name.startsWith('fail.') ? [{ code: name.slice('fail.'.length), times }] : [],
	)
	const refusals = Object.fromEntries(
		refused.filter(({ code }) => !expectedRefusals.includes(code)).map(({ code, times }) => [code, times]),
	)
	return {
		...run,
		refusals,
		verdict: run.streamFaults.length > 0 || Object.keys(refusals).length > 0 ? 'violated' : verdict,
		cores: availableParallelism(),
		writesAcknowledged: sum(writes.map((op) => `ok.${op}`)),
		unknown: sum([...writes, 'get', 'list'].map((op) => `info.${op}`)),
		replayed: counts.replayed ?? 0,
		lost: kinds('lost'),
		doubled: kinds('doubled'),
		counts,
		violations,
		lacking,
	}
}

export function writeReport(file: string, report: Report): void {
	writeFileSync(file, `${JSON.stringify(report, null, '\t')}\n`, { mode: 0o600 })
}

/** The report in a few lines, for a person. */
export function describe(report: Report): string {
	const { seed, verdict, seconds, secondsToConverge, counts, strikes, violations, lacking, refusals, streamFaults } =
		report
	const faults = Object.entries(counts).filter(([name]) => name.startsWith('fault.'))
	const kinds = new Set(violations.map(({ kind }) => kind))
	return [
		`seed ${seed}: ${verdict} after ${Math.round(seconds)} s of faults; the view was complete ${secondsToConverge.toFixed(1)} s later`,
		`${report.writesAcknowledged} writes acknowledged, ${report.unknown} answers unknown, ${report.replayed} writes sent again and replayed; lost ${report.lost}, doubled ${report.doubled}`,
		`${strikes.length} faults: ${faults.map(([name, times]) => `${name.slice('fault.'.length)} ${times}`).join(', ')}`,
		`${counts.entries ?? 0} journal entries; ${counts['sample.exact'] ?? 0} exact and ${counts['sample.bounded'] ?? 0} bounded samples of the view; ${report.streams} event streams`,
		...lacking.map((what) => `too little: ${what}`),
		...[...kinds].map((kind) => `${kind}: ${violations.filter((violation) => violation.kind === kind).length}`),
		...violations.slice(0, 10).map(({ kind, tenant, seq, detail }) => `${kind} at ${tenant}/${seq}: ${detail}`),
		...Object.entries(refusals).map(([code, times]) => `refused with ${code}: ${times}`),
		...streamFaults.map((fault) => `follower of ${fault}`),
	].join('\n')
}
