/**
 * The state at one journal position, for an export that reads it page by page while writes go on. The tables hold the newest
 * state; what a write replaces or deletes where the export has not been yet is kept beside them. So a page is the records that
 * have not changed since the position, and the kept ones: the base, and the delta backwards. What a page holds depends on the
 * position alone and not on when it is read, which is why a step can be repeated after any crash.
 */
import type { ExportCursor, ExportPage } from '../../core/job.ts'
import { exportPageBytes, exportPageRecordsMax, keyedRowsMax } from '../../core/limits.ts'
import { parseSchema } from '../../core/schema.ts'
import { identifier, type Sql, type SqlValue } from '../../db/shard/sql.ts'
import { keyedByPerson } from './sealing.ts'
import type { Segments } from './segments.ts'
import type { Work } from './work.ts'

/** Begins a snapshot of everything as it is now, at journal position `seq`. There is one at a time. */
export function beginSnapshot(sql: Sql, job: string, seq: number): void {
	sql.all(
		`INSERT INTO snapshot_collection (source, name, number, schema)
		SELECT row_number() OVER (ORDER BY name) - 1, name, number, schema FROM collection`,
	)
	sql.all(
		`CREATE TABLE snapshot_record (number INTEGER NOT NULL, id TEXT NOT NULL, version INTEGER NOT NULL, created_at INTEGER NOT NULL,
			updated_at INTEGER NOT NULL, data TEXT NOT NULL, PRIMARY KEY (number, id)) STRICT, WITHOUT ROWID`,
	)
	sql.all("INSERT INTO snapshot (only_row, job, seq, source, after) VALUES (1, ?, ?, 0, '')", job, seq)
}

/** Ends the snapshot of a job, if it has one, and drops what was kept for it. */
export function endSnapshot(sql: Sql, job: string): void {
	if (sql.all('DELETE FROM snapshot WHERE job = ? RETURNING 1 AS one', job).length === 0) return
	const dropped = sql.all<{ number: number }>(
		'SELECT number FROM snapshot_collection WHERE number NOT IN (SELECT number FROM collection)',
	)
	for (const { number } of dropped) sql.all(`DROP TABLE ${identifier(`c_${number}`)}`)
	sql.all('DROP TABLE snapshot_record')
	sql.all('DELETE FROM snapshot_collection')
}

/** Keeps a record as it is, before a write replaces or deletes it, where the export has yet to read it. */
export function keepRecord(sql: Sql, number: number, id: string): void {
	sql.all(
		`INSERT INTO snapshot_record (number, id, version, created_at, updated_at, data)
		SELECT c.number, r.id, r.version, r.created_at, r.updated_at, r.data
		FROM snapshot AS s JOIN snapshot_collection AS c ON c.number = ? JOIN ${identifier(`c_${number}`)} AS r ON r.id = ?
		WHERE r.seq <= s.seq AND (c.source, r.id) > (s.source, s.after)`,
		number,
		id,
	)
}

/** Whether the table of a collection that is dropped has to stay until the export is over. */
export function keepsTable(sql: Sql, number: number): boolean {
	return sql.all('SELECT 1 AS one FROM snapshot_collection WHERE number = ?', number).length > 0
}

/** Writes to what lies before the cursor keep nothing any more. */
export function passSnapshot(sql: Sql, job: string, { source, after }: ExportCursor): void {
	sql.all('UPDATE snapshot SET source = ?, after = ? WHERE job = ?', source, after, job)
}

type SnapshotPorts = Pick<Work, 'sql' | 'vault'>

interface Source {
	name: string
	number: number
	schema: string
}

/** The page at a cursor; null when every source has ended. */
export function readSnapshot(
	{ sql, vault }: SnapshotPorts,
	segments: Segments,
	cursor: ExportCursor,
): ExportPage | null {
	const seq = sql.all<{ seq: number }>('SELECT seq FROM snapshot')[0]?.seq
	if (seq === undefined) throw new Error('there is no snapshot to read')
	const source = sql.all<Source>(
		'SELECT name, number, schema FROM snapshot_collection WHERE source = ?',
		cursor.source,
	)[0]
	if (source) return readCollection({ sql, vault }, source, seq, cursor)
	const { sources } = sql.all<{ sources: number }>('SELECT count(*) AS sources FROM snapshot_collection')[0] ?? {
		sources: 0,
	}
	return cursor.source === sources ? readJournal(segments, seq, cursor) : null
}

/** What a line has besides its data: names, the longest id, times. */
const lineBytes = 260

function readCollection(
	{ sql, vault }: SnapshotPorts,
	{ name, number, schema }: Source,
	seq: number,
	cursor: ExportCursor,
): ExportPage {
	const table = identifier(`c_${number}`)
	const kept = keepingOf(schema)
	const rowsMax = kept === 'by person' ? keyedRowsMax : exportPageRecordsMax
	// First the sizes, because a page is bounded by bytes and the engine would refuse a text that is too long.
	const ahead = sql.all<{ id: string; bytes: number }>(
		`SELECT id, CASE WHEN seq <= ? THEN octet_length(data) + ${lineBytes} ELSE 0 END AS bytes FROM ${table} WHERE id > ?
		UNION ALL SELECT id, octet_length(data) + ${lineBytes} FROM snapshot_record WHERE number = ? AND id > ?
		ORDER BY id LIMIT ?`,
		seq,
		cursor.after,
		number,
		cursor.after,
		rowsMax,
	)
	let bytes = 0
	// The first goes along whatever its size, which is limited.
	const fits = ahead.findIndex((row, index) => {
		bytes += row.bytes
		return bytes > exportPageBytes && index > 0
	})
	// A record that was replaced is there twice, as it was and as it is; both belong to one page.
	const last = (fits === -1 ? ahead.at(-1) : ahead[fits - 1])?.id ?? cursor.after
	const ended = fits === -1 && ahead.length < rowsMax
	const columns = 'id, version, created_at, updated_at, data'
	const rows = {
		text: `SELECT ${columns} FROM ${table} WHERE id > ? AND id <= ? AND seq <= ?
			UNION ALL SELECT ${columns} FROM snapshot_record WHERE number = ? AND id > ? AND id <= ?`,
		bindings: [cursor.after, last, seq, number, cursor.after, last],
	}
	const next = ended ? { source: cursor.source + 1, after: '' } : { source: cursor.source, after: last }
	const printed = kept !== 'open' ? printOpened({ sql, vault }, number, rows) : printLines(sql, rows)
	return { collection: name, schema, ...printed, next, ended }
}

interface Rows {
	text: string
	bindings: SqlValue[]
}

type Printed = Pick<ExportPage, 'lines' | 'records'>

/** Prints rows without any of them passing through JavaScript. */
function printLines(sql: Sql, { text, bindings }: Rows): Printed {
	const page = sql.all<{ records: number; lines: Uint8Array | ArrayBuffer | null }>(
		`SELECT count(*) AS records, CAST(group_concat(line, '') AS BLOB) AS lines FROM (
			SELECT '{"id":"' || id || '","version":' || version || ',"created_at":"' || ${timeText('created_at')} || '","updated_at":"'
				|| ${timeText('updated_at')} || '","data":' || data || '}' || char(10) AS line
			FROM (${text}) ORDER BY id)`,
		...bindings,
	)[0]
	return { lines: new Uint8Array(page?.lines ?? []), records: page?.records ?? 0 }
}

/** The same for records whose encrypted properties have to be opened: an archive is worth nothing without the tenant's key. */
function printOpened({ sql, vault }: SnapshotPorts, collection: number, { text, bindings }: Rows): Printed {
	const rows = sql.all<{ id: string; version: number; created_at: number; updated_at: number; data: string }>(
		`SELECT * FROM (${text}) ORDER BY id`,
		...bindings,
	)
	vault.subjects.require(
		[],
		rows.map(({ data }) => data),
	)
	const lines = rows.map(({ id, version, created_at: createdAt, updated_at: updatedAt, data }) => {
		const [created, updated] = [createdAt, updatedAt].map((at) => new Date(at).toISOString())
		const opened = vault.open({ collection, record: id }, data)
		return `{"id":"${id}","version":${version},"created_at":"${created}","updated_at":"${updated}","data":${opened}}\n`
	})
	return { lines: new Uint8Array(Buffer.from(lines.join(''))), records: rows.length }
}

function keepingOf(schema: string): 'open' | 'by tenant' | 'by person' {
	const parsed = parseSchema(JSON.parse(schema))
	if (!parsed.ok || parsed.value.encrypted.length === 0) return 'open'
	return keyedByPerson(parsed.value) ? 'by person' : 'by tenant'
}

/** RFC 3339 with milliseconds, by whole numbers only. */
function timeText(column: string): string {
	return `strftime('%Y-%m-%dT%H:%M:%S', ${column} / 1000, 'unixepoch') || '.' || substr('00' || (${column} % 1000), -3) || 'Z'`
}

function readJournal(segments: Segments, seq: number, cursor: ExportCursor): ExportPage {
	// What was pruned is not kept, so an audit log begins with the first entry that is.
	const after = Math.max(Number(cursor.after), segments.firstKept(seq) - 1)
	const entries = segments.entriesAfter(after, Math.min(exportPageRecordsMax, seq - after), seq)
	const lines = entries.map((entry) => `${JSON.stringify({ ...entry, at: new Date(entry.at).toISOString() })}\n`)
	const last = entries.at(-1)?.seq ?? seq
	const ended = last >= seq
	const next = ended ? { source: cursor.source + 1, after: '' } : { source: cursor.source, after: String(last) }
	const text = new Uint8Array(Buffer.from(lines.join('')))
	return { collection: null, schema: null, lines: text, records: lines.length, next, ended }
}
