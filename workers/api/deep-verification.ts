/**
 * Compares a tenant's view with its shard record by record, while writes go on. What differs at a first look may only be on
 * its way; so it is looked at again once the view has come past that look: first in the view, then in the shard, which
 * tells whether the record has changed since the position of the view. What then differs and has not changed is wrong.
 */
import type { RowName, SurveyReply, SurveyRequest } from '../../core/contract.ts'
import {
	deepLooksMax,
	deepMsMax,
	deepRecordsMax,
	deepSuspectsMax,
	positionWaitMs,
	surveyRowsMax,
} from '../../core/limits.ts'
import { compareText } from '../../core/order.ts'
import { accept, type Outcome, refuse } from '../../core/refusal.ts'
import type { HeldRow, View } from '../../core/view.ts'

export interface DeepPorts {
	survey(request: SurveyRequest): Promise<Outcome<SurveyReply>>
	view: Pick<View, 'heldRange' | 'heldRows' | 'reached'>
	/** Milliseconds; only differences are used. */
	now(): number
}

type Rows = Extract<SurveyReply, { kind: 'rows' }>
type Tenant = Pick<SurveyRequest, 'tenant' | 'shard'>

export interface DeepComparison {
	/** The journal's end when the shard was asked last. */
	position: number
	/** Records of the shard that were compared, and all that it has. */
	compared: number
	records: number
	missing: RowName[]
	extra: RowName[]
	different: RowName[]
	/** Those that changed whenever they were looked at. */
	undecided: RowName[]
	/** Where the comparison goes on; null at its end. */
	next: RowName | null
}

/** Compares a part of the records, those after a place. */
export async function compareDeeply(
	tenant: Tenant,
	after: RowName | null,
	ports: DeepPorts,
): Promise<Outcome<DeepComparison>> {
	const looked = await look(tenant, after, ports)
	if (!looked.ok) return looked
	const { suspects, ...rest } = looked.value
	const decided = await decide(tenant, suspects, rest.position, ports)
	return decided.ok ? accept({ ...rest, ...decided.value }) : decided
}

interface Looked {
	position: number
	compared: number
	records: number
	suspects: RowName[]
	next: RowName | null
}

/** Goes through both sides in the order of names, until enough was compared or is suspected. */
async function look(tenant: Tenant, after: RowName | null, ports: DeepPorts): Promise<Outcome<Looked>> {
	const startedAt = ports.now()
	const looked: Looked = { position: 0, compared: 0, records: 0, suspects: [], next: after }
	do {
		const range = { after: looked.next, rowsMax: surveyRowsMax }
		const surveyed = await rowsOf(ports.survey({ ...tenant, what: 'range', ...range }))
		if (!surveyed.ok) return surveyed
		const { rows, last, head, records } = surveyed.value
		const held = await ports.view.heldRange(tenant.tenant, { after: range.after, last, limit: heldMax })
		if (!held.ok) return held
		// More than the shard can have there: the rest of the range is another look's.
		const end = held.value.length < heldMax ? last : (held.value.at(-1) ?? last)
		const own = end === null ? rows : rows.filter((row) => compareNames(row, end) <= 0)
		looked.suspects.push(...differing(own, held.value))
		looked.compared += own.length
		looked.position = head
		looked.records = records
		looked.next = end
	} while (
		looked.next !== null &&
		looked.suspects.length < deepSuspectsMax &&
		looked.compared < deepRecordsMax &&
		ports.now() - startedAt < deepMsMax
	)
	return accept(looked)
}

/** Rows of the view beside one survey. */
const heldMax = 2 * surveyRowsMax

type Decided = Pick<DeepComparison, 'position' | 'missing' | 'extra' | 'different' | 'undecided'>

async function decide(
	tenant: Tenant,
	suspects: RowName[],
	head: number,
	{ survey, view }: DeepPorts,
): Promise<Outcome<Decided>> {
	const decided: Decided = { position: head, missing: [], extra: [], different: [], undecided: suspects }
	for (let looks = 0; looks < deepLooksMax && decided.undecided.length > 0; looks++) {
		const names = decided.undecided
		const reached = await view.reached(tenant.tenant, decided.position, positionWaitMs)
		if (!reached.ok) return reached
		const held = await view.heldRows(tenant.tenant, names)
		if (!held.ok) return held
		if (held.value === null || held.value.hollow) return unsettled()
		const surveyed = await rowsOf(survey({ ...tenant, what: 'names', names, since: held.value.appliedSeq }))
		if (!surveyed.ok) return surveyed
		if (surveyed.value.epoch !== held.value.epoch) return unsettled()
		decided.position = surveyed.value.head
		decided.undecided = settle(decided, surveyed.value.rows, held.value.rows)
	}
	return accept(decided)
}

/** Sorts out what is certain and answers the rest. */
function settle({ missing, extra, different }: Decided, own: Rows['rows'], held: readonly HeldRow[]): RowName[] {
	const hashes = new Map(held.map((row) => [nameOf(row), row.hash]))
	const open: RowName[] = []
	for (const { collection, id, hash, changed } of own) {
		const name = { collection, id }
		const shown = hashes.get(nameOf(name)) ?? null
		if (shown === hash) continue
		if (changed) open.push(name)
		else if (shown === null) missing.push(name)
		else (hash === null ? extra : different).push(name)
	}
	return open
}

/** The names of rows that only one side has, or the two have differently. */
function differing(own: Rows['rows'], held: readonly HeldRow[]): RowName[] {
	const hashes = new Map<string, string | null>(own.map((row) => [nameOf(row), row.hash]))
	const names: RowName[] = []
	for (const { collection, id, hash } of held) {
		const name = nameOf({ collection, id })
		if (hashes.get(name) !== hash) names.push({ collection, id })
		hashes.delete(name)
	}
	const present = new Set(held.map(nameOf))
	for (const row of own) if (!present.has(nameOf(row))) names.push({ collection: row.collection, id: row.id })
	return names
}

async function rowsOf(asked: Promise<Outcome<SurveyReply>>): Promise<Outcome<Rows>> {
	const reply = await asked
	if (!reply.ok) return reply
	if (reply.value.kind === 'rows') return accept(reply.value)
	return reply.value.reason === 'changing'
		? refuse('unavailable', 'a change of schema is running', { retryAfter: 5 })
		: unsettled()
}

function unsettled(): Outcome<never> {
	return refuse('view_behind', 'the view has yet to come to where the shard is', { retryAfter: 5 })
}

function nameOf({ collection, id }: RowName): string {
	return `${collection}/${id}`
}

function compareNames(a: RowName, b: RowName): number {
	return compareText(a.collection, b.collection) || compareText(a.id, b.id)
}
