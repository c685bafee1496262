/** What the first request to an object costs that is not in memory, beside the same of a bare object. */
import { settle } from './cpu.ts'
import { type Group, type GrowthContestant, inOrder, people, readFrom, writeTo } from './growth.ts'
import type { Hosted } from './hosted.ts'
import { inTurn, pause, type Side } from './load.ts'

/** p50 in milliseconds: of the first request that an object gets, and of the next one of its kind. */
interface Start {
	first: number
	next: number
}

export type ColdStarts = Record<GrowthContestant, { reads: Start; writes: Start }>

/** workerd takes an object out of memory ten seconds after its last request, where its thread is not late. */
const evictedMs = 15_000
const settleSecondsMax = 60

/** One entry a round. Half of the tenants is read, the other half is written to. */
export async function measureColdStarts(
	hosts: Record<GrowthContestant, Hosted>,
	{ tenants, rounds }: { tenants: number; rounds: number },
): Promise<ColdStarts[]> {
	const names = ['freehold', 'limit'] as const
	const groups = await Promise.all(
		names.map(async (name) => {
			const hosted = hosts[name]
			return { name, hosted, places: await people(hosted.client, hosted.address.port, tenants, true) }
		}),
	)
	const measured: ColdStarts[] = []
	for (let round = 0; round < rounds; round++) {
		for (const { hosted } of groups) await settle(hosted.pid, settleSecondsMax)
		await pause(evictedMs)
		const reads = await starts(groups, readFrom, (all) => all.slice(0, tenants / 2))
		const writes = await starts(groups, writeTo, (all) => all.slice(tenants / 2))
		const of = (name: GrowthContestant) => ({ reads: reads(name), writes: writes(name) })
		measured.push({ freehold: of('freehold'), limit: of('limit') })
	}
	return measured
}

/** Each object is asked once, and then once more. */
async function starts(
	groups: readonly (Group & { name: GrowthContestant })[],
	ask: typeof readFrom,
	half: (places: Group['places']) => Group['places'],
): Promise<(name: GrowthContestant) => Start> {
	const sides = (): Side[] =>
		groups.map(({ name, hosted, places }) => ({
			name,
			port: hosted.address.port,
			next: ask({ hosted, places: half(places) }, inOrder()),
		}))
	const turns = half(groups[0]?.places ?? []).length
	const first = await inTurn(sides(), { seconds: settleSecondsMax, turns })
	const next = await inTurn(sides(), { seconds: settleSecondsMax, turns })
	return (name) => ({ first: first[name]?.p50 ?? Number.NaN, next: next[name]?.p50 ?? Number.NaN })
}
