/**
 * `node test/fault/simulate.ts <first seed> [<count>] [--until-failure]` runs seeds and prints one JSON line for each that
 * failed and one with the sums. For a single seed it prints what happened as well.
 */
import { parseArgs } from 'node:util'
import { simulate } from './simulation.ts'

const { positionals, values } = parseArgs({
	allowPositionals: true,
	options: { 'until-failure': { type: 'boolean', default: false } },
})
const [first = 1, count = 1] = positionals.map(Number)
const counts: Record<string, number> = {}
let failed = 0
let done = 0
for (let seed = first; seed < first + count && !(failed > 0 && values['until-failure']); seed++) {
	const { violations, trace, counts: seen } = await simulate(seed)
	for (const [name, times] of Object.entries(seen)) counts[name] = (counts[name] ?? 0) + times
	if (count === 1) console.log(trace.join('\n'))
	done++
	if (violations.length === 0) continue
	failed++
	console.log(JSON.stringify({ seed, violations: violations.slice(0, 5) }))
}
console.log(JSON.stringify({ first, done, failed, counts }))
