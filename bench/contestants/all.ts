import type { Contestant } from './contestant.ts'
import { freehold, freeholdAlone } from './freehold.ts'
import { groupedLimit, limit } from './limit.ts'
import { parse } from './parse.ts'
import { threeTier } from './three-tier.ts'

/** Everything that is measured, by the name that the tables show. */
export const contestants = {
	freehold,
	'freehold without ETL': freeholdAlone,
	limit,
	'grouped limit': groupedLimit,
	'three-tier': threeTier,
	'Parse Server': parse,
} satisfies Record<string, Contestant>

export type ContestantName = keyof typeof contestants

export function isContestant(name: string): name is ContestantName {
	return Object.hasOwn(contestants, name)
}
