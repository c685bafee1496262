import { z } from '@hono/zod-openapi'
import { keySet } from '../../core/certificate.ts'
import {
	changeOps,
	scopes,
	subjectRequestKinds,
	tenantStatuses,
	webhookDisabledReasons,
	webhookFailures,
} from '../../core/contract.ts'
import { moveStates } from '../../core/control.ts'
import { fieldStores } from '../../core/data-map.ts'
import { deadLetterOps, deadLetterStates } from '../../core/dead-letter.ts'
import { erasureStatuses, erasureSteps } from '../../core/erasure.ts'
import { recordIdPattern } from '../../core/ids.ts'
import {
	batchOperationsMax,
	changesLimitMax,
	graceSecondsMax,
	importPartsMax,
	listLimitMax,
	maxStalenessSecondsMax,
	nameCharsMax,
	slugCharsMax,
	subjectCharsMax,
	webhookCollectionsMax,
	webhookDescriptionCharsMax,
	webhookSecretKeptMs,
	webhookUrlCharsMax,
} from '../../core/limits.ts'
import { statusByCode } from '../../core/refusal.ts'
import { webhookEvents } from '../../core/webhook.ts'
import { collectionNamePattern } from './request.ts'

/** The shapes that cross the HTTP border: what the OpenAPI document shows, and what small bodies are parsed with. */

const tenantIdText = z.string().regex(/^[a-z][a-z0-9]{0,15}_[0-9a-hjkmnp-tv-z]{26}$/)
const mintedId = z.string().regex(/^[0-9a-hjkmnp-tv-z]{26}$/)
const time = z.iso.datetime({ precision: 3 })
const count = z.int().min(0)
const position = z.int().min(0)
const version = z.int().min(1)
/** Any JSON object; `z.record` would copy it. */
const jsonObject = z.looseObject({})

const slugText = z
	.string()
	.max(slugCharsMax)
	.regex(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/, 'must be lower-case letters, digits and inner hyphens')
const nameText = z.string().max(nameCharsMax).regex(/\S/, 'must not be blank')
const regionText = z.string().regex(/^[a-z][a-z0-9]{0,15}$/)
/** In the document of a deployment, one of the regions that it serves. */
export const regionName = regionText.openapi('Region')
const status = z.enum(tenantStatuses)

export const problem = z
	.object({
		type: z.string(),
		title: z.string(),
		status: z.int(),
		detail: z.string(),
		code: z.enum(Object.keys(statusByCode) as [keyof typeof statusByCode]),
		request_id: z.string(),
		errors: z.array(z.object({ pointer: z.string(), detail: z.string() })).optional(),
		constraint: z.string().optional(),
	})
	.openapi('Problem')

export const record = z
	.object({ id: z.string().regex(recordIdPattern), version, created_at: time, updated_at: time, data: jsonObject })
	.openapi('Record')
export const recordList = z.object({ records: z.array(record) }).openapi('RecordList')

export const collectionParams = z.object({ collection: z.string().regex(collectionNamePattern) })
export const recordParams = collectionParams.extend({ id: z.string().regex(recordIdPattern) })
export const collectionInput = z.strictObject({ schema: jsonObject }).openapi('CollectionInput')
const sealingProgress = {
	status: z.enum(['running', 'done']),
	records_done: count,
	records_total: count,
	started_at: time,
	finished_at: time.nullable(),
	history_until: time.nullable(),
}
export const collection = z
	.object({
		name: z.string(),
		schema: jsonObject,
		records: count,
		created_at: time,
		updated_at: time,
		change: z
			.object({
				status: z.enum(['running', 'failed']),
				records_done: count,
				records_total: count,
				errors: z.array(z.object({ pointer: z.string(), detail: z.string() })),
			})
			.nullable(),
		/** Of records that were there before a property was encrypted; `history_until`: until then the platform may recover them as they were. */
		encryption: z.object(sealingProgress).nullable(),
	})
	.openapi('Collection')
export const collectionList = z.object({ collections: z.array(collection) }).openapi('CollectionList')

export const searchInput = jsonObject.openapi('SearchInput')

export const batchInput = z
	.object({
		operations: z
			.array(
				z.object({
					op: z.enum(['create', 'put', 'patch', 'delete']),
					collection: z.string().regex(collectionNamePattern),
					id: z.string().regex(recordIdPattern).optional(),
					data: jsonObject.optional(),
					if_match: z.string().optional(),
				}),
			)
			.max(batchOperationsMax),
	})
	.openapi('BatchInput')
export const batchAnswer = z
	.object({ results: z.array(z.object({ id: z.string(), version, etag: z.string() })) })
	.openapi('BatchAnswer')

const change = z
	.object({
		seq: z.int().min(1),
		op: z.enum(changeOps),
		collection: z.string().nullable(),
		id: z.string().nullable(),
		version: version.nullable(),
		actor: z.string(),
		request: z.string().nullable(),
		at: time,
	})
	.openapi('Change')
export const eventStream = z.string()
export const changeList = z.object({ changes: z.array(change) }).openapi('ChangeList')

export const changeQuery = z.object({
	after: z.int().min(0).optional(),
	limit: z.int().min(1).max(changesLimitMax).optional(),
})
export const lastEventHeaders = z.object({ 'Last-Event-ID': z.int().min(0).optional() })

export const keyParams = z.object({ id: mintedId })
export const keyInput = z
	.strictObject({
		name: nameText.nullish(),
		scopes: z.array(z.enum(scopes)).min(1).max(scopes.length),
		expires_at: z.iso.datetime({ offset: true }).nullish(),
	})
	.openapi('KeyInput')
export const key = z
	.object({
		id: mintedId,
		name: z.string().nullable(),
		scopes: z.array(z.enum(scopes)),
		created_at: time,
		expires_at: time.nullable(),
	})
	.openapi('Key')
export const mintedKey = key.extend({ secret: z.string() }).openapi('MintedKey')
export const keyList = z.object({ keys: z.array(key) }).openapi('KeyList')

export const webhookParams = z.object({ id: mintedId })
const webhookFilter = {
	/** Null for all. */
	events: z.array(z.enum(webhookEvents)).min(1).max(webhookEvents.length).nullish(),
	collections: z.array(z.string().regex(collectionNamePattern)).min(1).max(webhookCollectionsMax).nullish(),
}
const webhookUrl = z.string().max(webhookUrlCharsMax).openapi({ description: 'A public https address' })
const webhookDescription = z.string().max(webhookDescriptionCharsMax).nullish()
export const webhookInput = z
	.strictObject({ url: webhookUrl, description: webhookDescription, ...webhookFilter, after: position.optional() })
	.openapi('WebhookInput')
export const webhookPatch = webhookInput
	.partial()
	.extend({ status: z.enum(['active', 'disabled']).optional() })
	.openapi('WebhookPatch')
export const webhookRotation = z
	.strictObject({
		keep_previous_seconds: z
			.int()
			.min(0)
			.max(webhookSecretKeptMs / 1_000)
			.optional(),
	})
	.openapi('WebhookRotation')
export const webhook = z
	.object({
		id: mintedId,
		url: z.string(),
		description: z.string().nullable(),
		events: z.array(z.enum(webhookEvents)).nullable(),
		collections: z.array(z.string()).nullable(),
		status: z.enum(['active', 'disabled']),
		disabled: z.object({ reason: z.enum(webhookDisabledReasons), at: time }).nullable(),
		position,
		failing: z.object({ failures: count, since: time, next_attempt_at: time }).nullable(),
		missed: z.object({ from: position, to: position }).nullable(),
		previous_secret_until: time.nullable(),
		created_at: time,
		updated_at: time,
	})
	.openapi('Webhook')
export const webhookWithSecret = webhook.extend({ secret: z.string() }).openapi('WebhookWithSecret')
export const webhookList = z.object({ webhooks: z.array(webhook) }).openapi('WebhookList')
const webhookAttempt = z
	.object({
		message: z.string(),
		event: z.string(),
		seq: position.nullable(),
		at: time,
		duration_ms: count,
		status: z.int().nullable(),
		failure: z.enum(webhookFailures).nullable(),
	})
	.openapi('WebhookAttempt')
export const webhookAttemptList = z.object({ attempts: z.array(webhookAttempt) }).openapi('WebhookAttemptList')
export const sentTest = z.object({ message: z.string() }).openapi('SentTest')
const jobStatus = z.enum(['waiting', 'running', 'done', 'failed', 'expired'])
const archiveErrors = z.array(z.object({ file: z.string(), line: z.int().min(1).nullable(), detail: z.string() }))
export const exportParams = z.object({ id: mintedId })
export const exportInput = z.strictObject({ csv: z.boolean().optional() }).openapi('ExportInput')
export const exported = z
	.object({
		id: mintedId,
		status: jobStatus,
		as_of_seq: position,
		csv: z.boolean(),
		records_done: count,
		records_total: count,
		bytes_done: count,
		archive_bytes: count.nullable(),
		estimated_finish_at: time.nullable(),
		errors: archiveErrors,
		created_at: time,
		finished_at: time.nullable(),
		expires_at: time,
	})
	.openapi('Export')
export const exportList = z.object({ exports: z.array(exported) }).openapi('ExportList')
export const importParams = z.object({ id: mintedId })
const uploadedParts = z.int().min(1).max(importPartsMax).optional()
export const importInput = z.strictObject({ parts: uploadedParts }).openapi('ImportInput')
export const operatorImportInput = z
	.strictObject({ parts: uploadedParts, replace: z.boolean().optional() })
	.openapi('OperatorImportInput')
export const imported = z
	.object({
		id: mintedId,
		status: jobStatus,
		parts: count,
		parts_done: count,
		bytes: count,
		records_done: count,
		records_total: count.nullable(),
		errors: archiveErrors,
		created_at: time,
		finished_at: time.nullable(),
		expires_at: time,
	})
	.openapi('Import')
export const importList = z.object({ imports: z.array(imported) }).openapi('ImportList')
export const uploadQuery = z.object({ part: z.int().min(1).max(importPartsMax).optional() })
export const archive = z.string().openapi({ format: 'binary' })
export const rangeHeaders = z.object({ Range: z.string().optional().openapi({ example: 'bytes=0-1048575' }) })

export const tenantParams = z.object({ id: tenantIdText })
export const tenantExportParams = tenantParams.extend({ export: mintedId })
export const tenantImportParams = tenantParams.extend({ import: mintedId })
export const tenantInput = z
	.strictObject({ slug: slugText, name: nameText, region: regionName.optional() })
	.openapi('TenantInput')
const limits = z.object({ requests_per_second: z.int().min(1).max(1_000_000), storage_bytes: z.int().min(1) })
export const tenantPatch = z
	.strictObject({ name: nameText.optional(), status: status.optional(), limits: limits.partial().strict().optional() })
	.openapi('TenantPatch')
const tenantSummary = z
	.object({ id: tenantIdText, slug: z.string(), name: z.string(), region: z.string(), status, created_at: time })
	.openapi('TenantSummary')
export const tenant = tenantSummary
	.extend({
		held_since: time.nullable(),
		limits,
		usage: z.object({ records: count, collections: count, keys: count, storage_bytes: count, position }),
	})
	.openapi('Tenant')
export const createdTenant = tenantSummary
	.extend({ api_key: z.object({ id: mintedId, secret: z.string(), scopes: z.array(z.enum(scopes)) }) })
	.openapi('CreatedTenant')

export const erasureQuery = z.object({ grace_seconds: z.int().min(0).max(graceSecondsMax).optional() })
export const tenantErasureInput = z.strictObject({ slug: z.string().max(slugCharsMax) }).openapi('TenantErasureInput')
export const erasureParams = z.object({ id: tenantIdText })
const counts = z.record(z.string(), count)
const certificate = z
	.object({
		format: z.literal('freehold-erasure-certificate/1'),
		erasure: z.string(),
		tenant: tenantIdText,
		region: z.string(),
		requested_by: z.string(),
		requested_at: time,
		begun_at: time,
		verified_at: time,
		issued_at: time,
		stores: z.array(
			z.object({
				store: z.string(),
				check: z.string(),
				found_before: counts,
				found_after: counts,
				unrecoverable_from: time,
			}),
		),
		horizon: time,
		retention_days: counts,
		limits: z.array(z.string()),
	})
	.openapi('ErasureCertificate')
export const erasure = z
	.object({
		id: tenantIdText,
		tenant: tenantIdText,
		region: z.string(),
		status: z.enum(erasureStatuses),
		requested_by: z.string(),
		requested_at: time,
		due_at: time.nullable(),
		held_since: time.nullable(),
		steps: z.array(z.object({ step: z.enum(erasureSteps), done_at: time })),
		steps_to_come: z.array(z.enum(erasureSteps)),
		horizon: time.nullable(),
		certificate: certificate.nullable(),
		certificate_jws: z.string().nullable(),
	})
	.openapi('Erasure')
export const moveInput = z.strictObject({ to: tenantIdText }).openapi('MoveInput')
export const handoverInput = z.strictObject({ as_of_seq: position }).openapi('HandoverInput')
export const move = z
	.object({ tenant: tenantIdText, to: tenantIdText, state: z.enum(moveStates), begun_at: time, begun_by: z.string() })
	.openapi('Move')
export const rewindInput = z.strictObject({ at: z.iso.datetime({ offset: true }) }).openapi('RewindInput')
export const rewindStarted = z
	.object({ tenant: tenantIdText, at: time, requested_at: time, requested_by: z.string() })
	.openapi('Rewind')
/** `history_until`: until then the platform may recover what was encrypted under the key before. */
export const keyRotation = z
	.object({
		id: mintedId,
		version: count,
		...sealingProgress,
	})
	.openapi('KeyRotation')
export const erasureList = z.object({ erasures: z.array(erasure) }).openapi('ErasureList')
export const hold = z
	.object({ tenant: tenantIdText, held: z.boolean(), since: time.optional(), by: z.string().optional() })
	.openapi('LegalHold')
export const jwks = z.object(keySet.shape).openapi('KeySet')

export const subjectParams = z.object({ subject: z.string().min(1).max(subjectCharsMax) })
export const subjectRecordList = z
	.object({ records: z.array(record.extend({ collection: z.string() })) })
	.openapi('SubjectRecordList')
export const subjectReceipt = z
	.object({
		id: mintedId,
		kind: z.enum(subjectRequestKinds),
		subject_hash: z.string(),
		records: count,
		requested_by: z.string(),
		created_at: time,
		due_at: time,
		finished_at: time.nullable(),
		key_destroyed_at: time.nullable().openapi({
			description:
				'When the key of the person was destroyed, under which encrypted properties rested; null where there was none.',
		}),
	})
	.openapi('SubjectRequest')
export const restriction = z.object({ restricted: z.boolean(), since: time.nullable() }).openapi('Restriction')
export const subjectRequestList = z.object({ requests: z.array(subjectReceipt) }).openapi('SubjectRequestList')

const moment = z.string().openapi({ example: '2026-11-22T00:00:00Z' })
export const auditQuery = z.object({
	actor: z.string().optional().openapi({ example: 'operator:operator' }),
	collection: z.string().optional(),
	record: z.string().optional(),
	op: z.enum(changeOps).optional(),
	from: moment.optional(),
	until: moment.optional(),
	limit: z.int().min(1).max(listLimitMax).optional(),
	cursor: z.string().optional(),
})
export const auditList = z
	.object({
		entries: z.array(
			z.object({
				seq: z.int().min(1),
				at: time,
				op: z.enum(changeOps),
				collection: z.string().nullable(),
				record: z.string().nullable(),
				version: version.nullable(),
				actor: z.string(),
				request: z.string().nullable(),
				records: count.nullable(),
				digest: z.string().nullable(),
				chain: z.string().nullable(),
			}),
		),
	})
	.openapi('AuditList')
export const auditVerificationQuery = z.object({ after: z.int().min(0).optional() })
export const auditVerification = z
	.object({
		intact: z.boolean(),
		complete: z.boolean(),
		from: position,
		to: position,
		head: position,
		broken_at: position.nullable(),
		chain: z.string().nullable(),
	})
	.openapi('AuditVerification')

const lag = {
	...{ shards: count, shards_behind: count, worst_lag_ms: count, shards_rebuilding: count, dead_letters: count },
	tenants_missing: count.nullable(),
	registry_compared_at: time.nullable(),
}
export const freshness = z
	.object({
		exact: z.boolean(),
		complete: z.boolean(),
		as_of: time.nullable(),
		...lag,
		regions: z.array(z.object({ region: z.string(), ...lag })),
	})
	.openapi('Freshness')
const verificationCounts = {
	...{ checked: count, equal: count, differing: count, unknown: count, repairs: count },
	oldest_check_at: time.nullable(),
	newest_check_at: time.nullable(),
}
const differingShard = z.object({
	...{ tenant: tenantIdText, shard: count, checked_at: time, repairs: count },
	repaired_at: time.nullable(),
})
const rowName = z.object({ collection: z.string(), id: z.string() })
const deepVerification = z.object({
	position: count,
	compared: count,
	records: count,
	done: z.boolean(),
	missing: z.array(rowName),
	extra: z.array(rowName),
	different: z.array(rowName),
	undecided: z.array(rowName),
})
export const verification = z
	.object({
		...verificationCounts,
		deep: deepVerification.optional(),
		regions: z.array(z.object({ region: z.string(), ...verificationCounts, shards: z.array(differingShard) })),
	})
	.openapi('Verification')
const doneOf = z.object({ done: count, total: count })
const rebuildState = z.enum(['listing', 'running', 'done'])
const rebuildPart = { state: rebuildState, shards: doneOf, records: doneOf, finished_at: time.nullable() }
export const rebuildParams = z.object({ id: mintedId })
export const rebuildInput = z
	.strictObject({ tenant: tenantIdText.optional(), region: regionName.optional() })
	.openapi('RebuildInput')
export const rebuild = z
	.object({
		id: mintedId,
		tenant: tenantIdText.nullable(),
		started_at: time,
		...rebuildPart,
		regions: z.array(z.object({ region: z.string(), ...rebuildPart })),
	})
	.openapi('Rebuild')
export const rebuildList = z.object({ rebuilds: z.array(rebuild) }).openapi('RebuildList')
const deadLetterId = z.string().regex(/^[a-z][a-z0-9]{0,15}_[1-9][0-9]{0,14}$/)
const deadLetterState = z.enum(deadLetterStates)
export const deadLetterParams = z.object({ id: deadLetterId })
export const deadLetter = z
	.object({
		id: deadLetterId,
		tenant: tenantIdText,
		shard: count,
		position,
		op: z.enum(deadLetterOps),
		collection: z.string().nullable(),
		record: z.string().nullable(),
		reason: z.string(),
		state: deadLetterState,
		attempts: count,
		created_at: time,
		refused_at: time,
		replaying_since: time.nullable(),
		discarded_at: time.nullable(),
	})
	.openapi('DeadLetter')
export const deadLetterList = z
	.object({ dead_letters: z.array(deadLetter), waiting: count, discarded: count, freshness })
	.openapi('DeadLetterList')
export const deadLetterOrder = z
	.object({ id: deadLetterId, intent: z.enum(['replay', 'discard']), ordered_at: time })
	.openapi('DeadLetterOrder')
export const tenantList = z.object({ tenants: z.array(tenantSummary), freshness }).openapi('TenantList')
export const viewRecordList = z
	.object({ records: z.array(record.extend({ tenant: tenantIdText })), freshness })
	.openapi('ViewRecordList')
export const viewCollectionList = z
	.object({ collections: z.array(z.object({ tenant: tenantIdText, name: z.string(), records: count })), freshness })
	.openapi('ViewCollectionList')

export const pageQuery = z.object({
	limit: z.int().min(1).max(listLimitMax).optional(),
	cursor: z.string().optional(),
})
const filters = z
	.record(z.string(), z.string())
	.optional()
	.openapi({
		param: { style: 'form', explode: true },
		description:
			'Any field with an operator and a value: `age=gte.18`, `name=not.like.A*`, `or=(age.lt.18,age.gt.65)`.',
		example: { age: 'gte.18' },
	})
export const recordQuery = pageQuery.extend({
	order: z.string().optional().openapi({ example: 'created_at.desc' }),
	select: z.string().optional().openapi({ example: 'name,age' }),
	filters,
})
const entityTags = z.string().optional().openapi({ description: '`*` or a list of entity tags', example: '"3-17"' })
export const readConditions = z.object({ 'If-None-Match': entityTags })
export const writeConditions = z.object({ 'If-Match': entityTags })
export const putConditions = writeConditions.extend(readConditions.shape)

export const cursorQuery = z.object({ cursor: z.string().optional() })
export const preferHeaders = z.object({ Prefer: z.string().optional().openapi({ example: 'count=exact' }) })

export const viewQuery = z.object({ region: regionText.optional(), tenant: tenantIdText.optional() })
export const verificationQuery = viewQuery.extend({
	deep: z.enum(['true', 'false']).optional().openapi({ description: 'Needs `tenant`.' }),
	cursor: z.string().optional().openapi({ description: 'Needs `deep=true`.' }),
})
export const viewFreshnessQuery = viewQuery.extend({
	max_staleness: z.int().min(0).max(maxStalenessSecondsMax).optional().openapi({
		description: 'Seconds. An answer that may be older, or may lack a tenant, is refused as `view_stale`.',
		example: 30,
	}),
})
export const tenantListQuery = viewFreshnessQuery
	.pick({ max_staleness: true })
	.extend({ search: z.string().min(1).max(nameCharsMax).optional(), ...pageQuery.shape })
export const viewCollectionQuery = viewFreshnessQuery.extend(pageQuery.shape)
export const deadLetterQuery = viewCollectionQuery.extend({ state: deadLetterState.optional() })
export const viewRecordQuery = viewFreshnessQuery.extend({
	collection: z.string().regex(collectionNamePattern),
	...recordQuery.shape,
})
export const minPositionHeaders = z.object({
	'Freehold-Min-Position': z.string().optional().openapi({ example: 'eu_01k9zq4m3c8t5w2x7v6y0r1n4p:17' }),
})

export const index = z.object({ name: z.string(), version: z.string(), docs: z.string(), openapi: z.string() })
export const openApi = jsonObject
export const assetParams = z.object({ file: z.string() })
export const consolePageParams = z.object({ page: z.string().openapi({ example: 'tenants' }) })
export const consoleThingParams = consolePageParams.extend({ thing: z.string() })
export const html = z.string()
export const javascript = z.string()
export const css = z.string()

const mappedField = z.object({
	name: z.string(),
	purpose: z.string().nullable(),
	types: z.array(z.string()),
	personal: z.boolean(),
	encrypted: z.boolean(),
	subject: z.boolean(),
	unique: z.boolean(),
	index: z.boolean(),
	stores: z.array(z.enum(fieldStores)),
})
const mappedCollection = z.object({
	name: z.string(),
	purpose: z.string().nullable(),
	records: count,
	retention_days: count.nullable(),
	open: z.boolean(),
	fields: z.array(mappedField),
})
const mappedStore = z.object({
	...{ store: z.string(), holds: z.string(), place: z.string(), kept: z.string() },
	recoverable_days: count,
})
const mappedRecipient = z.object({ recipient: z.string(), receives: z.string() })
export const dataMap = z
	.object({
		format: z.literal('freehold-data-map/1'),
		tenant: tenantIdText,
		region: z.string(),
		generated_at: time,
		collections: z.array(mappedCollection),
		stores: z.array(mappedStore),
		processing: z.array(z.string()),
		recipients: z.array(mappedRecipient),
	})
	.openapi('DataMap')
export const deploymentMap = z
	.object({
		format: z.literal('freehold-deployment-map/1'),
		generated_at: time,
		regions: z.array(
			z.object({ region: z.string(), jurisdiction: z.string().nullable(), stores: z.array(mappedStore) }),
		),
		shared: z.array(mappedStore),
		tags: z.array(z.object({ tag: z.string(), means: z.string() })),
		processing: z.array(z.string()),
		recipients: z.array(mappedRecipient),
	})
	.openapi('DeploymentMap')

export const masterSecret = z
	.object({
		secret: z.string(),
		regions: z.array(
			z.object({
				region: z.string(),
				status: z.enum(['none', 'running', 'done']),
				tenants: count,
				rewrapped: count,
				unreadable: count,
				begun_at: time.nullable(),
				finished_at: time.nullable(),
			}),
		),
	})
	.openapi('MasterSecret')
