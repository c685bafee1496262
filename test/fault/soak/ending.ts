/** What a run waits for after its faults have stopped, and the journals that everything is held against. */
import { setTimeout as pause } from 'node:timers/promises'
import { isDeepStrictEqual } from 'node:util'
import { z } from 'zod'
import { announceAgainMsMax } from '../../../core/limits.ts'
import { type Client, type Tenant, until } from '../../stack-client.ts'
import type { Attempt, Journal, ViewSample } from '../history.ts'
import type { Follower } from './follower.ts'
import type { Recorder } from './recorder.ts'
import type { Sampler } from './sampler.ts'

/** A shard announces again after this at most, and the pages that it then has take their time. */
const viewMsMax = announceAgainMsMax + 60_000
const followersMsMax = 60_000

const shownChange = z.object({
	seq: z.number(),
	op: z.string(),
	collection: z.string().nullable(),
	id: z.string().nullable(),
	version: z.number().nullable(),
	request: z.string().nullable(),
	at: z.string(),
})
type ShownChange = z.infer<typeof shownChange>

/** A journal with the times of its entries. */
export interface TimedJournal extends Journal {
	entries: ShownChange[]
}

/**
 * Waits until the view of a tenant is exact at the end of its journal, takes the last sample, and returns the journal. When
 * it takes too long the last sample is what is there by then, which the checker will not like.
 */
export async function awaitView({ id, client }: Tenant, sampler: Sampler, recorder: Recorder): Promise<TimedJournal> {
	const deadline = Date.now() + viewMsMax
	const entries: ShownChange[] = []
	for (;;) {
		const sample = await sampler.look()
		await readOn(client, entries)
		const arrived = sample?.exact && sample.appliedSeq === entries.length
		if (arrived || Date.now() > deadline) {
			recorder.sample({ ...(sample ?? nothing(id)), final: true })
			recorder.journal({ tenant: id, entries })
			return { tenant: id, entries }
		}
		await pause(500)
	}
}

/** Waits until the followers have come to the end of the journals, and returns what they were told otherwise. */
export async function awaitFollowers(
	followers: readonly Follower[],
	journals: readonly TimedJournal[],
): Promise<string[]> {
	const journalOf = new Map(journals.map(({ tenant, entries }) => [tenant, entries]))
	const faults: string[] = []
	for (const { tenant, changes } of followers) {
		const entries = journalOf.get(tenant) ?? []
		await until(
			'a follower to reach the end of the journal',
			async () => changes.length >= entries.length,
			followersMsMax,
		)
		const wrong = changes.findIndex((change, index) => !isDeepStrictEqual(shownChange.parse(change), entries[index]))
		if (wrong >= 0) faults.push(`${tenant}: event ${wrong + 1} is of position ${changes[wrong]?.seq}`)
	}
	return faults
}

/** Lists show no ETags: their records' positions are found in the journal by version and time. */
export function locateListed(attempts: readonly Attempt[], journals: readonly TimedJournal[]): void {
	const positions = new Map<string, number>()
	for (const { tenant, entries } of journals)
		for (const { collection, id, version, at, seq } of entries)
			positions.set([tenant, collection, id, version, at].join('/'), seq)
	for (const { tenant, operation, answer } of attempts) {
		if (operation.op !== 'list') continue
		for (const record of answer?.records ?? []) {
			const at = 'updatedAt' in record ? record.updatedAt : ''
			record.seq = positions.get([tenant, operation.collection, record.id, record.version, at].join('/')) ?? 0
		}
	}
}

const page = z.object({ changes: z.array(shownChange) })

async function readOn(client: Client, entries: ShownChange[]): Promise<void> {
	for (;;) {
		const { body } = await client.ok('GET', `/v1/changes?after=${entries.length}&limit=1000`)
		const { changes } = page.parse(body)
		if (changes.length === 0) return
		entries.push(...changes)
	}
}

function nothing(tenant: string): ViewSample {
	const watermark = { epoch: 0, appliedSeq: 0, readSeq: 0, exact: false }
	return { tenant, ...watermark, filling: false, final: true, rows: [], deadLetters: [] }
}
