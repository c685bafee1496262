import { isDeepStrictEqual } from 'node:util'
import type { WakeUp } from '../core/contract.ts'
import type { ControlStore } from '../core/control.ts'
import type { Database } from '../db/neon/client.ts'
import { postgresStore } from '../db/neon/writer.ts'
import type { Message, Ports } from '../workers/queue-consumer/consumer.ts'
import type { ReplayPorts } from '../workers/queue-consumer/replay.ts'
import type { ScriptedRecord, ScriptedShard, ViewState } from './scripted-shard.ts'

interface LogLine {
	level: string
	event: string
	fields: Record<string, string | number | null>
}

export interface TestPorts extends Ports {
	lines: LogLine[]
	announced: WakeUp[]
}

/** Ports over scripted shards and one database; any of them may be replaced. */
export function testPorts(shards: ScriptedShard[], database: Database, replaced: Partial<Ports> = {}): TestPorts {
	const lines: LogLine[] = []
	const announced: WakeUp[] = []
	return {
		lines,
		announced,
		view: () => postgresStore(database),
		shardOf: (tenant) => shards.find((shard) => shard.tenant === tenant) ?? unknownShard,
		control: () => unregistered,
		announce: async (message) => {
			if (!('kind' in message)) announced.push(message)
		},
		erase: () => Promise.reject(new Error('no erasure was expected')),
		// Time stands still unless a test moves it, so that no turn ends because the machine is busy.
		now: () => 0,
		sleep: neverOver,
		random: () => 0.5,
		log: (level, event, fields) => {
			lines.push({ level, event, fields })
		},
		jobs: noJobs,
		...replaced,
	}
}

export interface TestMessage extends Message {
	/** `null` until it is settled; then `ack`, or the seconds after which it comes again. */
	settled: 'ack' | number | null
}

export function message(body: unknown, attempts = 1): TestMessage {
	const made: TestMessage = {
		body,
		attempts,
		settled: null,
		ack: () => {
			made.settled = 'ack'
		},
		retry: ({ delaySeconds }) => {
			made.settled = delaySeconds
		},
	}
	return made
}

/** A sample of one shard's rows and watermark, taken on one snapshot. */
export interface Sample {
	rows: ViewState
	appliedSeq: number
	readSeq: number
	deadLetters: number
	rebuilding: boolean
}

/** What a sample is when the view holds all of the shard. */
export function wholeOf(shard: ScriptedShard): Sample {
	const { head } = shard
	return { rows: shard.stateAt(head), appliedSeq: head, readSeq: head, deadLetters: 0, rebuilding: false }
}

export async function sampleOf(database: Database, tenant: string): Promise<Sample> {
	const [rows = [], marks = [], letters = []] = await database.read([
		{ text: 'SELECT collection, id, version, data::text FROM record WHERE tenant_id = $1', params: [tenant] },
		{ text: 'SELECT applied_seq, read_seq, base_pending FROM shard WHERE tenant_id = $1', params: [tenant] },
		{ text: 'SELECT 1 AS one FROM dead_letter WHERE tenant_id = $1', params: [tenant] },
	])
	const state = rows.map((row): [string, ScriptedRecord] => [
		`${row.collection}/${row.id}`,
		{ version: Number(row.version), data: JSON.parse(row.data ?? 'null') },
	])
	return {
		rows: new Map(state),
		appliedSeq: Number(marks[0]?.applied_seq ?? 0),
		readSeq: Number(marks[0]?.read_seq ?? 0),
		deadLetters: letters.length,
		rebuilding: typeof marks[0]?.base_pending === 'string',
	}
}

/** What V2 forbids and the sample shows: nothing, when all is well. */
export function violations(shard: ScriptedShard, { rows, appliedSeq, readSeq }: Sample): string[] {
	const keys = new Set([...rows.keys(), ...shard.stateAt(appliedSeq).keys(), ...shard.stateAt(readSeq).keys()])
	return [...keys].filter((key) => {
		for (let seq = appliedSeq; seq <= readSeq; seq++) {
			if (isDeepStrictEqual(shard.stateAt(seq).get(key), rows.get(key))) return false
		}
		return true
	})
}

/** For tests in which no message is about a job. */
export const noJobs: Ports['jobs'] = {
	bucket: () => unexpected(),
	shardOf: () => unexpected(),
	sleep: () => unexpected(),
	mint: () => unexpected(),
}

/** For tests in which no message is about a dead letter. */
export const noReplay: ReplayPorts = {
	letters: { noteReplay: unexpected, noteRefused: unexpected, discard: unexpected },
	view: {
		readWatermarks: unexpected,
		startWatermark: unexpected,
		startOver: unexpected,
		applyPages: unexpected,
		applySchema: unexpected,
		startBase: unexpected,
		applyBase: unexpected,
		setAside: unexpected,
	},
	shardOf: unexpected,
	announce: unexpected,
	sleep: unexpected,
	log: unexpected,
}

function unexpected(): never {
	throw new Error('nothing of this kind was expected')
}

/** For tests in which no epoch but the view's is in force. */
export const unregistered: ControlStore = {
	read: async () => null,
	create: () => unexpected(),
	replace: () => unexpected(),
}

const unknownShard = { pull: async () => ({ kind: 'refused', reason: 'unknown_shard' }) as const }

/** A time limit that is never reached. */
async function neverOver(_ms: number, signal: AbortSignal): Promise<void> {
	await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()))
}
