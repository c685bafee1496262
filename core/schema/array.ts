import { isObject } from './json.ts'
import type { Keyword } from './parse.ts'
import type { Run } from './run.ts'
import { paidText } from './value.ts'

/** Keywords that judge arrays. */
export const arrayKeywords: Record<string, Keyword> = {
	items(value, site) {
		const items = site.part(value, '/items')
		const prefix = site.sibling('prefixItems')
		const start = Array.isArray(prefix) ? prefix.length : 0
		site.draft.array.push((array, run) => {
			let valid = true
			for (let index = start; index < array.length; index++) {
				if (run.inside(index, array[index], items)) continue
				valid = false
				if (run.settled) break
			}
			return valid
		})
	},
	prefixItems(value, site) {
		if (!Array.isArray(value) || value.length === 0)
			return site.fault('/prefixItems', 'must be a list of at least one schema')
		const prefix = value.map((item, index) => site.part(item, `/prefixItems/${index}`))
		site.draft.array.push((array, run) => {
			let valid = true
			for (const [index, item] of prefix.entries()) {
				if (index >= array.length) break
				if (run.inside(index, array[index], item)) continue
				valid = false
				if (run.settled) break
			}
			return valid
		})
	},
	minItems(value, site) {
		const limit = site.count(value, 'minItems')
		if (limit === null) return
		site.draft.array.push((array, run) => array.length >= limit || run.fault(`must have at least ${limit} items`))
	},
	maxItems(value, site) {
		const limit = site.count(value, 'maxItems')
		if (limit === null) return
		site.draft.array.push((array, run) => array.length <= limit || run.fault(`must have at most ${limit} items`))
	},
	uniqueItems(value, site) {
		if (typeof value !== 'boolean') return site.fault('/uniqueItems', 'must be true or false')
		if (value)
			site.draft.array.push((array, run) => haveNoDouble(array, run) || run.fault('must not have two equal items'))
	},
	contains(value, site) {
		const contained = site.part(value, '/contains')
		const least = countOr(site.sibling('minContains'), 1)
		const most = countOr(site.sibling('maxContains'), Number.POSITIVE_INFINITY)
		site.draft.array.push((array, run) => {
			let found = 0
			for (const item of array) {
				if (run.stopped) return false
				if (run.passes(item, contained)) found += 1
				if (found > most || (found >= least && most === Number.POSITIVE_INFINITY)) break
			}
			if (found < least) return run.fault(`must have at least ${least} items that match contains`)
			return found <= most || run.fault(`must have at most ${most} items that match contains`)
		})
	},
	/** `contains` reads the limits of its own count. */
	minContains(value, site) {
		site.count(value, 'minContains')
	},
	maxContains(value, site) {
		site.count(value, 'maxContains')
	},
}

function haveNoDouble(array: readonly unknown[], run: Run): boolean {
	const scalars = new Set<unknown>()
	const composites = new Set<string>()
	for (const item of array) {
		if (isObject(item) || Array.isArray(item)) composites.add(paidText(item, run))
		else if (run.spend(1)) scalars.add(item)
		if (run.stopped) return false
	}
	return scalars.size + composites.size === array.length
}

function countOr(value: unknown, otherwise: number): number {
	return typeof value === 'number' ? value : otherwise
}
