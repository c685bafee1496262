import { readdirSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { expect, test } from 'vitest'
import { ruleNames, rules, runbookOf } from '../../core/alert.ts'
import { slos } from '../../core/slos.ts'
import { drills } from '../../dev/drill/drills.ts'
import { readSlos, readSource, render, target } from '../../dev/slo.ts'

const root = resolve(import.meta.dirname, '../..')

test('every rule has a runbook that says what it means, where to look and what to do, and every runbook a rule', () => {
	for (const rule of ruleNames) {
		const text = readFileSync(join(root, runbookOf(rule)), 'utf8')
		expect(text).toContain(`Severity: ${rules[rule].severity}.`)
		for (const part of ['## What it means', '## Look', '## Do', 'Drill: ']) expect(text, rule).toContain(part)
	}
	const files = readdirSync(join(root, 'docs/runbooks')).map((file) => `docs/runbooks/${file}`)
	expect(files.sort()).toEqual(ruleNames.map(runbookOf).sort())
})

test('every runbook names the drills that try it, and every alert is fired by one on purpose', () => {
	for (const rule of ruleNames) {
		const [, named = ''] = /Drill: ([^.]+)\./.exec(readFileSync(join(root, runbookOf(rule)), 'utf8')) ?? []
		const trying = Object.entries(drills).filter(([, { expects }]) => expects.includes(rule))
		expect(trying, rule).not.toEqual([])
		expect(named.split(', '), rule).toEqual(trying.map(([name]) => name))
	}
})

test('links between runbooks lead somewhere', () => {
	const files = readdirSync(join(root, 'docs/runbooks'))
	for (const file of files) {
		const text = readFileSync(join(root, 'docs/runbooks', file), 'utf8')
		for (const [, link] of text.matchAll(/\]\(([a-z0-9-]+\.md)\)/g)) expect(files, `${file} -> ${link}`).toContain(link)
	}
})

test('the objectives in use are those of the OpenSLO file', () => {
	const read = readSlos(readSource())
	expect(read).toEqual(slos)
	expect(readFileSync(target, 'utf8')).toBe(render(read))
})

test.each([
	['target: 0.999', 'target: 1.5'],
	['withinMs: 512', 'withinMs: 500'],
	['service: freehold', 'service: nobody'],
	['apiVersion: openslo/v1\nkind: SLO', 'apiVersion: openslo/v2\nkind: SLO'],
	['series: availability', 'series: latency'],
	['budgetingMethod: Occurrences', 'budgetingMethod: Occurrences\n  unknown: 1'],
	['duration: 30d', 'duration: a month'],
])('an OpenSLO file with %s changed to %s is refused', (from, to) => {
	const source = readSource()
	expect(source).toContain(from)
	expect(() => readSlos(source.replace(from, to))).toThrow()
})
