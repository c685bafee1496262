/** Six consumers that race for one shard while it is written and every state of its view is sampled. */
import { expect } from 'vitest'
import { consume } from '../../workers/queue-consumer/consumer.ts'
import { message, sampleOf, testPorts, violations } from '../consumer-ports.ts'
import type { ScriptedShard } from '../scripted-shard.ts'
import type { ViewStack } from './view-stack.ts'

/** How many samples there were of each kind; too few of one kind prove nothing. */
export interface Seen {
	exact: number
	bounded: number
	rebuilding: number
}

/** Nobody's, to ask the database something that takes a while. */
const nobody = 'global_01k9zzzzzzzzzzzzzzzzzzzzzz'
const enough = 3

/**
 * Runs `write` for each round, at least 60 times and until enough samples of every kind of `kinds` were seen. Each sample
 * must be exact where it says so, else bounded, and no watermark may fall. Returns when the view has come to the end.
 */
export async function race(
	shard: ScriptedShard,
	stack: ViewStack,
	write: (round: number) => void,
	kinds: readonly (keyof Seen)[] = ['exact', 'bounded'],
): Promise<Seen> {
	const view = stack.writer('global')
	const reader = stack.reader('global')
	const seen: Seen = { exact: 0, bounded: 0, rebuilding: 0 }
	let writing = true
	const writer = async () => {
		for (let round = 0; round < 60 || (kinds.some((kind) => seen[kind] <= enough) && round < 1_000); round++) {
			write(round)
			// The writer pauses now and then until a sample has seen the view catch up: on a busy machine it would else stay behind.
			const before = seen.exact
			if (round % 10 === 9) while (writing && seen.exact === before) await sampleOf(view, nobody)
			else await sampleOf(view, nobody)
		}
		writing = false
	}
	const sampler = async () => {
		let applied = 0
		while (writing) {
			const sample = await sampleOf(reader, shard.tenant)
			expect(sample.appliedSeq).toBeGreaterThanOrEqual(applied)
			applied = sample.appliedSeq
			if (sample.rebuilding) seen.rebuilding += 1
			if (sample.appliedSeq === sample.readSeq && !sample.rebuilding) {
				expect(sample.rows).toEqual(shard.stateAt(sample.appliedSeq))
				seen.exact += 1
			} else {
				expect(violations(shard, sample)).toEqual([])
				seen.bounded += 1
			}
		}
	}
	const consumers = [1, 2, 3, 4, 5, 6].map(async (seed) => {
		const ports = testPorts([shard], view, { shardOf: () => slowly(shard, seed, () => sampleOf(view, nobody)) })
		while (writing) await consume([message(shard.wakeUp())], ports)
	})
	const all = [writer(), sampler(), ...consumers]
	try {
		await Promise.all(all)
	} finally {
		writing = false
		await Promise.allSettled(all)
	}
	for (let behind = true; behind; ) {
		await consume([message(shard.wakeUp())], testPorts([shard], view))
		const { appliedSeq, rebuilding } = await sampleOf(view, shard.tenant)
		behind = rebuilding || appliedSeq < shard.head
	}
	return seen
}

/** A pull of few entries that waits for a while after it is read makes pages overlap and arrive out of order. */
function slowly(shard: ScriptedShard, seed: number, pause: () => Promise<unknown>): Pick<ScriptedShard, 'pull'> {
	let turn = seed
	return {
		pull: async (request) => {
			turn = (turn * 1_103_515_245 + 12_345) % 2_147_483_648
			const reply = await shard.pull({ ...request, entriesMax: 1 + (turn % 9) })
			for (let wait = turn % 4; wait > 0; wait--) await pause()
			return reply
		},
	}
}
