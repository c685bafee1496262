/** `npm run slo`: checks slo/freehold.yaml and makes core/slos.ts of it, so that no Worker carries a YAML parser. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseAllDocuments } from 'yaml'
import { z } from 'zod'
import { bucketOf, upperBound } from '../core/histogram.ts'
import { indicators } from '../core/sli.ts'
import type { Slo } from '../core/slo.ts'
import { runCommand } from './command.ts'
import { projectDir } from './processes.ts'

const source = join(projectDir, 'slo', 'freehold.yaml')
export const target = join(projectDir, 'core', 'slos.ts')

const name = z.string().regex(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/)
const metadata = z.strictObject({ name, displayName: z.string().optional() })
const metric = z.strictObject({
	metricSource: z.strictObject({
		type: z.literal('freehold'),
		spec: z.strictObject({
			series: z.enum(indicators),
			withinMs: z.number().positive().optional(),
			promql: z.string().optional(),
		}),
	}),
})

/** The part of OpenSLO v1 that is used here. @see https://github.com/OpenSLO/OpenSLO */
const document = z.discriminatedUnion('kind', [
	z.strictObject({
		apiVersion: z.literal('openslo/v1'),
		kind: z.literal('Service'),
		metadata,
		spec: z.strictObject({ description: z.string().max(1_050) }),
	}),
	z.strictObject({
		apiVersion: z.literal('openslo/v1'),
		kind: z.literal('SLO'),
		metadata: metadata.extend({ name: z.enum(indicators), displayName: z.string().regex(/^[A-Za-z, -]+$/) }),
		spec: z.strictObject({
			description: z.string().max(1_050),
			service: name,
			indicator: z.strictObject({
				metadata,
				spec: z.strictObject({
					ratioMetric: z.strictObject({ counter: z.literal(true), good: metric, total: metric }),
				}),
			}),
			timeWindow: z.tuple([
				z.strictObject({ duration: z.string().regex(/^[1-9][0-9]*d$/), isRolling: z.literal(true) }),
			]),
			budgetingMethod: z.literal('Occurrences'),
			objectives: z.tuple([z.strictObject({ displayName: z.string(), target: z.number().gt(0).lt(1) })]),
		}),
	}),
])

/** @throws naming the place when the text is not what OpenSLO and this system take */
export function readSlos(text: string): Slo[] {
	const documents = parseAllDocuments(text).map((parsed) => {
		if (parsed.errors.length > 0) throw new Error(`not YAML: ${parsed.errors[0]?.message}`)
		return document.parse(parsed.toJS())
	})
	const services = documents.flatMap((one) => (one.kind === 'Service' ? [one.metadata.name] : []))
	return documents.flatMap((one) => {
		if (one.kind !== 'SLO') return []
		const { metadata: named, spec } = one
		const { good, total } = spec.indicator.spec.ratioMetric
		const { series, withinMs = null } = good.metricSource.spec
		if (!services.includes(spec.service)) throw new Error(`${named.name}: there is no service ${spec.service}`)
		if (series !== named.name || total.metricSource.spec.series !== series)
			throw new Error(`${named.name}: both metrics must be of the series of its name`)
		if (named.name === 'latency' && (withinMs === null || Math.abs(upperBound(bucketOf(withinMs)) - withinMs) > 1e-6))
			throw new Error('latency: withinMs must be the bound of a bucket, or requests could only be guessed')
		return [
			{
				name: named.name,
				displayName: named.displayName,
				target: spec.objectives[0].target,
				windowDays: Number.parseInt(spec.timeWindow[0].duration, 10),
				withinMs,
			},
		]
	})
}

/** The text of core/slos.ts. */
export function render(slos: readonly Slo[]): string {
	const rows = slos.map((slo) => {
		const fields = Object.entries(slo).map(
			([key, value]) => `\t\t${key}: ${typeof value === 'string' ? `'${value}'` : value},\n`,
		)
		return `\t{\n${fields.join('')}\t},\n`
	})
	return `/** Made from slo/freehold.yaml by \`npm run slo\`; edit that file instead. */
import type { Slo } from './slo.ts'

export const slos: readonly Slo[] = [
${rows.join('')}]
`
}

export function readSource(): string {
	return readFileSync(source, 'utf8')
}

const usage = 'npm run slo: checks slo/freehold.yaml and makes core/slos.ts of it.'

if (import.meta.main)
	await runCommand(async () => {
		const slos = readSlos(readSource())
		writeFileSync(target, render(slos))
		for (const { name: slo, target: share, windowDays } of slos)
			console.log(`${slo}: ${share * 100} % over ${windowDays} days`)
	}, usage)
