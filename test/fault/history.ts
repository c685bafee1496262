/**
 * What a run leaves behind for the checker: what clients asked and were told, what the shards' journals say, and what
 * the view held when somebody looked. Everything is plain data, so that a run can be kept as JSON lines.
 */

export type Data = Record<string, unknown>

/** The ETags of a precondition, without quotes, or `*` for any version. */
export type Condition = '*' | string[]

export type RecordOperation =
	| { op: 'create'; collection: string; data: Data }
	| { op: 'put'; collection: string; id: string; data: Data; ifMatch?: Condition; ifNoneMatch?: Condition }
	| { op: 'patch'; collection: string; id: string; patch: Data; ifMatch?: Condition }
	| { op: 'delete'; collection: string; id: string; ifMatch?: Condition }

export type ClientOperation =
	| RecordOperation
	| { op: 'batch'; operations: RecordOperation[] }
	| { op: 'define'; collection: string; schema: Data }
	| { op: 'drop'; collection: string }
	| { op: 'get'; collection: string; id: string }
	/** All records of a collection in one answer. */
	| { op: 'list'; collection: string }

/** One request as its client saw it. A retry is an attempt of its own, with the same idempotency key. */
export interface Attempt {
	tenant: string
	/** The request's id: different for every attempt, and repeated by the journal. */
	request: string
	idempotencyKey: string | null
	operation: ClientOperation
	/** Both by one clock that all clients share and that never goes back; only their order matters. */
	invokedAt: number
	/** When the client was told, or gave up. */
	returnedAt: number
	/** `fail` is a 4xx that was decided before execution. A 5xx, a timeout or a reset is `info`: nobody knows. */
	outcome: 'ok' | 'fail' | 'info'
	status: number | null
	/** The `code` of the problem document. */
	code: string | null
	answer: Answered | null
}

export interface Answered {
	/** `Freehold-Position`; null for a read. */
	position: number | null
	/** What was written, in the order of a batch (nothing for a delete alone), or read. */
	records: SeenRecord[]
}

/** `data` is null where the answer does not show it, as in a batch. A deleted record of a batch has no `seq`. */
export interface SeenRecord {
	id: string
	version: number
	/** The position in the ETag. */
	seq: number | null
	data: Data | null
}

/** All of a shard's journal, from position 1. */
export interface Journal {
	tenant: string
	entries: JournalEntry[]
}

export interface JournalEntry {
	seq: number
	op: string
	collection: string | null
	id: string | null
	version: number | null
	/** The id of the request that caused it; null for what the shard did by itself. */
	request: string | null
}

/** The rows and the watermark of one shard, read in one snapshot. The samples of a tenant are in the order they were taken. */
export interface ViewSample {
	tenant: string
	epoch: number
	appliedSeq: number
	readSeq: number
	/** What the view itself says. */
	exact: boolean
	/** A base is filling a view that was lost or had diverged: rows may be missing or foreign until it is through. */
	filling: boolean
	/** The faults have stopped and everything has had its time: this sample must show the whole journal. */
	final: boolean
	rows: ViewRow[]
	/** What the view says it could not take; without an id, the whole collection. */
	deadLetters: { collection: string; id: string | null }[]
}

export interface ViewRow {
	collection: string
	id: string
	version: number
	data: Data
}
