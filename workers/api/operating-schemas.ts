import { z } from '@hono/zod-openapi'
import { ruleNames } from '../../core/alert.ts'
import { incidentStatuses } from '../../core/incident.ts'
import {
	incidentNoteCharsMax,
	incidentTitleCharsMax,
	shardsShownMax,
	silenceMinutesMax,
	trafficPeriodsMax,
	usagePeriodsMax,
} from '../../core/limits.ts'
import { usageGrains } from '../../core/metrics.ts'
import { trafficGrains } from '../../core/traffic.ts'
import { operatorScopes } from './ports.ts'
import { regionName, viewQuery } from './schemas.ts'

/** The shapes of what the operator watches with. */

const time = z.iso.datetime({ precision: 3 })
const count = z.int().min(0)

export const exposition = z.string()

export const usageQuery = z.object({
	grain: z.enum(usageGrains).optional(),
	limit: z.int().min(1).max(usagePeriodsMax).optional(),
})
const usage = z
	.object({
		at: time,
		records: count.nullable(),
		active_keys: count.nullable(),
		storage_bytes: count.nullable(),
		requests: count,
		writes: count,
		exports: count,
		erasures: count,
		rows_written: count,
		rows_read: count,
		messages: count,
		cost_dollars: z.number().min(0),
	})
	.openapi('Usage')
export const usageList = z.object({ grain: z.enum(usageGrains), usage: z.array(usage) }).openapi('UsageList')

export const operator = z
	.object({
		name: z.string(),
		scope: z.enum(operatorScopes),
		regions: z.array(z.string()),
		version: z.string(),
	})
	.openapi('Operator')

export const trafficQuery = z.object({
	region: z.string().optional(),
	grain: z.enum(trafficGrains).optional(),
	limit: z.int().min(1).max(trafficPeriodsMax).optional(),
})
const quantileMs = z.number().min(0).nullable()
const figures = { requests: count, failed: count, p50_ms: quantileMs, p99_ms: quantileMs }
export const traffic = z
	.object({
		grain: z.enum(trafficGrains),
		seconds: count,
		from: time,
		until: time,
		points: z.array(z.object({ at: time, ...figures })),
		routes: z.array(z.object({ route: z.string(), ...figures })),
	})
	.openapi('Traffic')

export const shardQuery = viewQuery.extend({ limit: z.int().min(1).max(shardsShownMax).optional() })
const shardSums = { tenants: count, shards: count, records: count, size_bytes: count }
export const shardList = z
	.object({
		totals: z.object(shardSums),
		regions: z.array(z.object({ region: z.string(), ...shardSums })),
		shards: z.array(
			z.object({
				tenant: z.string(),
				slug: z.string().nullable(),
				shard: count,
				head: count,
				applied: count,
				lag_ms: count,
				exact: z.boolean(),
				dead_letters: count,
				rebuilding: z.object({ done: count, total: count }).nullable(),
				records: count.nullable(),
				active_keys: count.nullable(),
				size_bytes: count.nullable(),
				reported_at: time.nullable(),
			}),
		),
	})
	.openapi('ShardList')

export const markdown = z.string()
const share = z.number()
const events = { good: count, total: count }
const burn = z.object({
	severity: z.enum(['page', 'ticket']),
	factor: z.number(),
	long_minutes: count,
	short_minutes: count,
	long: z.number().nullable(),
	short: z.number().nullable(),
	burning: z.boolean(),
})
const sloStatus = z
	.object({
		region: z.string(),
		name: z.string(),
		target: share,
		window_days: count,
		...events,
		attained: share.nullable(),
		budget_left: share,
		burns: z.array(burn),
	})
	.openapi('Slo')
export const sloList = z.object({ slos: z.array(sloStatus) }).openapi('SloList')

export const sloReportQuery = z.object({
	month: z
		.string()
		.regex(/^20[0-9]{2}-(0[1-9]|1[0-2])$/)
		.optional(),
})
const sloMonth = z.object({
	region: z.string(),
	slo: z.string(),
	target: share,
	...events,
	attained: share.nullable(),
	met: z.boolean().nullable(),
	budget_used: share,
})
export const sloReport = z.object({ month: z.string(), slos: z.array(sloMonth) }).openapi('SloReport')

const ownId = z.string().regex(/^[a-z][a-z0-9]{0,15}_[0-9a-hjkmnp-tv-z]{26}$/)
export const alertParams = z.object({ id: ownId })
export const alert = z
	.object({
		id: ownId,
		region: z.string(),
		rule: z.enum(ruleNames),
		subject: z.string().nullable(),
		severity: z.enum(['page', 'ticket']),
		state: z.enum(['pending', 'firing', 'resolved']),
		summary: z.string(),
		runbook: z.string(),
		acknowledged_by: z.string().nullable(),
		silenced: z.boolean(),
		found_at: time,
		fired_at: time.nullable(),
		resolved_at: time.nullable(),
	})
	.openapi('Alert')
const silence = z
	.object({ region: z.string(), rule: z.enum(ruleNames), until: time, by: z.string() })
	.openapi('Silence')
const took = z.number().min(0).nullable()
const probe = z.object({ at: time, failed: z.string().nullable(), write_ms: took, read_ms: took, view_ms: took })
export const alertList = z
	.object({
		alerts: z.array(alert),
		silences: z.array(silence),
		monitors: z.array(z.object({ region: z.string(), evaluated_at: time.nullable(), probe: probe.nullable() })),
	})
	.openapi('AlertList')
export const silenceParams = z.object({ rule: z.enum(ruleNames) })
export const silenceInput = z.strictObject({ minutes: z.int().min(0).max(silenceMinutesMax) }).openapi('SilenceInput')
export const silenceList = z.object({ silences: z.array(silence) }).openapi('SilenceList')

const incidentSummary = z.object({
	id: ownId,
	region: z.string(),
	title: z.string(),
	status: z.enum(incidentStatuses),
	opened_at: time,
	resolved_at: time.nullable(),
})
export const incident = incidentSummary
	.extend({ timeline: z.array(z.object({ at: time, text: z.string() })) })
	.openapi('Incident')
export const incidentList = z.object({ incidents: z.array(incidentSummary) }).openapi('IncidentList')
const noteText = z.string().max(incidentNoteCharsMax).regex(/\S/, 'must not be blank')
export const incidentInput = z
	.strictObject({
		region: regionName.optional(),
		title: z.string().max(incidentTitleCharsMax).regex(/\S/, 'must not be blank'),
		text: noteText,
	})
	.openapi('IncidentInput')
export const incidentNote = z.strictObject({ status: z.enum(incidentStatuses), text: noteText }).openapi('IncidentNote')

const part = z.enum(['operational', 'degraded'])
export const publicStatus = z
	.object({
		status: part,
		regions: z.array(z.object({ region: z.string(), api: part, view: part })),
		incidents: z.array(incidentSummary.omit({ id: true, region: true })),
		as_of: time,
	})
	.openapi('Status')
