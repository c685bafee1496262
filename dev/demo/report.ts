import { isDeepStrictEqual, styleText } from 'node:util'

/** What the demo says on standard output, and the checks that decide how it ends. Coloured on a terminal unless NO_COLOR is set. */
export class Report {
	passed = 0
	failed = 0
	#sections = 0

	title(text: string): void {
		console.log(`\n${styleText('bold', text)}`)
	}

	section(text: string): void {
		this.#sections++
		console.log(`\n${styleText('bold', `${this.#sections}. ${text}`)}`)
	}

	line(text: string): void {
		console.log(text === '' ? '' : `   ${text}`)
	}

	/** Items one after another, in lines of a readable length. */
	list(items: string[]): void {
		let line = ''
		for (const [place, item] of items.entries()) {
			const text = place === items.length - 1 ? item : `${item},`
			if (line !== '' && line.length + 1 + text.length > lineLength) {
				this.line(line)
				line = ''
			}
			line = line === '' ? text : `${line} ${text}`
		}
		this.line(line)
	}

	/** Rows of equal length under their heads; a column of numbers is aligned to the right. */
	table(heads: string[], rows: Cell[][]): void {
		const widths = heads.map((head, place) => Math.max(head.length, ...rows.map((row) => shown(row[place]).length)))
		const isNumeric = heads.map((_, place) => rows.every((row) => typeof row[place] === 'number'))
		const align = (cells: string[]) =>
			cells
				.map((cell, place) => (isNumeric[place] ? cell.padStart(widths[place] ?? 0) : cell.padEnd(widths[place] ?? 0)))
				.join('  ')
				.trimEnd()
		this.line(styleText('dim', align(heads)))
		for (const row of rows) this.line(align(row.map(shown)))
	}

	/** Compares deeply; a difference is shown and makes the demo end with an error. */
	check(claim: string, actual: unknown, expected: unknown): void {
		if (isDeepStrictEqual(actual, expected)) {
			this.passed++
			this.line(`${styleText('green', '✓')} ${claim}`)
			return
		}
		this.failed++
		this.line(`${styleText('red', '✗')} ${claim}`)
		this.line(`    expected ${brief(expected)}`)
		this.line(`    but got  ${brief(actual)}`)
	}
}

const lineLength = 96

export type Cell = string | number

/** `12,345`, with at most three decimals. */
export function number(value: number): string {
	return value.toLocaleString('en-US', { maximumFractionDigits: 3 })
}

/** `0.85 s`, `12.3 s`. */
export function seconds(ms: number): string {
	return `${(ms / 1_000).toFixed(ms < 10_000 ? 2 : 1)} s`
}

/** `1 record`, `2 batches`, `12,345 cities`. */
export function plural(count: number, noun: string): string {
	if (count === 1) return `1 ${noun}`
	const ending = noun.endsWith('ch') ? `${noun}es` : noun.endsWith('y') ? `${noun.slice(0, -1)}ies` : `${noun}s`
	return `${number(count)} ${ending}`
}

function shown(cell: Cell | undefined): string {
	return typeof cell === 'number' ? number(cell) : (cell ?? '')
}

function brief(value: unknown): string {
	const text = JSON.stringify(value) ?? 'nothing'
	return text.length > 300 ? `${text.slice(0, 300)}…` : text
}

/** Progress on standard error: a bar that is drawn in place on a terminal, else a plain line at each tenth. */
export class Progress {
	#done = 0
	#tenths = 0
	readonly #total: number
	readonly #noun: string
	readonly #startedAt = performance.now()

	constructor(total: number, noun: string) {
		this.#total = total
		this.#noun = noun
	}

	add(count: number): void {
		this.#done += count
		const rate = Math.round((this.#done / (performance.now() - this.#startedAt)) * 1_000)
		const state = `${number(this.#done)} of ${plural(this.#total, this.#noun)}, ${number(rate)}/s`
		const tenths = Math.floor((this.#done / this.#total) * 10)
		if (process.stderr.isTTY) {
			const filled = Math.round((this.#done / this.#total) * barWidth)
			process.stderr.write(`\r   [${'█'.repeat(filled)}${'░'.repeat(barWidth - filled)}] ${state}\x1b[K`)
			if (this.#done === this.#total) process.stderr.write('\r\x1b[K')
		} else if (tenths > this.#tenths) {
			process.stderr.write(`   ${String(tenths * 10).padStart(3)} %  ${state}\n`)
		}
		this.#tenths = tenths
	}
}

const barWidth = 30
