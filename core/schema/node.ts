import type { Check, Run } from './run.ts'

/** Types as bits: an integral number has the bits of both `number` and `integer`. */
export const typeBits = {
	null: 1,
	boolean: 2,
	string: 4,
	number: 8,
	integer: 16,
	array: 32,
	object: 64,
} as const
export type JsonType = keyof typeof typeBits

const anyType = 127

type ObjectCheck = (value: Record<string, unknown>, keys: readonly string[], run: Run) => boolean

/** The rules of one subschema while its keywords are read. */
export interface Draft {
	/** Bits of the accepted types. */
	types: number
	typesDetail: string
	/** Rules for values of every type, then those that only judge one. */
	always: Check[]
	text: Check<string>[]
	number: Check<number>[]
	array: Check<readonly unknown[]>[]
	object: ObjectCheck[]
	/** Steps that one evaluation costs. */
	steps: number
}

export function newDraft(): Draft {
	return { types: anyType, typesDetail: '', always: [], text: [], number: [], array: [], object: [], steps: 1 }
}

/** Closes a draft into one function. A value of a wrong type is not judged further: its other faults would only confuse. */
export function close(draft: Draft): Check {
	const { types, typesDetail, always, text, number, array, object, steps } = draft
	return (value, run) => {
		if (!run.enter(steps)) {
			run.leave()
			return false
		}
		let valid: boolean
		if (types !== anyType && (types & typeBitsOf(value)) === 0) valid = run.fault(typesDetail)
		else {
			valid = always.length === 0 || every(always, value, run)
			if (valid || !run.settled) {
				if (typeof value === 'string') valid = every(text, value, run) && valid
				else if (typeof value === 'number') valid = every(number, value, run) && valid
				else if (Array.isArray(value)) valid = run.spend(value.length >> 2) && every(array, value, run) && valid
				else if (object.length > 0 && typeof value === 'object' && value !== null)
					valid = everyOfObject(object, value as Record<string, unknown>, run) && valid
			}
		}
		run.leave()
		return valid
	}
}

function typeBitsOf(value: unknown): number {
	switch (typeof value) {
		case 'string':
			return typeBits.string
		case 'number':
			return Number.isInteger(value) ? typeBits.number | typeBits.integer : typeBits.number
		case 'boolean':
			return typeBits.boolean
		default:
			return value === null ? typeBits.null : Array.isArray(value) ? typeBits.array : typeBits.object
	}
}

function every<T>(checks: readonly Check<T>[], value: T, run: Run): boolean {
	let valid = true
	for (const check of checks) {
		if (check(value, run)) continue
		valid = false
		if (run.settled) break
	}
	return valid
}

function everyOfObject(checks: readonly ObjectCheck[], value: Record<string, unknown>, run: Run): boolean {
	const keys = Object.keys(value)
	if (!run.spend(keys.length >> 2)) return false
	let valid = true
	for (const check of checks) {
		if (check(value, keys, run)) continue
		valid = false
		if (run.settled) break
	}
	return valid
}
