/**
 * The tenant database, as an append-only list of migrations: an entry that has been released is never edited, because
 * its hash is recorded in every tenant's database. Collections get tables of their own at run time (`collections.ts`), and so
 * do closed segments of the journal (`segments.ts`), which keep the columns of their time.
 */
export const migrations: readonly { id: number; sql: string }[] = [
	{
		id: 1,
		sql: `
			CREATE TABLE tenant (
				only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
				id TEXT NOT NULL,
				shard INTEGER NOT NULL,
				epoch INTEGER NOT NULL,
				slug TEXT NOT NULL,
				name TEXT NOT NULL,
				status TEXT NOT NULL,
				created_at INTEGER NOT NULL,
				requests_per_second INTEGER NOT NULL,
				storage_bytes INTEGER NOT NULL,
				collections_created INTEGER NOT NULL,
				-- Replaced by every change of this row, a key or a collection; what memory holds of them is good as long as it stands.
				catalog TEXT NOT NULL
			) STRICT;

			-- Never emptied: without AUTOINCREMENT (which costs a second row) an emptied log would restart at 1.
			CREATE TABLE journal (
				seq INTEGER PRIMARY KEY,
				at INTEGER NOT NULL,
				op TEXT NOT NULL,
				collection TEXT,
				id TEXT,
				version INTEGER,
				actor TEXT NOT NULL
			) STRICT;

			-- Record counts as of journal position seq; what came later is in the journal itself.
			CREATE TABLE checkpoint (
				only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
				seq INTEGER NOT NULL,
				acknowledged INTEGER NOT NULL,
				counts TEXT NOT NULL
			) STRICT;

			CREATE TABLE collection (
				name TEXT PRIMARY KEY,
				number INTEGER NOT NULL,
				version INTEGER NOT NULL,
				schema TEXT NOT NULL,
				uniques TEXT NOT NULL,
				change TEXT,
				created_at INTEGER NOT NULL,
				updated_at INTEGER NOT NULL
			) STRICT, WITHOUT ROWID;

			CREATE TABLE api_key (
				id TEXT PRIMARY KEY,
				secret_hash TEXT NOT NULL,
				name TEXT,
				scopes TEXT NOT NULL,
				created_at INTEGER NOT NULL,
				expires_at INTEGER
			) STRICT, WITHOUT ROWID;
		`,
	},
	{
		id: 2,
		sql: `
			-- The request that made the entry, and running values (core/chain.ts): of its collection, and of the whole journal.
			ALTER TABLE journal ADD COLUMN request TEXT;
			ALTER TABLE journal ADD COLUMN records INTEGER;
			ALTER TABLE journal ADD COLUMN digest TEXT;
			ALTER TABLE journal ADD COLUMN chain TEXT;
			-- What was written before this migration is not covered by the chain, which starts after it.
			UPDATE journal SET chain = '' WHERE seq = (SELECT max(seq) FROM journal);

			-- Before, a collection's count alone; from now on its count and digest.
			ALTER TABLE checkpoint RENAME COLUMN counts TO totals;
			UPDATE checkpoint SET totals = (
				SELECT json_group_object(key, json_array(value, NULL)) FROM json_each(checkpoint.totals)
			);
		`,
	},
	{
		id: 3,
		sql: `
			-- Endpoints of outgoing webhooks. Lists and objects are JSON; null where a filter lets everything pass.
			CREATE TABLE webhook (
				id TEXT PRIMARY KEY,
				url TEXT NOT NULL,
				description TEXT,
				events TEXT,
				collections TEXT,
				-- Newest first: [{"sealed", "until"}], until null for the newest.
				secrets TEXT NOT NULL,
				-- Null for an active endpoint.
				disabled_reason TEXT,
				disabled_at INTEGER,
				position INTEGER NOT NULL,
				failures INTEGER NOT NULL DEFAULT 0,
				failing_since INTEGER,
				next_attempt_at INTEGER,
				missed_from INTEGER,
				missed_to INTEGER,
				-- A test that waits to be sent, and when it was asked for.
				test_message TEXT,
				test_at INTEGER,
				attempts TEXT NOT NULL DEFAULT '[]',
				-- Counts what its owner changed, as the journal records it.
				version INTEGER NOT NULL DEFAULT 1,
				-- Counts every change, so that a consumer's late report finds that it is late.
				revision INTEGER NOT NULL DEFAULT 1,
				created_at INTEGER NOT NULL,
				updated_at INTEGER NOT NULL
			) STRICT, WITHOUT ROWID;
		`,
	},
	{
		id: 4,
		sql: `
			-- Closed parts of the journal, each in a table journal_<number>. A row stays when its table is dropped: it anchors the chain.
			CREATE TABLE segment (
				number INTEGER PRIMARY KEY,
				first INTEGER NOT NULL,
				last INTEGER NOT NULL,
				last_at INTEGER NOT NULL,
				chain TEXT,
				dropped INTEGER NOT NULL
			) STRICT;
		`,
	},
	{
		id: 5,
		sql: `
			-- Long work of this tenant, which the alarm announces until it is reported finished.
			CREATE TABLE job (
				id TEXT PRIMARY KEY,
				kind TEXT NOT NULL,
				state TEXT NOT NULL,
				-- Raised by every report, so that what a late consumer says is not believed.
				revision INTEGER NOT NULL,
				-- JSON: what was asked for, and how far the work has come; each kind has its own.
				asked TEXT NOT NULL,
				progress TEXT NOT NULL,
				faults TEXT NOT NULL,
				created_at INTEGER NOT NULL,
				finished_at INTEGER,
				expires_at INTEGER NOT NULL
			) STRICT, WITHOUT ROWID;

			-- The files of a job's archive, and the objects in the bucket that they are made of.
			CREATE TABLE job_file (
				job TEXT NOT NULL,
				number INTEGER NOT NULL,
				path TEXT NOT NULL,
				records INTEGER,
				bytes INTEGER NOT NULL,
				packed INTEGER NOT NULL,
				crc INTEGER NOT NULL,
				sha256 TEXT NOT NULL,
				PRIMARY KEY (job, number)
			) STRICT, WITHOUT ROWID;
			CREATE TABLE job_part (
				job TEXT NOT NULL,
				number INTEGER NOT NULL,
				path TEXT NOT NULL,
				key TEXT NOT NULL,
				bytes INTEGER NOT NULL,
				packed INTEGER NOT NULL,
				PRIMARY KEY (job, number)
			) STRICT, WITHOUT ROWID;

			-- The position whose state a running export reads, and how far it has read. While this row is there, what a write replaces
			-- or deletes beyond that place is kept in snapshot_record.
			CREATE TABLE snapshot (
				only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
				job TEXT NOT NULL,
				seq INTEGER NOT NULL,
				source INTEGER NOT NULL,
				after TEXT NOT NULL
			) STRICT;
			CREATE TABLE snapshot_collection (
				source INTEGER PRIMARY KEY,
				name TEXT NOT NULL,
				number INTEGER NOT NULL UNIQUE,
				schema TEXT NOT NULL
			) STRICT;
		`,
	},
	{
		id: 6,
		sql: `
			-- How far the erasure of this tenant has come here; the control object says whether there is one.
			CREATE TABLE erasure (
				only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
				id TEXT NOT NULL,
				stage TEXT NOT NULL,
				asked_at INTEGER NOT NULL,
				due_at INTEGER NOT NULL
			) STRICT;
		`,
	},
	{
		id: 7,
		sql: `
			-- The register of requests of data subjects, which are named by a keyed hash.
			CREATE TABLE subject_request (
				id TEXT PRIMARY KEY,
				kind TEXT NOT NULL,
				subject TEXT NOT NULL,
				records INTEGER NOT NULL,
				actor TEXT NOT NULL,
				created_at INTEGER NOT NULL,
				due_at INTEGER NOT NULL,
				finished_at INTEGER
			) STRICT, WITHOUT ROWID;
		`,
	},
	{
		id: 8,
		sql: `
			-- The collections of an import that is not finished: like collection, with tables that nobody sees yet.
			CREATE TABLE import_collection (
				name TEXT PRIMARY KEY,
				number INTEGER NOT NULL,
				version INTEGER NOT NULL,
				schema TEXT NOT NULL,
				uniques TEXT NOT NULL,
				change TEXT,
				created_at INTEGER NOT NULL,
				updated_at INTEGER NOT NULL
			) STRICT, WITHOUT ROWID;
		`,
	},
	{
		id: 9,
		sql: `
			-- Data subjects whose processing is restricted.
			CREATE TABLE restriction (
				subject TEXT PRIMARY KEY,
				created_at INTEGER NOT NULL
			) STRICT, WITHOUT ROWID;
			-- Their records, by the number of the collection. They stay as they are and are not in the view.
			CREATE TABLE restricted_record (
				number INTEGER NOT NULL,
				id TEXT NOT NULL,
				subject TEXT NOT NULL,
				PRIMARY KEY (number, id, subject)
			) STRICT, WITHOUT ROWID;
			CREATE INDEX restricted_record_subject ON restricted_record (subject);

			-- A legal hold, as the control object last said; null for none.
			ALTER TABLE tenant ADD COLUMN held_at INTEGER;
		`,
	},
	{
		id: 10,
		sql: `
			-- How far records from before a property was encrypted have come to be.
			ALTER TABLE collection ADD COLUMN resealing TEXT;
			ALTER TABLE import_collection ADD COLUMN resealing TEXT;
		`,
	},
	{
		id: 11,
		sql: `
			-- The last rotation of the tenant's own key and how far it has come, as JSON.
			CREATE TABLE key_rotation (
				only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
				state TEXT NOT NULL
			) STRICT;
		`,
	},
	{
		id: 12,
		sql: `
			-- Which key is whose: the slot of a page of keys in the bucket, and an HMAC of the person's id under the key of the first slot.
			-- The row of a person who was erased stays, without a name, so that no slot is given twice.
			CREATE TABLE subject_slot (
				slot INTEGER PRIMARY KEY,
				subject TEXT UNIQUE
			) STRICT;
			-- Keys that are to be destroyed, and the request of erasure that is the reason.
			CREATE TABLE doomed_key (
				slot INTEGER PRIMARY KEY,
				request TEXT NOT NULL
			) STRICT;
			-- People whose records are erased once their keys are destroyed.
			CREATE TABLE subject_erasure (
				request TEXT PRIMARY KEY,
				subject TEXT NOT NULL UNIQUE
			) STRICT, WITHOUT ROWID;
			ALTER TABLE subject_request ADD COLUMN key_destroyed_at INTEGER;

			-- Records about persons rest under the tenant's key so far.
			UPDATE collection SET resealing = json_object('cursor', '', 'recordsDone', 0, 'recordsTotal', 0,
				'startedAt', unixepoch() * 1000, 'finishedAt', NULL)
			WHERE EXISTS (SELECT 1 FROM json_each(schema, '$.properties') WHERE value ->> '$."x-personal"' = 'encrypted')
				AND EXISTS (SELECT 1 FROM json_each(schema, '$.properties') WHERE value ->> '$."x-subject"');
		`,
	},
]
