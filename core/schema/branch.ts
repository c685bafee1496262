import { unescapeToken } from './json.ts'
import type { Keyword } from './parse.ts'
import type { Check } from './run.ts'

/** Keywords that apply further subschemas to the same value. */
export const branchKeywords: Record<string, Keyword> = {
	$ref(value, site) {
		const name =
			typeof value === 'string' && value.startsWith('#/$defs/') ? nameIn(value.slice('#/$defs/'.length)) : null
		if (name === null) return site.fault('/$ref', 'must be "#/$defs/" and the name of a definition at the root')
		const check = site.parsing.refer(name, `${site.place.pointer}/$ref`, site.place.owner)
		if (check === null) return site.fault('/$ref', 'must name a definition under $defs at the root')
		site.draft.always.push(check)
	},
	allOf(value, site) {
		site.draft.always.push(...site.branches(value, 'allOf'))
	},
	anyOf(value, site) {
		const branches = site.branches(value, 'anyOf')
		site.draft.always.push((data, run) => {
			for (const branch of branches) {
				if (run.passes(data, branch)) return true
				if (run.stopped) return false
			}
			return run.fault('must match at least one schema of anyOf')
		})
	},
	oneOf(value, site) {
		const branches = site.branches(value, 'oneOf')
		site.draft.always.push((data, run) => {
			let matches = 0
			for (const branch of branches) {
				if (run.passes(data, branch)) matches += 1
				if (run.stopped || matches > 1) break
			}
			return (
				matches === 1 || run.fault(`must match exactly one schema of oneOf, not ${matches === 0 ? 'none' : 'several'}`)
			)
		})
	},
	not(value, site) {
		const branch = site.same(value, '/not')
		site.draft.always.push((data, run) => !run.passes(data, branch) || run.fault('must not match the schema of not'))
	},
	if(value, site) {
		const condition = site.same(value, '/if')
		const consequence = branchOf('then', site.sibling('then'))
		const alternative = branchOf('else', site.sibling('else'))
		site.draft.always.push((data, run) =>
			run.passes(data, condition) ? consequence(data, run) : alternative(data, run),
		)

		function branchOf(name: string, json: unknown): Check {
			return json === undefined ? () => true : site.same(json, `/${name}`)
		}
	},
	/** Without `if` there is nothing to follow; that the branch is a schema is still checked. */
	// biome-ignore lint/suspicious/noThenProperty: this is a table of keywords, and nobody awaits it.
	then(value, site) {
		if (site.sibling('if') === undefined) site.same(value, '/then')
	},
	else(value, site) {
		if (site.sibling('if') === undefined) site.same(value, '/else')
	},
}

/** The name in the last part of a reference, which is a JSON Pointer in a URI fragment; null when it is none. */
function nameIn(token: string): string | null {
	if (token.includes('/') || /~(?![01])/.test(token)) return null
	try {
		return unescapeToken(decodeURIComponent(token))
	} catch {
		return null
	}
}
