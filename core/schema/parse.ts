import { faultsMax, jsonDepthMax, patternInstructionsTotalMax, patternsMax, subschemasMax } from '../limits.ts'
import type { Fault } from '../refusal.ts'
import { arrayKeywords } from './array.ts'
import { branchKeywords } from './branch.ts'
import { escapeToken, isObject } from './json.ts'
import { close, type Draft, newDraft } from './node.ts'
import { numberKeywords } from './number.ts'
import { objectKeywords } from './object.ts'
import { compilePattern, type Pattern } from './pattern.ts'
import type { Check } from './run.ts'
import { textKeywords } from './text.ts'
import { valueKeywords } from './value.ts'

/** Reads one keyword into the draft of its subschema, or notes why it cannot. */
export type Keyword = (value: unknown, site: Site) => void

/** Where a subschema stands. Only the root and the properties that it declares may carry annotations of ours. */
export type Standing = 'root' | 'property' | 'inner'

const keywords: ReadonlyMap<string, Keyword> = new Map([
	...Object.entries(valueKeywords),
	...Object.entries(textKeywords),
	...Object.entries(numberKeywords),
	...Object.entries(arrayKeywords),
	...Object.entries(objectKeywords),
	...Object.entries(branchKeywords),
])

/**
 * The part of draft 2020-12 that schemas may use, besides the annotations `x-unique`, `x-index`, `x-personal`,
 * `x-subject` and `x-retention-days`. Everything else is refused, so that a schema never promises what nobody checks.
 */
export const supportedKeywords: readonly string[] = [...keywords.keys()]

/** Which annotations of ours may stand where; `schema-annotations.ts` reads them. */
const annotations: Record<Standing, readonly string[]> = {
	root: ['x-index', 'x-retention-days'],
	property: ['x-unique', 'x-index', 'x-personal', 'x-subject'],
	inner: [],
}

/** A definition under `$defs`; references close over it, so it may be filled after they are. */
interface Definition {
	check: Check
	/** Definitions that are applied to the same value as this one, with the place of the reference. */
	applies: { name: string; pointer: string }[]
}

/** What the parsing of one schema gathers. */
export class Parsing {
	readonly faults: Fault[] = []
	readonly #definitions = new Map<string, Definition>()
	readonly #patterns = new Map<string, Pattern | string>()
	#patternInstructions = 0
	#subschemas = 0

	fault(pointer: string, detail: string): void {
		if (this.faults.length < faultsMax) this.faults.push({ pointer, detail })
	}

	/** Names the definitions first, because they may refer to each other in any order. */
	define(json: Record<string, unknown>): void {
		for (const name of Object.keys(json)) this.#definitions.set(name, { check: never, applies: [] })
		for (const [name, definition] of this.#definitions) {
			const pointer = `/$defs/${escapeToken(name)}`
			definition.check = this.subschema(json[name], { pointer, depth: 1, owner: definition, standing: 'inner' })
		}
		this.#refuseLoops()
	}

	/** The definition of a name as a check, or null when there is none. `owner` is where the reference applies without taking a part of the value. */
	refer(name: string, pointer: string, owner: Definition | null): Check | null {
		const definition = this.#definitions.get(name)
		if (definition === undefined) return null
		owner?.applies.push({ name, pointer })
		return (value, run) => definition.check(value, run)
	}

	subschema(json: unknown, place: Place): Check {
		this.#subschemas += 1
		if (this.#subschemas > subschemasMax) {
			if (this.#subschemas === subschemasMax + 1) this.fault('', `must not have more than ${subschemasMax} subschemas`)
			return never
		}
		if (place.depth > jsonDepthMax) {
			this.fault(place.pointer, `must not be nested in more than ${jsonDepthMax} other subschemas`)
			return never
		}
		if (json === true) return (_value, run) => run.spend(1)
		if (json === false) return (_value, run) => run.spend(1) && run.fault('is not allowed')
		if (!isObject(json)) {
			this.fault(place.pointer, 'must be an object or a boolean')
			return never
		}
		const site = new Site(this, json, place)
		site.read()
		return close(site.draft)
	}

	/** Compiles a pattern once, however often the schema repeats it; null when it is refused, which is noted unless `pointer` is null. */
	pattern(source: string, pointer: string | null): Pattern | null {
		let pattern = this.#patterns.get(source)
		if (pattern === undefined) {
			pattern = this.#compilePattern(source)
			this.#patterns.set(source, pattern)
		}
		if (typeof pattern !== 'string') return pattern
		if (pointer !== null) this.fault(pointer, pattern)
		return null
	}

	#compilePattern(source: string): Pattern | string {
		if (this.#patterns.size >= patternsMax) return `must not be one of more than ${patternsMax} patterns`
		if (this.#patternInstructions <= patternInstructionsTotalMax) {
			const pattern = compilePattern(source)
			if (typeof pattern === 'string') return pattern
			this.#patternInstructions += pattern.size
			if (this.#patternInstructions <= patternInstructionsTotalMax) return pattern
		}
		return `must not take the schema's patterns over ${patternInstructionsTotalMax} instructions`
	}

	/** A definition that leads back to itself on the same value would never end; through a property or an item it ends with the data. */
	#refuseLoops(): void {
		const done = new Set<string>()
		const open = new Set<string>()
		const visit = (name: string) => {
			if (done.has(name)) return
			open.add(name)
			for (const reference of this.#definitions.get(name)?.applies ?? []) {
				if (open.has(reference.name))
					this.fault(reference.pointer, 'must not lead back to itself without taking a part of the value')
				else visit(reference.name)
			}
			open.delete(name)
			done.add(name)
		}
		for (const name of this.#definitions.keys()) visit(name)
	}
}

export interface Place {
	pointer: string
	depth: number
	/** The definition whose value this subschema judges; null for a part of the value, and for the root. */
	owner: Definition | null
	standing: Standing
}

/** One subschema while it is read: what a keyword sees of its surroundings. */
export class Site {
	readonly draft: Draft = newDraft()
	readonly parsing: Parsing
	readonly json: Readonly<Record<string, unknown>>
	readonly place: Place

	constructor(parsing: Parsing, json: Readonly<Record<string, unknown>>, place: Place) {
		this.parsing = parsing
		this.json = json
		this.place = place
	}

	read(): void {
		for (const [name, value] of Object.entries(this.json)) {
			const keyword = keywords.get(name)
			if (keyword !== undefined) keyword(value, this)
			else if (!annotations[this.place.standing].includes(name))
				this.fault(`/${escapeToken(name)}`, unknownDetail(name))
		}
	}

	/** A sibling keyword's value, or undefined. */
	sibling(name: string): unknown {
		return Object.hasOwn(this.json, name) ? this.json[name] : undefined
	}

	/** `path` leads from the subschema to the fault: `/required/0`. */
	fault(path: string, detail: string): void {
		this.parsing.fault(this.place.pointer + path, detail)
	}

	/** A subschema for the same value. */
	same(json: unknown, path: string): Check {
		return this.#child(json, path, this.place.owner, 'inner')
	}

	/** A subschema for a part of the value. */
	part(json: unknown, path: string, standing: Standing = 'inner'): Check {
		return this.#child(json, path, null, standing)
	}

	/** A list of subschemas for the same value. */
	branches(json: unknown, name: string): Check[] {
		if (Array.isArray(json) && json.length > 0)
			return json.map((branch, index) => this.same(branch, `/${name}/${index}`))
		this.fault(`/${name}`, 'must be a list of at least one schema')
		return []
	}

	/** A keyword's own object, such as that of `properties`, or null. */
	object(json: unknown, name: string): Record<string, unknown> | null {
		if (isObject(json)) return json
		this.fault(`/${name}`, 'must be an object')
		return null
	}

	/** A count, such as that of `maxLength`, or null. */
	count(json: unknown, name: string): number | null {
		if (typeof json === 'number' && Number.isInteger(json) && json >= 0) return json
		this.fault(`/${name}`, 'must be a whole number of at least 0')
		return null
	}

	/** A list of different texts, or null. */
	names(json: unknown, path: string): string[] | null {
		if (Array.isArray(json) && json.every((name) => typeof name === 'string') && new Set(json).size === json.length)
			return json
		this.fault(path, 'must be a list of different texts')
		return null
	}

	#child(json: unknown, path: string, owner: Definition | null, standing: Standing): Check {
		return this.parsing.subschema(json, {
			pointer: this.place.pointer + path,
			depth: this.place.depth + 1,
			owner,
			standing,
		})
	}
}

/** Stands for a subschema that was refused. */
const never: Check = () => false

function unknownDetail(name: string): string {
	if (annotations.property.includes(name))
		return `${name} may only stand on a property that the root of the schema declares`
	return 'is not a keyword that is supported here'
}
