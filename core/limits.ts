/** Every limit of the system, with its unit and its reason. Sizes are bytes of UTF-8 unless the name says otherwise. */

const kilobyte = 1_000
const megabyte = 1_000_000

/** A batch, a page and an export part share one bound, so that one request holds a few of them in 128 MB of memory. */
export const bodyBytesMax = 4 * megabyte
/** A SQLite row in an object is at most 2 MB; half of it leaves room for the stored unique values and the row's own fields. */
export const recordBytesMax = 1 * megabyte
/** A schema is compiled in the shard and is kept in memory while it is warm. */
export const schemaBytesMax = 64 * kilobyte
/** Deeper values overflow the stack of one of the parsers on the way (Postgres gives up near 20,000). */
export const jsonDepthMax = 64
/** Properties of one object. */
export const jsonKeysMax = 10_000
/** A longer key cannot enter a Postgres index (2,704 bytes) and is never a name. */
export const jsonKeyBytesMax = 1 * kilobyte
/** Objects and arrays of one body: each costs the isolate about 60 bytes while it is parsed, whatever it holds. */
export const jsonContainersMax = 400_000

export const collectionsMax = 500
/** SQLite allows 100 columns in an object; stored unique values take one each. */
export const uniquePropertiesMax = 16
/** Each index costs one more written row per write. */
export const indexedPropertiesMax = 16
/** A hundred years; more would mean no limit. */
export const retentionDaysMax = 36_500
/** Index keys over 2,704 bytes are refused by Postgres, and text that long is no key. */
export const uniqueTextBytesMax = 1 * kilobyte
export const keysPerTenantMax = 1_000
/** Above this a change of schema works in steps, as a job, so that the shard stays responsive. */
export const schemaChangeSyncRecordsMax = 100_000
/** Offending records named when a change of schema is refused. */
export const schemaOffendersMax = 10
/** Places named when a schema, or data that a schema judges, is refused. */
export const faultsMax = 20
/** Subschemas of one schema; each becomes a closure that is kept in memory. */
export const subschemasMax = 2_000
export const enumValuesMax = 1_000
/** UTF-16 units of one pattern. */
export const patternCharsMax = 256
/** Patterns of one schema, and the memory that each may fill with states of its automaton: 8 MB together. */
export const patternsMax = 64
export const patternMemoryBytesMax = 128 * kilobyte
/** Instructions of one compiled pattern and of all patterns of a schema; `.{0,400}` takes 800. An instruction holds up to 1 KB. */
export const patternInstructionsMax = 1_000
export const patternInstructionsTotalMax = 4_000
/**
 * Steps of checking one value against a schema: a step is a subschema or a similar piece of work of about 50 ns, so that
 * a schema whose branches double at each level ends after some 10 ms.
 */
export const checkStepsMax = 100_000
/** Further steps for each value inside a large value (8 characters of text count as one), so that size alone is never too complex. */
export const checkStepsPerValue = 4
/** Subschemas nested in one another while checking; about 8 at each level of the deepest data, far below the stack's size. */
export const checkDepthMax = 500

export const batchOperationsMax = 1_000
export const listLimitDefault = 50
export const listLimitMax = 1_000
/** Rows that one call may read to answer a filter that no index serves; 50 to 500 ms of an object's single thread. */
export const scanRowsMax = 50_000
/** The object's SQLite refuses LIKE and GLOB patterns over 50 bytes. */
export const patternBytesMax = 50
export const filterTermsMax = 50
export const orderTermsMax = 4
/** The object's SQLite allows 100 bound parameters. */
export const inValuesMax = 500
/** UTF-16 units of one parameter: room for a full list of values, and a bound for the parsers. */
export const filterCharsMax = 256 * kilobyte
/** Nesting of `and()` and `or()`; an object's SQLite allows expressions 100 deep. */
export const filterDepthMax = 10
export const selectNamesMax = 100
/** A sealed position holds one value per order term; it travels in URLs, which proxies cut at 8 KB and more. */
export const cursorBytesMax = 8 * kilobyte
export const changesLimitDefault = 100
export const changesLimitMax = 1_000
/** A silent event stream says so this often, because proxies cut a connection that says nothing. */
export const streamHeartbeatMs = 15_000
/** Pulls of one event stream are this far apart, so that following a busy journal leaves the tenant its requests. */
export const streamPullGapMs = 50
/** An event stream ends after so many pulls and its client resumes it: a request at the edge may make 1,000 calls. */
export const streamPullsMax = 500

export const idempotencyKeyCharsMax = 255
export const idempotencyKeptMs = 24 * 3_600_000
/** How long the first request with an idempotency key may run before a retry takes over. */
export const idempotencyRunningMs = 30_000

/** Names and slugs of tenants, names of keys. */
export const nameCharsMax = 200
export const slugCharsMax = 63

/** Requests a second of one tenant; one object serves about 1,000. Operators raise or lower it per tenant. */
export const requestsPerSecondDefault = 1_000
/** The bucket refills within this time, so that an eviction, which empties memory, grants nothing worth having. */
export const rateRefillSeconds = 10
/** Size of one object's database on the platform. A deployment may draw the line earlier (`SHARD_BYTES_MAX`). */
export const shardBytesMax = 10_000 * megabyte
/** Growth is refused above this share of the size, deletes never. */
export const shardFullShare = 0.9

/** The audit log's retention; the view's position holds pruning back further (J2). */
export const journalKeptMs = 400 * 86_400_000
/** A segment of the journal is closed at this age, and goes when its last entry is old enough: at most so much is kept longer. */
export const journalSegmentMs = 30 * 86_400_000
/** A segment is closed at this length too: dropping its table takes about 70 ms, during which the tenant waits. */
export const journalSegmentEntriesMax = 250_000

/** The first change after silence is announced after this, so that a burst shares one alarm and one message. */
export const announceDelayMs = 100
/** While writes go on, announcements are this far apart. */
export const announceIntervalMs = 1_000
/** While the view is behind and nobody pulls, the alarm announces again after this, doubling up to the maximum. */
export const announceAgainMs = 5_000
export const announceAgainMsMax = 300_000

/** Pages that share one statement may be this large together; a larger page goes alone. */
export const coalescedBytesMax = 32 * kilobyte
/**
 * Statements that pages of one delivery share, and as many of pages that go alone, are under way at the same time; neither wait for
 * the other. An invocation waits for six answers at most, whoever asks, and `max_concurrency` counts on that.
 */
export const statementsAtOnceMax = 4
/** Watermarks read by one statement. */
export const coalescedShardsMax = 50
/** Journal entries in one page of the ETL. */
export const pageEntriesMax = 5_000
/** A view that lacks more entries than this from the very start reads the records instead: there are often fewer, and none comes twice. */
export const replayedEntriesMax = 5_000
/** Pages that one shard may take of one batch before others get their turn (V4). */
export const pagesPerDeliveryMax = 20
/**
 * Shards and jobs of a batch begin nothing more after this, and shards no page that would likely end after it. Where a queue runs
 * one batch at a time, a fresh change of another tenant waits so long at most, and for the page that was begun.
 */
export const deliveryMsMax = 500
/** Tenants that one step of a rebuild asks, and how many of them at the same time: an invocation may make 1,000 calls. */
export const rebuildStepTenantsMax = 200
export const rebuildStepsAtOnceMax = 16
/** While its shards are read, a rebuild looks how far they are in growing intervals, at most this far apart. */
export const rebuildAgainSecondsMax = 30
/** What a rebuild has not come to the end of by then is asked again. */
export const rebuildAgainMsMax = 600_000
/** A rebuild on which nobody has worked for this long has lost its message, and the sweep sends it another. */
export const rebuildForgottenMs = 90_000
/** Shards whose base has lost its message and that are woken in a minute. */
export const basesResumedMax = 100
/** Shards that are asked in a minute what their rows come to, because no page has said it: each may be a cold start. */
export const checksumsAskedMax = 20
/** Shards compared by one statement, and their rows: 4 s at the 60,000 rows a second of a busy processor, below `databaseTimeoutMs`. */
export const comparedShardsMax = 500
export const comparedRowsMax = 250_000
/** Such statements in a minute: at most a million rows. */
export const comparisonsMax = 4
/** No further statement is begun after this, so that a slow database keeps five sixths of its time for others. */
export const verificationMsMax = 6_000
/** Repairs of one shard are so far apart: what a rebuild has not mended, another would not either. */
export const repairGapMs = 3_600_000
/** Tenants of the view that are held against its watermarks in a minute, and strangers among them that are dealt with. */
export const strayTenantsSought = 20_000
export const strayTenantsMax = 20
/** Tenants that one page of the registry's comparison with the view names: as many as a bucket lists at once. */
export const registryPageTenants = 1_000
/** Such pages in a minute; each is one listing and two short statements. */
export const registryPagesMax = 20
/** Tenants unknown to the view that are looked up and woken in a minute, and at the same time: an invocation may make 1,000 calls. */
export const registryStrangersMax = 200
export const registryStrangersAtOnceMax = 16
/** A tenant that is younger is on its way into the view and not missing. */
export const registryGraceMs = 60_000
/** Seconds that `max_staleness` may allow; more would mean no limit. */
export const maxStalenessSecondsMax = 365 * 86_400
/** When to ask again for an answer that was too old, in seconds. */
export const staleRetrySeconds = 5
/** Rows of one survey of a shard, and the text of their records: about 50 ms, during which its tenant waits. */
export const surveyRowsMax = 2_000
export const surveyCharsMax = 2 * megabyte
/** Entries of the journal that a survey looks through for what has changed since: some 10 ms. */
export const surveyedEntriesMax = 10_000
/** Records that one call of the deep verification compares, and the time after which it surveys no further. */
export const deepRecordsMax = 20_000
export const deepMsMax = 5_000
/** Records that may differ are looked at again; with so many the call ends, and the next one goes on. */
export const deepSuspectsMax = 1_000
/** How often one that changes all the time is looked at. */
export const deepLooksMax = 3
/** Shards that are named because they differ. */
export const differingShardsShown = 100
/** Rebuilds that a list shows; each is an object that is read anew, and its progress a question to the view. */
export const rebuildsListedMax = 10
/** Rebuilds, the newest first, among which the sweep looks for unfinished ones. */
export const rebuildsSweptMax = 50
/** Consumers that are faster than a replay send it back to its start; one that fails so often is tried again later. */
export const replayAttemptsMax = 10
/** One page of the ETL; never less than one record. */
export const pageBytesMax = 1 * megabyte
/** What the pages of one delivery may hold together, of an isolate's 128 MB: a statement holds its pages again, and text that is not Latin takes twice as much. */
export const deliveryPageBytesMax = 32 * pageBytesMax
/** A shard that has not answered a pull by then is asked again later, so that a frozen one does not hold up its batch. */
export const pullMsMax = 10_000
/** A wake-up that failed n times waits 2^n seconds, at most this long. */
export const retrySecondsMax = 300
/** An answer of Postgres over HTTP; a compute that was scaled to zero takes about 5 s to start. */
export const databaseTimeoutMs = 15_000

/** How long a view read waits for `Freehold-Min-Position`. */
export const positionWaitMs = 2_000
/** How often such a wait asks the database. */
export const positionPollMs = 50
/** One statement of a view read in Postgres: a filter over all tenants that no index serves must not hold the database. */
export const viewStatementMsMax = 10_000

/** A claim that is still unconfirmed after this is completed or freed (U2). */
export const claimUnconfirmedMs = 60_000

/** Endpoints for webhooks of one tenant: each is looked at whenever the alarm rings. */
export const webhooksMax = 20
/** UTF-16 units. */
export const webhookUrlCharsMax = 2_000
export const webhookDescriptionCharsMax = 500
/** Collections that one endpoint's filter may name. */
export const webhookCollectionsMax = 50
/** An older secret still signs for this long after a rotation, so that the receiver can change over at its own time. */
export const webhookSecretKeptMs = 24 * 3_600_000
/** Secrets that sign side by side; each is one more signature in a header. */
export const webhookSecretsMax = 5
/** Messages that one pull brings; they go out one after the other, and their progress is stored once. */
export const webhookPageMessages = 50
/** Entries that one look at the journal reads to find those that an endpoint wants; a few milliseconds. */
export const webhookScanEntries = 1_000
/** Entries that nobody wanted are passed over in memory; every so many the position is stored, so that a cold start is short. */
export const webhookPassedEntries = 10_000
/** A receiver that has not answered by then has failed. */
export const webhookRequestMsMax = 10_000
/** No new message is begun after this, so that an endpoint takes its turn with the others. */
export const webhookTurnMsMax = 5_000
/** How long one consumer has an endpoint to itself: its turn, its last request and the way back. A killed one is replaced after this. */
export const webhookLeaseMs = 45_000
/** The first wait after a failure; it doubles up to the maximum. */
export const webhookRetryMs = 5_000
export const webhookRetryMsMax = 3_600_000
/** An endpoint that has failed for so long is disabled. */
export const webhookFailingMsMax = 5 * 86_400_000
/** Attempts that are kept for an endpoint's owner to look at. */
export const webhookAttemptsKept = 20
/** A window of telemetry: an isolate sends at most one message in this time. */
export const telemetryWindowMs = 5_000
/** Pairs of tenant and route in one message: 1,000 of at most 110 bytes fit, beside the routes, into the queue's 128 KB. */
export const telemetryTenantsMax = 1_000
/** Shards that `/metrics` lists one by one; a scrape of ten million would be no use to anybody. */
export const metricsShardsMax = 1_000
/** Periods of a tenant's usage in one answer. */
export const usagePeriodsDefault = 30
export const usagePeriodsMax = 400
/** Periods of traffic in one answer. */
export const trafficPeriodsDefault = 60
export const trafficPeriodsMax = 400
/** Shards in one answer to an operator: more than anybody reads. */
export const shardsShownDefault = 50
export const shardsShownMax = 1_000
/** Resolved alerts that are shown beside the open ones. */
export const alertsShownMax = 50
/** A message about an alert that nobody has taken for so long tells nothing any more. */
export const alertMessageKeptMs = 3 * 86_400_000
/** One request of the probe; the client of a tenant would not wait longer. */
export const probeRequestMsMax = 10_000
/** How long the probe waits for the view: more than the objective, and less than the minute until the next run. */
export const probeViewMsMax = 20_000
/** How long a rule may be silenced at once. */
export const silenceMinutesMax = 7 * 24 * 60
/** Rows of each table of telemetry that are deleted in an hour; far more than a busy hour makes. */
export const telemetryRetiredRowsMax = 1_000_000
/** A file of an archive is made of parts of about this size, before packing. */
export const archivePartBytes = 4 * megabyte
/** What one call reads for an export: a text in an object's SQLite may take 2 MB, and the tenant's requests wait meanwhile. */
export const exportPageBytes = 1 * megabyte
export const exportPageRecordsMax = 5_000
/** An archive can be downloaded for this long, and is then deleted. */
export const exportKeptMs = 7 * 86_400_000
/** An export that is not finished by then has failed; until it ends, writes keep what it has not read yet. */
export const exportRunningMsMax = 86_400_000
/** Exports of one tenant that have not been deleted. */
export const exportsMax = 20
/** A job of which nothing was heard is announced again after this, doubling up to the maximum. */
export const jobSilenceMs = 10_000
export const jobSilenceMsMax = 300_000

/** Erasures in one answer: each is two objects of the bucket. */
export const erasuresShownMax = 50
/** Rows that one statement of a tenant's erasure deletes in the view: less than a second, because a batch waits for it. */
export const erasedRowsMax = 50_000
/** So far the platform's history of an object goes back. */
export const rewindDaysMax = 30
/** A request of a data subject is due after this (Art. 12(3) GDPR: one month), in milliseconds. */
export const subjectDueMs = 30 * 86_400_000
/** Data subjects of one tenant that are restricted at the same time: their ids are kept in memory, and every write asks for them. */
export const restrictionsMax = 1_000
/** UTF-16 units of a data subject's id. */
export const subjectCharsMax = 1_000
/** Entries of the erasure ledger: those that a recoverable copy of the shard could lack. A cold start reads them all. */
export const ledgerEntriesMax = 10_000
/** How long the erasure of a tenant may be put off, and cancelled. */
export const graceSecondsMax = 30 * 86_400
/** Incidents that are listed. */
export const incidentsShownMax = 50
/** UTF-16 units of an incident's title and of one note. */
export const incidentTitleCharsMax = 200
export const incidentNoteCharsMax = 4_000
/** For how long an isolate answers the public status page from memory, so that asking for it wakes no object each time. */
export const statusKeptMs = 10_000

/** Entries of the journal whose chain one call of the shard follows: 50 to 150 ms. */
export const auditVerifiedEntries = 10_000
/** Calls of the shard that one verification makes. */
export const auditVerificationCallsMax = 20
/** An erasure that made no step for so long is driven on without its shard, which calls every five minutes at the latest. */
export const erasureForgottenMs = 600_000
/** For how long after a certificate the bucket is still looked into: longer than any upload takes. */
export const erasureLateMs = 86_400_000
/** Records of erasures that a minute reads, and those that every minute reads; each is a request to the bucket. */
export const erasuresSweptMax = 100
export const erasuresNewest = 20
/** Records of erasures that were last changed longer ago are not looked at for lateness any more. */
export const erasureWatchedMs = 90 * 86_400_000
/** A manifest of 10 GB takes about 300 KB. */
export const manifestBytesMax = 8 * megabyte
/** A part of a file in an archive, unpacked: it is held in memory whole. Ours are of `archivePartBytes` or little more. */
export const unpackedPartBytesMax = 16 * megabyte
/** One upload of a part of an archive; the platform takes requests of 100 MB. */
export const importPartBytesMax = 95 * megabyte
export const importPartsMax = 1_000
/** A finished import and its uploaded archive are kept for this long, an unfinished one fails after it. */
export const importKeptMs = 86_400_000
export const importRunningMsMax = 86_400_000
/** Imports of one tenant that have not been forgotten. */
export const importsMax = 20

/** Pages of data subjects' keys that one instance keeps in memory, of 32 KB each. */
export const keyPagesKept = 64
/** Such pages that one call may need: an invocation may make 1,000 requests. */
export const keyPagesPerCallMax = 900
/** The platform lets a Worker have six connections at a time. */
export const keyPagesAtOnce = 6
/** So often a call fetches what it found missing and begins again: what it needs shows while it works. */
export const keyFetchesMax = 10
/** Records of one step of the shard's own work that may all need different pages. */
export const keyedRowsMax = 500

/** A rotation of the master secret reads a tenant's control object at a time; a minute's share of it ends well within a minute. */
export const rotationMsMax = 20 * 1_000
/** Tenants of one page, after which is noted how far it has come. */
export const rotationTenantsMax = 200
/** The platform lets a Worker have six connections at a time. */
export const rotationTenantsAtOnce = 6
