/** What the console reads of the API's answers; `/openapi.json` has the whole of them. */
import * as z from 'zod/mini'

const count = z.number()
const text = z.string()
const optionalText = z.nullable(z.string())
const optionalNumber = z.nullable(z.number())

export const operator = z.object({
	name: text,
	scope: z.enum(['admin', 'read', 'metrics']),
	regions: z.array(text),
	version: text,
})
export type Operator = z.infer<typeof operator>

const lag = { shards: count, shards_behind: count, worst_lag_ms: count, dead_letters: count }
export const freshness = z.object({
	...{ exact: z.boolean(), complete: z.boolean(), as_of: optionalText, ...lag },
	regions: z.array(z.object({ region: text, ...lag, shards_rebuilding: count, tenants_missing: optionalNumber })),
})
export type Freshness = z.infer<typeof freshness>

const figures = { requests: count, failed: count, p50_ms: optionalNumber, p99_ms: optionalNumber }
export const traffic = z.object({
	seconds: count,
	points: z.array(z.object({ at: text, ...figures })),
	routes: z.array(z.object({ route: text, ...figures })),
})
export type Traffic = z.infer<typeof traffic>

const shardSums = { tenants: count, shards: count, records: count, size_bytes: count }
const shard = z.object({
	...{ tenant: text, slug: optionalText, shard: count, head: count, applied: count, lag_ms: count },
	...{ exact: z.boolean(), dead_letters: count, rebuilding: z.nullable(z.object({ done: count, total: count })) },
	...{ records: optionalNumber, active_keys: optionalNumber, size_bytes: optionalNumber, reported_at: optionalText },
})
export type Shard = z.infer<typeof shard>
export const shardList = z.object({
	totals: z.object(shardSums),
	regions: z.array(z.object({ region: text, ...shardSums })),
	shards: z.array(shard),
})

const burn = z.object({
	...{ severity: text, factor: count, long_minutes: count, short_minutes: count },
	...{ long: optionalNumber, short: optionalNumber, burning: z.boolean() },
})
const slo = z.object({
	...{ region: text, name: text, target: count, window_days: count, good: count, total: count },
	...{ attained: optionalNumber, budget_left: count, burns: z.array(burn) },
})
export type Slo = z.infer<typeof slo>
export const sloList = z.object({ slos: z.array(slo) })

export const alert = z.object({
	...{ id: text, region: text, rule: text, subject: optionalText, severity: text, state: text, summary: text },
	...{ runbook: text, acknowledged_by: optionalText, silenced: z.boolean(), found_at: text },
	...{ fired_at: optionalText, resolved_at: optionalText },
})
export type Alert = z.infer<typeof alert>
const probe = z.object({
	...{ at: text, failed: optionalText, write_ms: optionalNumber, read_ms: optionalNumber, view_ms: optionalNumber },
})
const silence = z.object({ region: text, rule: text, until: text, by: text })
const monitor = z.object({ region: text, evaluated_at: optionalText, probe: z.nullable(probe) })
export type Monitor = z.infer<typeof monitor>
export const alertList = z.object({ alerts: z.array(alert), silences: z.array(silence), monitors: z.array(monitor) })
export const silenceList = z.object({ silences: z.array(silence) })

const incidentSummary = {
	id: text,
	region: text,
	title: text,
	status: text,
	opened_at: text,
	resolved_at: optionalText,
}
export const incidentList = z.object({ incidents: z.array(z.object(incidentSummary)) })
export const incident = z.object({ ...incidentSummary, timeline: z.array(z.object({ at: text, text })) })

const tenantSummary = { id: text, slug: text, name: text, region: text, status: text, created_at: text }
export const tenantList = z.object({ tenants: z.array(z.object(tenantSummary)), freshness })
export const tenant = z.object({
	...tenantSummary,
	limits: z.object({ requests_per_second: count, storage_bytes: count }),
	usage: z.object({ records: count, collections: count, keys: count, storage_bytes: count, position: count }),
})
export type Tenant = z.infer<typeof tenant>
export const createdTenant = z.object({ ...tenantSummary, api_key: z.object({ id: text, secret: text }) })
export type CreatedTenant = z.infer<typeof createdTenant>
export const hold = z.object({ held: z.boolean(), since: z.optional(text), by: z.optional(text) })

const used = z.object({
	...{ at: text, records: optionalNumber, storage_bytes: optionalNumber, requests: count, writes: count },
	...{ rows_written: count, rows_read: count, cost_dollars: count },
})
export const usageList = z.object({ usage: z.array(used) })

const property = z.looseObject({})
const schema = z.looseObject({ properties: z.optional(z.record(text, property)) })
export type Schema = z.infer<typeof schema>
const collection = z.object({
	...{ name: text, schema, records: count, updated_at: text },
	change: z.nullable(z.object({ status: text, records_done: count, records_total: count })),
})
export type Collection = z.infer<typeof collection>
export const collectionList = z.object({ collections: z.array(collection) })

const key = z.object({
	...{ id: text, name: optionalText, scopes: z.array(text), created_at: text, expires_at: optionalText },
})
export const keyList = z.object({ keys: z.array(key) })

const jobFaults = z.array(z.object({ file: text, line: optionalNumber, detail: text }))
export const exported = z.object({
	...{ id: text, status: text, as_of_seq: count, records_done: count, records_total: count },
	...{ archive_bytes: optionalNumber, errors: jobFaults, created_at: text, expires_at: text },
})
export type Export = z.infer<typeof exported>
export const exportList = z.object({ exports: z.array(exported) })
const imported = z.object({
	...{ id: text, status: text, parts: count, parts_done: count, records_done: count, records_total: optionalNumber },
	...{ errors: jobFaults, created_at: text },
})
export const importList = z.object({ imports: z.array(imported) })

export const erasure = z.object({
	...{ id: text, tenant: text, region: text, status: text, requested_by: text, requested_at: text },
	...{ due_at: optionalText, held_since: optionalText, horizon: optionalText, certificate_jws: optionalText },
	steps: z.array(z.object({ step: text, done_at: text })),
	steps_to_come: z.array(text),
	certificate: z.nullable(z.looseObject({})),
})
export type Erasure = z.infer<typeof erasure>
export const erasureList = z.object({ erasures: z.array(erasure) })

const viewRecord = z.object({
	...{ tenant: text, id: text, version: count, created_at: text, updated_at: text },
	data: z.record(text, z.unknown()),
})
export type ViewRecord = z.infer<typeof viewRecord>
export const viewRecordList = z.object({ records: z.array(viewRecord), freshness })
export const viewCollectionList = z.object({
	collections: z.array(z.object({ tenant: text, name: text, records: count })),
})

const verificationCounts = {
	...{ checked: count, equal: count, differing: count, unknown: count, repairs: count },
	newest_check_at: optionalText,
	oldest_check_at: optionalText,
}
const differing = z.object({ tenant: text, shard: count, checked_at: text, repairs: count, repaired_at: optionalText })
export const verification = z.object({
	...verificationCounts,
	regions: z.array(z.object({ region: text, ...verificationCounts, shards: z.array(differing) })),
})
const rowNames = z.array(z.object({ collection: text, id: text }))
export const deepVerification = z.object({
	deep: z.object({
		...{ compared: count, records: count },
		...{ missing: rowNames, extra: rowNames, different: rowNames, undecided: rowNames },
	}),
})
export type DeepVerification = z.infer<typeof deepVerification>
const doneOf = z.object({ done: count, total: count })
const rebuildPart = { state: text, shards: doneOf, records: doneOf, finished_at: optionalText }
export const rebuild = z.object({
	...{ id: text, tenant: optionalText, started_at: text },
	...rebuildPart,
	regions: z.array(z.object({ region: text, ...rebuildPart })),
})
export const rebuildList = z.object({ rebuilds: z.array(rebuild) })
const deadLetter = z.object({
	...{
		id: text,
		tenant: text,
		shard: count,
		position: count,
		op: text,
		collection: optionalText,
		record: optionalText,
	},
	...{ reason: text, state: text, attempts: count, created_at: text },
})
export type DeadLetter = z.infer<typeof deadLetter>
export const deadLetterList = z.object({ dead_letters: z.array(deadLetter), waiting: count, discarded: count })
/** For calls of which nothing but their success is wanted. */
export const anything = z.unknown()
