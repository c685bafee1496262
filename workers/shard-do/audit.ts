import { chainStart, type JournalEntry, verifyChain } from '../../core/chain.ts'
import type { Answer, Operations } from '../../core/contract.ts'
import { auditVerifiedEntries, scanRowsMax } from '../../core/limits.ts'
import { accept, type Outcome } from '../../core/refusal.ts'
import type { SqlValue } from '../../db/shard/sql.ts'
import type { Work } from './work.ts'

/**
 * A page of the journal as an auditor asks for it, oldest first. One call reads at most `scanRowsMax` entries, so a page may be
 * short, or empty, and go on.
 */
export function listAudit(work: Work, takes: Operations['audit.list']['takes']): Outcome<Answer<'audit.list'>> {
	const { segments, head } = work.journal
	const { filter, limit } = takes
	const [conditions, values] = conditionsOf(filter)
	const after = Math.max(takes.after, segments.firstKept(head) - 1)
	const until = Math.min(after + scanRowsMax, head)
	const entries: JournalEntry[] = []
	for (const { table } of segments.after(after, head)) {
		if (entries.length === limit) break
		const rows = work.sql.all<JournalEntry>(
			`SELECT seq, op, collection, id, version, actor, at, request, records, digest, chain FROM ${table}
			WHERE seq > ? AND seq <= ?${conditions} ORDER BY seq LIMIT ?`,
			...[after, until, ...values, limit - entries.length],
		)
		entries.push(...rows)
	}
	const last = entries.length === limit ? (entries.at(-1)?.seq ?? until) : until
	return accept({ entries, next: last < head ? last : null })
}

/** Follows the audit chain over the next entries, from a place where it was found to hold. */
export function verifyAudit(work: Work, takes: { after: number }): Outcome<Answer<'audit.verify'>> {
	const { segments, head } = work.journal
	const from = Math.max(takes.after, segments.firstKept(head) - 1)
	const previous = from === 0 ? chainStart : segments.entryAt(from, head)?.chain
	const entries = segments.entriesAfter(from, auditVerifiedEntries, head)
	// The entries of one operation share a link, so a page ends where one does.
	const end = entries.findLastIndex(({ chain }) => chain !== null) + 1
	const whole = end === 0 ? entries : entries.slice(0, end)
	const brokenAt = previous == null ? from : verifyChain(whole, previous)
	const to = whole.at(-1)?.seq ?? from
	return accept({ from, to, head, brokenAt, chain: whole.at(-1)?.chain ?? previous ?? null })
}

function conditionsOf(filter: Operations['audit.list']['takes']['filter']): [string, SqlValue[]] {
	const conditions: [string, SqlValue | undefined][] = [
		['actor = ?', filter.actor],
		['collection = ?', filter.collection],
		['id = ?', filter.record],
		['op = ?', filter.op],
		['at >= ?', filter.from],
		['at < ?', filter.until],
	]
	const given = conditions.filter((one): one is [string, SqlValue] => one[1] !== undefined)
	return [given.map(([text]) => ` AND ${text}`).join(''), given.map(([, value]) => value)]
}
