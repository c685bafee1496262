/**
 * Mistakes that somebody could make, as changes of the source. Each is a promise about the tests: made on a copy, it must be
 * caught. A change whose text is no longer there fails loudly, so the table follows the code.
 */
export interface Mutant {
	name: string
	edits: { file: string; find: string; replace: string }[]
	/** The test file that catches it; without one, the simulator does. */
	test?: string
	/** Which of its tests, by a part of their names; all of them when absent. */
	only?: string
	/** Where few worlds show it, one that did when this was written; when the code has moved on, all are searched. */
	seed?: number
}

const shard = 'workers/shard-do/shard.ts'
const pull = 'workers/shard-do/pull.ts'
const turn = 'workers/shard-do/turn.ts'
const announcer = 'workers/shard-do/announcer.ts'
const idempotency = 'workers/shard-do/idempotency.ts'
const records = 'workers/shard-do/records.ts'
const work = 'workers/shard-do/work.ts'
const consumer = 'workers/queue-consumer/consumer.ts'
const catchUp = 'workers/queue-consumer/catch-up.ts'
const request = 'workers/api/request.ts'
/** The view in memory has the fence of the one in Postgres; what is wrong with it would be wrong there. */
const view = 'test/fault/memory-view.ts'

const fence = 'found.epoch !== watermark.epoch || found.revision !== watermark.revision'

export const mutants: Mutant[] = [
	{
		name: 'fence dropped',
		edits: [{ file: view, find: `if (!found || ${fence}) return false`, replace: 'if (!found) return false' }],
	},
	{
		name: 'revision not raised',
		edits: [
			{
				file: 'core/watermark.ts',
				find: 'revision: watermark.revision + 1 }',
				replace: 'revision: watermark.revision }',
			},
		],
	},
	{
		name: 'epoch ignored by the fence',
		seed: 165,
		edits: [{ file: view, find: fence, replace: 'found.revision !== watermark.revision' }],
	},
	{
		name: 'epoch ignored by the shard and the consumer',
		seed: 43,
		edits: [
			{
				file: pull,
				find: "if (tenant.epoch !== request.epoch) return { kind: 'refused', reason: 'epoch' }",
				replace: '',
			},
			{
				file: 'core/watermark.ts',
				find: 'if (page.epoch !== watermark.epoch) throw',
				replace: 'if (page.epoch < 0) throw',
			},
		],
	},
	{
		name: 'rows guarded by version',
		edits: [
			{
				file: view,
				find: 'rows.set(touch(upsert), { collection, id, version, data })',
				replace:
					'const key = touch(upsert); if ((rows.get(key)?.version ?? 0) < version) rows.set(key, { collection, id, version, data })',
			},
		],
	},
	{
		name: 'watermark moved first',
		edits: [
			{
				file: view,
				find: '		change()\n		this.#shards.set(name, { ...to, readSeq: reading.page.head })',
				replace: '		this.#shards.set(name, { ...to, readSeq: reading.page.head })\n		queueMicrotask(change)',
			},
		],
	},
	{
		name: 'ack before commit: the message',
		edits: [
			{
				file: consumer,
				find: '	settle(messages, await settles(',
				replace: '	for (const message of messages) message.ack()\n	settle(messages, await settles(',
			},
		],
	},
	{
		name: 'ack before commit: the position',
		edits: [
			{
				file: catchUp,
				find: '{ watermark, range, applied, entriesMax: pageEntriesMax }',
				replace: '{ watermark, range, applied: watermark.appliedSeq, entriesMax: pageEntriesMax }',
			},
		],
	},
	{
		name: 'no coalescing',
		seed: 287,
		edits: [{ file: pull, find: "others > 0 ? 'DISTINCT' : ''", replace: "''" }],
	},
	{
		name: 'deletes not carried',
		edits: [{ file: pull, find: `deletes: \`[\${deletes.join()}]\``, replace: "deletes: '[]'" }],
	},
	{
		name: 'personal fields carried',
		edits: [
			{
				file: 'workers/shard-do/base-page.ts',
				find: '	const personal = personalOf(definition)\n	const data',
				replace: '	const personal: string[] = []\n	const data',
			},
		],
	},
	// A fence on the watermark only shows in too few worlds to be looked for here; `pipeline/base` lets two pages race for it.
	{
		name: 'stale base page applied',
		seed: 69,
		edits: [
			{
				file: view,
				find: `if (!found || ${fence}) return false`,
				replace:
					"if (!found || found.epoch !== watermark.epoch || (reading.kind === 'page' && found.revision !== watermark.revision)) return false",
			},
		],
	},
	{
		name: 'a base leaves what its range lacks',
		seed: 237,
		edits: [{ file: view, find: '			this.#empty(watermark, page)\n', replace: '' }],
	},
	{
		name: 'a base moves the watermark',
		edits: [
			{
				file: 'core/watermark.ts',
				find: "if (kind === 'base') return { ...moved, base",
				replace: "if (kind === 'base') return { ...moved, appliedSeq: page.head, base",
			},
		],
	},
	{
		name: 'journal outside the transaction',
		edits: [
			{
				file: shard,
				find: '			if (ran.ok) seal(work)\n			if (ran.ok && command',
				replace: '			if (ran.ok && command',
			},
			{
				file: shard,
				find: "		if (operation.name === 'collection.put')",
				replace: "		if (outcome.ok) seal(work)\n		if (operation.name === 'collection.put')",
			},
		],
	},
	{
		name: 'idempotency row outside the transaction',
		edits: [
			{ file: shard, find: '			if (ran.ok && command.idempotency)', replace: '			if (ran.ok && !work)' },
			{
				file: shard,
				find: "		if (operation.name === 'collection.put')",
				replace:
					"		if (outcome.ok && command.idempotency) rememberAnswer(this.#idempotencies, work, command, command.idempotency, outcome.value)\n		if (operation.name === 'collection.put')",
			},
			{
				file: shard,
				find: 'rememberAnswer(this.#idempotencies, work, command, command.idempotency, ran.value)\n			return ran',
				replace: 'throw new Error()\n			return ran',
			},
		],
	},
	{
		name: 'retry without fingerprint',
		edits: [{ file: idempotency, find: 'if (row.fingerprint === asked.fingerprint)', replace: 'if (row)' }],
	},
	{
		name: 'idempotency key not scoped to the tenant',
		edits: [{ file: request, find: 'digest([callerName(call.caller), req.method,', replace: 'digest([req.method,' }],
		test: 'test/unit/api-records.test.ts',
	},
	{
		name: 'tomorrow forgotten when the clock goes back',
		edits: [{ file: idempotency, find: 'this.#tables.push(tomorrow)', replace: '{}' }],
	},
	{
		name: 'memory adopted before the commit',
		edits: [
			{
				file: turn,
				find: 'this.#ports.transaction(() => batch.map(({ run }) => resultOf(run)))',
				replace:
					'this.#ports.transaction(() => { const all = batch.map(({ run }) => resultOf(run)); this.#ports.committed(); return all })',
			},
		],
	},
	{
		name: 'memory kept after a failed commit',
		edits: [{ file: turn, find: 'this.#ports.failed()', replace: '' }],
	},
	{
		name: 'a refused operation leaves its entries',
		edits: [{ file: work, find: 'journal.rollback(mark)', replace: '' }],
	},
	{
		name: 'alarm sweep off',
		edits: [
			{
				file: announcer,
				find: 'const overdue = behind && !news && now >= this.#announceAgainAt',
				replace: 'const overdue = false',
			},
		],
	},
	{
		name: 'prune past the watermark',
		seed: 25,
		edits: [
			{
				file: 'workers/shard-do/upkeep.ts',
				find: 'overdue && oldest.last > Math.min(',
				replace: 'overdue && oldest.last < Math.min(-1, ',
			},
		],
	},
	{
		name: 'precondition not looked at',
		edits: [
			{
				file: records,
				find: 'if (ifMatch !== null && !matches(present, ifMatch))',
				replace: 'if (ifMatch !== null && !present)',
			},
		],
	},
	{
		name: 'unique values not compared',
		edits: [{ file: 'workers/shard-do/tables.ts', find: "shared ? '' : 'UNIQUE'", replace: "shared ? '' : ''" }],
	},
]
