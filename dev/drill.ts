/** `npm run drill`: breaks a local stack on purpose, and says from outside which alerts told of it and whether anything was lost. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { type RuleName, rules, runbookOf } from '../core/alert.ts'
import { runCommand, UsageError } from './command.ts'
import type { Drill, Restart } from './drill/drill.ts'
import { drills } from './drill/drills.ts'
import { Scene } from './drill/scene.ts'
import { type StackOptions, startStack } from './stack.ts'

const usage = `Usage: npm run drill -- list | ${Object.keys(drills).join(' | ')} [--report-dir DIR]

Starts a local stack of its own with tenants that write, breaks it as the drill says, and checks from outside: which alert fires and
after how long, which must not, that it is over once the runbook was followed, that every acknowledged write is there, and that the
view comes to equal the shards. Takes 2 to 12 minutes of real time, because alerts do; traffic-anomaly, which looks at whole quarters
of an hour, up to 45. The report is written to .data/drills/<drill>.md and .json.`

/** The platform's cron trigger rings every minute; a drill looks more often, so that its times say what the rules decide. */
const cronMs = 5_000

async function main(args: string[]): Promise<void> {
	const { values, positionals } = parseArgs({
		args,
		options: { 'report-dir': { type: 'string' } },
		allowPositionals: true,
	})
	const [name = ''] = positionals
	if (name === 'list') {
		for (const [one, { what, expects }] of Object.entries(drills))
			console.log(`${one.padEnd(16)} ${what}; expects ${expects.join(', ') || 'no alert'}`)
		return
	}
	const drill = drills[name]
	if (drill === undefined || positionals.length !== 1)
		throw new UsageError(`name one drill: ${Object.keys(drills).join(', ')}`)
	const result = await perform(name, drill)
	const dir = values['report-dir'] ?? '.data/drills'
	mkdirSync(dir, { recursive: true })
	writeFileSync(join(dir, `${name}.json`), `${JSON.stringify(result, null, '\t')}\n`)
	writeFileSync(join(dir, `${name}.md`), reportText(result))
	console.log(reportText(result))
	if (result.failures.length > 0) throw new Error(result.failures.join('; '))
}

interface Result {
	drill: string
	what: string
	at: string
	/** Seconds from the fault until each alert fired, and until nothing of its rule was open any more. */
	fired: Record<string, number>
	resolved: Record<string, number>
	/** What was done and seen, in seconds from the fault; null before it. */
	notes: { seconds: number | null; text: string }[]
	acknowledged: number
	unanswered: number
	failures: string[]
}

async function perform(name: string, drill: Drill): Promise<Result> {
	const dataDir = mkdtempSync(join(tmpdir(), 'freehold-drill-'))
	const start = (options: Partial<StackOptions>) =>
		startStack({ dataDir, runtime: 'direct', cronMs, vars: drill.vars ?? {}, ...options })
	const scene = new Scene(await start({}))
	const at = new Date().toISOString()
	const failures: string[] = []
	let counted = { acknowledged: 0, unanswered: 0 }
	try {
		await scene.begin()
		const restart: Restart = async (options = {}, whileStopped = () => {}) => {
			await scene.stack.stop()
			whileStopped()
			scene.stack = await start(options)
		}
		if (drill.config) await restart({ config: drill.config(dataDir) })
		await drill.run(scene, restart)
		counted = await scene.end()
	} catch (error) {
		failures.push(error instanceof Error ? error.message : String(error))
	} finally {
		await scene.stop()
		await scene.stack.stop()
		await scene.leave()
		rmSync(dataDir, { recursive: true, force: true })
	}
	const allowed = [...drill.expects, ...drill.mayFire]
	const isAllowed = (rule: string) => allowed.some((one) => one === rule)
	for (const rule of scene.fired.keys()) if (!isAllowed(rule)) failures.push(`${rule} fired and must not`)
	for (const rule of drill.expects) if (!scene.fired.has(rule)) failures.push(`${rule} did not fire`)
	const seconds = (times: Map<string, number>) =>
		Object.fromEntries([...times].map(([rule, ms]) => [rule, Math.round(ms / 1_000)]))
	const notes = scene.notes.map(({ ms, text }) => ({ seconds: ms === null ? null : Math.round(ms / 1_000), text }))
	const times = { fired: seconds(scene.fired), resolved: seconds(scene.resolved), notes }
	return { drill: name, what: drill.what, at, ...times, ...counted, failures: [...new Set(failures)] }
}

function reportText({ drill, what, at, fired, resolved, notes, acknowledged, unanswered, failures }: Result): string {
	const alerts = Object.entries(fired).map(([rule, seconds]) => {
		const { severity } = rules[rule as RuleName]
		const over = resolved[rule] === undefined ? 'not in the drill' : `${resolved[rule]} s`
		return `| ${rule} | ${severity} | ${seconds} s | ${over} | ${runbookOf(rule as RuleName)} |`
	})
	return [
		`# Drill: ${drill}\n`,
		`${at}: ${what}.\n`,
		alerts.length === 0
			? 'No alert fired.'
			: [
					'| alert | severity | fired after | over after | runbook |',
					'| --- | --- | --- | --- | --- |',
					...alerts,
				].join('\n'),
		...(notes.length === 0 ? [] : ['', ...notes.map(noteText)]),
		`\n${acknowledged} writes were acknowledged and are all there, in the shards and in the view; ${unanswered} were refused or not answered.`,
		failures.length === 0 ? '\nPassed.' : `\nFailed: ${failures.join('; ')}.`,
		'',
	].join('\n')
}

function noteText({ seconds, text }: Result['notes'][number]): string {
	return `- ${seconds === null ? 'before' : `${seconds} s`}: ${text}`
}

await runCommand(main, usage)
