import { escapeToken, isObject } from './json.ts'
import type { Keyword } from './parse.ts'
import type { Pattern } from './pattern.ts'
import type { Check } from './run.ts'
import { paidTest } from './text.ts'

/**
 * Keywords that judge objects. Names come from tenants and from their clients: only own properties are ever read, and
 * tables by name are maps, so that `__proto__` and `constructor` are names like any other.
 */
export const objectKeywords: Record<string, Keyword> = {
	properties(value, site) {
		const declared = site.object(value, 'properties')
		if (declared === null) return
		const standing = site.place.standing === 'root' ? 'property' : 'inner'
		const properties = new Map<string, Check>()
		for (const [name, json] of Object.entries(declared))
			properties.set(name, site.part(json, `/properties/${escapeToken(name)}`, standing))
		site.draft.object.push((object, keys, run) => {
			let valid = true
			for (const key of keys) {
				const check = properties.get(key)
				if (check === undefined || run.inside(key, object[key], check)) continue
				valid = false
				if (run.settled) break
			}
			return valid
		})
	},
	patternProperties(value, site) {
		const declared = site.object(value, 'patternProperties')
		if (declared === null) return
		const patterns: { pattern: Pattern; check: Check }[] = []
		for (const [source, json] of Object.entries(declared)) {
			const path = `/patternProperties/${escapeToken(source)}`
			const pattern = site.parsing.pattern(source, site.place.pointer + path)
			const check = site.part(json, path)
			if (pattern !== null) patterns.push({ pattern, check })
		}
		site.draft.object.push((object, keys, run) => {
			let valid = true
			for (const key of keys) {
				for (const { pattern, check } of patterns) {
					if (paidTest(pattern, key, run)) valid = run.inside(key, object[key], check) && valid
					if (run.stopped || (!valid && run.settled)) return false
				}
			}
			return valid
		})
	},
	additionalProperties(value, site) {
		const check = site.part(value, '/additionalProperties')
		const detail = value === false ? 'is not a property that the schema declares' : null
		const declared = new Set(namesIn(site.sibling('properties')))
		const patterns = namesIn(site.sibling('patternProperties'))
			.map((source) => site.parsing.pattern(source, null))
			.filter((pattern) => pattern !== null)
		const refused: Check = (_value, run) => run.fault(detail ?? '')
		site.draft.object.push((object, keys, run) => {
			let valid = true
			for (const key of keys) {
				if (declared.has(key) || patterns.some((pattern) => paidTest(pattern, key, run))) continue
				if (run.inside(key, object[key], detail === null ? check : refused)) continue
				valid = false
				if (run.settled) break
			}
			return valid
		})
	},
	propertyNames(value, site) {
		const check = site.part(value, '/propertyNames')
		const refused: Check = (_value, run) => run.fault('must have a name that propertyNames allows')
		site.draft.object.push((object, keys, run) => {
			let valid = true
			for (const key of keys) {
				if (run.passes(key, check)) continue
				valid = run.inside(key, object[key], refused)
				if (run.settled) break
			}
			return valid
		})
	},
	required(value, site) {
		const names = site.names(value, '/required')
		if (names === null) return
		site.draft.steps += names.length >> 3
		site.draft.object.push((object, _keys, run) => {
			let valid = true
			for (const name of names) {
				if (Object.hasOwn(object, name)) continue
				valid = run.fault(`must have the property ${JSON.stringify(name)}`)
				if (run.settled) break
			}
			return valid
		})
	},
	dependentRequired(value, site) {
		const declared = site.object(value, 'dependentRequired')
		if (declared === null) return
		const dependencies: { name: string; needed: string[] }[] = []
		for (const [name, json] of Object.entries(declared))
			dependencies.push({ name, needed: site.names(json, `/dependentRequired/${escapeToken(name)}`) ?? [] })
		site.draft.steps += dependencies.reduce((sum, { needed }) => sum + 1 + needed.length, 0) >> 3
		site.draft.object.push((object, _keys, run) => {
			let valid = true
			for (const { name, needed } of dependencies) {
				if (!Object.hasOwn(object, name)) continue
				for (const other of needed) {
					if (Object.hasOwn(object, other)) continue
					valid = run.fault(`must have the property ${JSON.stringify(other)} because it has ${JSON.stringify(name)}`)
					if (run.settled) return false
				}
			}
			return valid
		})
	},
	minProperties(value, site) {
		const limit = site.count(value, 'minProperties')
		if (limit === null) return
		site.draft.object.push(
			(_object, keys, run) => keys.length >= limit || run.fault(`must have at least ${limit} properties`),
		)
	},
	maxProperties(value, site) {
		const limit = site.count(value, 'maxProperties')
		if (limit === null) return
		site.draft.object.push(
			(_object, keys, run) => keys.length <= limit || run.fault(`must have at most ${limit} properties`),
		)
	},
}

function namesIn(value: unknown): string[] {
	return isObject(value) ? Object.keys(value) : []
}
