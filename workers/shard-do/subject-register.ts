import type { Answer, SubjectRequest, SubjectRequestKind } from '../../core/contract.ts'
import { mintId } from '../../core/ids.ts'
import { subjectDueMs } from '../../core/limits.ts'
import { accept, type Outcome } from '../../core/refusal.ts'
import type { Work } from './work.ts'

interface Row {
	id: string
	kind: SubjectRequestKind
	subject: string
	records: number
	actor: string
	created_at: number
	due_at: number
	finished_at: number | null
	key_destroyed_at: number | null
}

const columns = 'id, kind, subject, records, actor, created_at, due_at, finished_at, key_destroyed_at'

/** Opens a request about a person and answers its id. What is done at once is finished with it; reading goes on page by page. */
export function openRequest(work: Work, kind: SubjectRequestKind, subject: string): string {
	const id = mintId(work.now, work.random)
	insertRequest(work, { id, kind, subject: work.hashSubject(subject), created_at: work.now })
	return id
}

/** What is done at once is finished with it. */
export function insertRequest(
	work: Work,
	row: Pick<Row, 'id' | 'kind' | 'subject' | 'created_at'>,
	isDone = row.kind !== 'access',
): void {
	work.sql.all(
		`INSERT INTO subject_request (${columns}) VALUES (?, ?, ?, 0, ?, ?, ?, ?, NULL)`,
		...[row.id, row.kind, row.subject, work.actor, row.created_at, row.created_at + subjectDueMs],
		isDone ? work.now : null,
	)
}

/** Notes how many records a request that is done at once was about, and answers its receipt. */
export function settleRequest(work: Work, id: string, records: number): SubjectRequest {
	const [row] = work.sql.all<Row>(
		`UPDATE subject_request SET records = ?, finished_at = coalesce(finished_at, ?) WHERE id = ? RETURNING ${columns}`,
		records,
		work.now,
		id,
	)
	if (!row) throw new Error('a request that was just opened is not there')
	return requestOf(row)
}

export function listSubjectRequests(
	work: Work,
	takes: { limit: number; after: string | null },
): Outcome<Answer<'subject.requests'>> {
	const rows = work.sql.all<Row>(
		`SELECT ${columns} FROM subject_request WHERE id > ? ORDER BY id LIMIT ?`,
		takes.after ?? '',
		takes.limit + 1,
	)
	const page = rows.slice(0, takes.limit)
	return accept({ requests: page.map(requestOf), next: rows.length > page.length ? (page.at(-1)?.id ?? null) : null })
}

function requestOf(row: Row): SubjectRequest {
	const { id, kind, subject, records, actor, created_at: createdAt, due_at: dueAt } = row
	const { finished_at: finishedAt, key_destroyed_at: keyDestroyedAt } = row
	return { id, kind, subject, records, actor, createdAt, dueAt, finishedAt, keyDestroyedAt }
}
