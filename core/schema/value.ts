import { checkDepthMax, enumValuesMax, jsonDepthMax } from '../limits.ts'
import { canonicalText } from './json.ts'
import { type JsonType, typeBits } from './node.ts'
import type { Keyword, Site } from './parse.ts'
import type { Run } from './run.ts'

const dialect = 'https://json-schema.org/draft/2020-12/schema'

/** Keywords that judge values of every type, and those that judge none. */
export const valueKeywords: Record<string, Keyword> = {
	$schema(value, site) {
		if (site.place.standing !== 'root') site.fault('/$schema', 'may only stand at the root of the schema')
		else if (value !== dialect) site.fault('/$schema', `must be "${dialect}"`)
	},
	/** The root's definitions are read before everything else. */
	$defs(value, site) {
		if (site.place.standing !== 'root') site.fault('/$defs', 'may only stand at the root of the schema')
		else site.object(value, '$defs')
	},
	type(value, site) {
		const names: readonly unknown[] = Array.isArray(value) ? value : [value]
		if (names.length === 0 || new Set(names).size < names.length || !names.every(isType))
			return site.fault('/type', `must be one or a list of different types of ${Object.keys(typeBits).join(', ')}`)
		site.draft.types = names.reduce<number>((bits, name) => bits | bitsOf(name), 0)
		site.draft.typesDetail = `must be of type ${names.join(' or ')}`
	},
	enum(value, site) {
		if (!Array.isArray(value) || value.length === 0 || value.length > enumValuesMax)
			return site.fault('/enum', `must be a list of 1 to ${enumValuesMax} values`)
		equalOne(value, 'enum', 'must be one of the values that the schema lists', site)
	},
	const(value, site) {
		equalOne([value], 'const', 'must be the value that the schema names', site)
	},
	title: text('title'),
	description: text('description'),
	$comment: text('$comment'),
	default() {},
	examples(value, site) {
		if (!Array.isArray(value)) site.fault('/examples', 'must be a list')
	},
	deprecated: flag('deprecated'),
	readOnly: flag('readOnly'),
	writeOnly: flag('writeOnly'),
}

function isType(name: unknown): name is JsonType {
	return typeof name === 'string' && Object.hasOwn(typeBits, name)
}

function bitsOf(name: JsonType): number {
	return name === 'number' ? typeBits.number | typeBits.integer : typeBits[name]
}

/** Adds the rule that the data equals one of the values. */
function equalOne(values: readonly unknown[], keyword: string, detail: string, site: Site): void {
	const scalars = new Set<unknown>()
	const composites = new Set<string>()
	let depthSeen = 0
	const visit = (_chars: number, depth: number) => {
		depthSeen = Math.max(depthSeen, depth)
		return depth <= jsonDepthMax
	}
	for (const value of values) {
		if (typeof value !== 'object' || value === null) scalars.add(value)
		else composites.add(canonicalText(value, visit))
	}
	if (depthSeen > jsonDepthMax) site.fault(`/${keyword}`, `must not be nested deeper than ${jsonDepthMax}`)
	site.draft.always.push((value, run) => {
		if (typeof value !== 'object' || value === null) return scalars.has(value) || run.fault(detail)
		return (composites.size > 0 && composites.has(paidText(value, run))) || run.fault(detail)
	})
}

/** The canonical text of a part of the data; its printing is paid for, and worth nothing once the run has stopped. */
export function paidText(value: unknown, run: Run): string {
	return canonicalText(value, (chars, depth) => (depth > checkDepthMax ? run.giveUp() : run.spend(1 + (chars >> 5))))
}

function text(name: string): Keyword {
	return (value: unknown, site: Site) => {
		if (typeof value !== 'string') site.fault(`/${name}`, 'must be a text')
	}
}

function flag(name: string): Keyword {
	return (value: unknown, site: Site) => {
		if (typeof value !== 'boolean') site.fault(`/${name}`, 'must be true or false')
	}
}
