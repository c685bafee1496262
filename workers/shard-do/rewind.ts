import type { WakeUp } from '../../core/contract.ts'
import type { Control } from '../../core/control.ts'
import { accept, type Outcome, refuse } from '../../core/refusal.ts'
import type { Rewinding, RewindOrder, Rewound, Standing } from '../../core/rewind.ts'
import type { Sql } from '../../db/shard/sql.ts'
import { clearExport } from './export.ts'
import { expireJob } from './job-calls.ts'
import { allJobs, insertJob } from './jobs.ts'
import type { TenantRow } from './tenant.ts'
import type { Work } from './work.ts'

/** The states that the platform keeps of an object's storage. */
export interface History {
	/** Names the state of a moment, in milliseconds since 1970. Refused where the platform keeps none. */
	bookmarkAt(ms: number): Promise<Outcome<string>>
	/** Has that state take the place of the present one when the object starts next. */
	restoreAtNextStart(bookmark: string): Promise<void>
}

export interface RewindPorts {
	history: History
	/** What the control object says now, which the shard has come in line with. */
	reconsider(): Promise<Outcome<Control | null>>
	/** Stops answering, until `open`; false when that has happened already. */
	close(): boolean
	open(): void
	/** Whether this very rewind is what the database came back by. */
	hasCome(rewound: Rewound): boolean
	/** What stands, behind all writes that were under way. */
	standing(): Promise<Outcome<{ tenant: TenantRow; standing: Standing }>>
	/** Notes it in the control object and begins the tenant's next epoch; `epoch` is the one before. */
	begin(epoch: number, rewound: Omit<Rewound, 'epoch'>): Promise<Outcome<Control>>
	announce(wakeUp: WakeUp): Promise<void>
	/** Ends this instance, a little later. Its memory is of a database that is no longer there. */
	restart(): void
	clock(): number
}

/**
 * Brings the object's storage back to a moment of its history. The next epoch is begun first: a crash after that leaves the
 * tenant as it was, under another epoch, and the view reads it anew for nothing. A repetition of the request goes on.
 * @throws when the outcome is unknown
 */
export async function rewind({ request, to, by }: RewindOrder, ports: RewindPorts): Promise<Outcome<Rewinding>> {
	const admitted = await ports.reconsider()
	if (!admitted.ok) return admitted
	const earlier = admitted.value?.rewound
	if (earlier?.request.key === request.key) {
		if (earlier.request.fingerprint !== request.fingerprint)
			return refuse('idempotency_mismatch', 'the Idempotency-Key was used with another request', {
				errors: [{ pointer: 'Idempotency-Key', detail: 'belongs to another request' }],
			})
		if (ports.hasCome(earlier)) return accept({ at: earlier.at, replayed: true })
	}
	if (!ports.close()) return refuse('unavailable', 'this tenant is being rewound', { retryAfter: 1 })
	let isBegun = false
	try {
		const bookmark = await ports.history.bookmarkAt(to)
		if (!bookmark.ok) return bookmark
		const found = await ports.standing()
		if (!found.ok) return found
		const { tenant, standing } = found.value
		const at = ports.clock()
		// If this fails, nobody knows whether the epoch is another one now; the next start will.
		isBegun = true
		const begun = await ports.begin(tenant.epoch, { request, to, at, by, standing })
		if (!begun.ok) {
			isBegun = false
			return begun
		}
		// Somebody has to wake the object, which may hear of nobody for long, and the view has to leave the old epoch.
		await ports.announce({ tenant: tenant.id, shard: tenant.shard, epoch: begun.value.epoch, head: 0 })
		await ports.history.restoreAtNextStart(bookmark.value)
		return accept({ at, replayed: false })
	} finally {
		if (isBegun) ports.restart()
		else ports.open()
	}
}

/** What a rewind must leave as it is. Refused while anybody is restricted: nothing of theirs may change (Art. 18 GDPR). */
export function readStanding({ sql, catalog, journal }: Work): Outcome<{ tenant: TenantRow; standing: Standing }> {
	const tenant = catalog.tenant()
	const { subjects, records } = catalog.restrictions()
	if (tenant.status === 'restricted') return refuse('tenant_restricted', 'the records of this tenant must not change')
	if (subjects.size > 0 || records > 0)
		return refuse('subject_restricted', 'the records of somebody must not change; lift the restriction first')
	const { slug, name, status, requests_per_second, storage_bytes } = tenant
	return accept({
		tenant,
		standing: {
			position: journal.head,
			keys: idsOf(sql, 'api_key'),
			webhooks: idsOf(sql, 'webhook'),
			jobs: allJobs(sql).map(({ id, kind }) => ({ id, kind })),
			tenant: { slug, name, status, requests_per_second, storage_bytes },
		},
	})
}

/** Takes over what was not to be taken back. A database that was not rewound, because of a crash, has all of it. */
export function takeOver(work: Work, { to, standing }: Rewound): void {
	const { sql, journal } = work
	const { keys, webhooks, tenant, jobs } = standing
	const { slug, name, status, requests_per_second, storage_bytes } = tenant
	sql.all(
		'UPDATE tenant SET slug = ?, name = ?, status = ?, requests_per_second = ?, storage_bytes = ?',
		...[slug, name, status, requests_per_second, storage_bytes],
	)
	sql.all('DELETE FROM api_key WHERE id NOT IN (SELECT value FROM json_each(?))', JSON.stringify(keys))
	sql.all('DELETE FROM webhook WHERE id NOT IN (SELECT value FROM json_each(?))', JSON.stringify(webhooks))
	work.catalog.change()
	if (journal.head >= standing.position) return
	clearJobs(work, jobs)
	journal.append({ op: 'restore', collection: null, id: new Date(to).toISOString(), version: null })
}

/** Whether the entry of this rewind is in the journal. */
export function hasComeBack(sql: Sql, { request }: Rewound): boolean {
	return sql.all("SELECT 1 AS one FROM journal WHERE op = 'restore' AND request = ? LIMIT 1", request.id).length > 0
}

/** What exports and imports have in the bucket is of another history: nobody can go on with it, and it must not stay. */
function clearJobs(work: Work, known: Standing['jobs']): void {
	const present = allJobs(work.sql)
	for (const job of present) {
		if (job.state === 'clearing') continue
		if (job.kind === 'export') clearExport(work, job)
		else expireJob(work, job)
	}
	const ids = new Set(present.map(({ id }) => id))
	for (const { id, kind } of known) {
		if (ids.has(id)) continue
		const row = { id, kind, state: 'clearing' as const, asked: '{}', progress: '{}' }
		insertJob(work.sql, { ...row, created_at: work.now, expires_at: work.now })
	}
	work.jobsChanged()
}

function idsOf(sql: Sql, table: 'api_key' | 'webhook'): string[] {
	return sql.all<{ id: string }>(`SELECT id FROM ${table} ORDER BY id`).map(({ id }) => id)
}
