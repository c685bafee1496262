/** The nested part of the grammar: `or=(a.eq.1,and(b.gt.2,c.in.(3,4)))`, and lists of values. */
import { comparison, fault, oneOf, type Reader } from './filter-condition.ts'
import { filterDepthMax } from './limits.ts'
import type { RawFilter } from './query.ts'
import { accept, type Outcome } from './refusal.ts'

/** Reads `(condition,…)`; at the outermost level nothing may follow. */
export function readTree(reader: Reader, kind: 'and' | 'or', depth: number): Outcome<RawFilter> {
	if (depth > filterDepthMax) return fault(reader.pointer, `nests deeper than ${filterDepthMax} levels`)
	if (!take(reader, open)) return fault(reader.pointer, 'must be conditions in parentheses, separated by commas')
	const filters: RawFilter[] = []
	do {
		const filter = readCondition(reader, depth)
		if (!filter.ok) return filter
		filters.push(filter.value)
	} while (take(reader, comma))
	if (!take(reader, close))
		return fault(reader.pointer, 'has a condition that does not end in a comma or a closing parenthesis')
	if (depth === 1 && reader.at < reader.text.length)
		return fault(reader.pointer, 'has text after its closing parenthesis')
	return accept({ kind, filters })
}

/** Reads `(a,"b,c",d)`. In double quotes a backslash takes the next character literally. */
export function readValues(reader: Reader): Outcome<string[]> {
	if (!take(reader, open)) return fault(reader.pointer, 'in takes a list in parentheses')
	if (take(reader, close)) return accept([])
	const values: string[] = []
	do {
		const value = readText(reader, listValue)
		if (value === null) return fault(reader.pointer, 'has a quoted value that does not end')
		values.push(value)
	} while (take(reader, comma))
	return take(reader, close)
		? accept(values)
		: fault(reader.pointer, 'has a list that does not end in a closing parenthesis')
}

const open = /\(/y
const close = /\)/y
const comma = /,/y
const nested = /(not\.)?(and|or)(?=\()/y
// `data.` is always the prefix, so a property called `data` is `data.data` here.
const comparisonStart =
	/(data\.[A-Za-z_][A-Za-z0-9_-]{0,63}|(?!data\.)[A-Za-z_][A-Za-z0-9_-]{0,63})\.(not\.)?([a-z]+)\./y
const quoted = /"([^"\\]*(?:\\.[^"\\]*)*)"/sy
const treeValue = /[^,()"][^,()]*|/y
const listValue = /[^,)"][^,)]*|/y

function readCondition(reader: Reader, depth: number): Outcome<RawFilter> {
	const logic = take(reader, nested)
	if (logic) {
		const tree = readTree(reader, logic[2] === 'and' ? 'and' : 'or', depth + 1)
		return negate(tree, logic[1])
	}
	const start = take(reader, comparisonStart)
	if (!start) return fault(reader.pointer, 'has a condition that is not field.operator.value')
	const [, name = '', negated, op = ''] = start
	if (op === 'in') {
		const values = readValues(reader)
		return values.ok ? negate(oneOf(name, values.value, reader), negated) : values
	}
	const value = readText(reader, treeValue)
	if (value === null) return fault(reader.pointer, 'has a quoted value that does not end')
	return negate(comparison(name, op, value, reader), negated)
}

function readText(reader: Reader, plain: RegExp): string | null {
	if (reader.text[reader.at] !== '"') return take(reader, plain)?.[0] ?? ''
	const match = take(reader, quoted)
	return match ? (match[1] ?? '').replace(/\\(.)/gs, '$1') : null
}

function take(reader: Reader, pattern: RegExp): RegExpExecArray | null {
	pattern.lastIndex = reader.at
	const match = pattern.exec(reader.text)
	if (match) reader.at = pattern.lastIndex
	return match
}

function negate(filter: Outcome<RawFilter>, negated: string | undefined): Outcome<RawFilter> {
	return filter.ok && negated ? accept({ kind: 'not', filter: filter.value }) : filter
}
