import type { Mutant } from './mutants.ts'

const jobs = 'workers/queue-consumer/jobs/job.ts'
const retention = 'workers/shard-do/retention.ts'
const erasureTests = 'test/unit/erasure.test.ts'
const exportTests = 'test/unit/export.test.ts'
const keyRotation = 'workers/shard-do/key-rotation.ts'
const rotationTests = 'test/unit/key-rotation.test.ts'
const subjectErasing = 'workers/shard-do/subject-erasing.ts'
const subjectTests = 'test/unit/subject-keys.test.ts'
const restrictionTests = 'test/unit/restriction.test.ts'

/** Mistakes about what tenants and people have a right to: exports, imports, erasures, restrictions, and the region of their data. */
export const rightsMutants: Mutant[] = [
	{
		name: 'a snapshot keeps nothing of what is replaced',
		edits: [
			{
				file: 'workers/shard-do/snapshot.ts',
				find: 'WHERE r.seq <= s.seq AND (c.',
				replace: 'WHERE r.seq < 0 AND (c.',
			},
		],
		test: exportTests,
		only: 'the exact state at its position',
	},
	{
		name: 'what an export has stored for an erased tenant stays',
		edits: [{ file: jobs, find: 'await bucket.delete(unheard)', replace: 'await Promise.resolve()' }],
		test: exportTests,
		only: 'when its tenant is erased',
	},
	{
		name: 'a failed import leaves what it has read',
		edits: [{ file: 'workers/shard-do/import.ts', find: '	dropStaged(work)\n', replace: '' }],
		test: 'test/unit/import.test.ts',
		only: 'nothing',
	},
	{
		name: 'the ledger is not applied at a cold start',
		edits: [
			{
				file: 'workers/shard-do/subjects.ts',
				find: 'const missed = ledger.filter(({ request }) => !known.has(request))',
				replace: 'const missed = ledger.filter(({ request }) => request === known.size.toString())',
			},
		],
		test: 'test/unit/subjects.test.ts',
	},
	{
		name: 'no tombstone in the shard',
		edits: [
			{
				file: 'workers/shard-do/erasure.ts',
				find: 'INSERT INTO tombstone (only_row, tenant, shard, epoch) VALUES (1, ?, ?, ?)',
				replace: 'SELECT ?, ?, ?',
			},
		],
		test: erasureTests,
		only: 'an erasure empties every store',
	},
	{
		name: 'a copy of an erased shard answers',
		edits: [
			{
				file: 'workers/shard-do/erasing.ts',
				find: "if (control.state === 'erased') return { is: 'bury' }",
				replace: "if (control.state === 'erased') return { is: 'none' }",
			},
		],
		test: erasureTests,
		only: 'before the erasure is buried',
	},
	{
		name: 'the sweep buries without asking the registry',
		edits: [
			{
				file: 'workers/queue-consumer/erasure-sweep.ts',
				find: "if (control?.state !== 'erased') continue",
				replace: 'if (!control) continue',
			},
		],
		test: 'test/unit/erasure-sweep.test.ts',
	},
	{
		name: 'a restricted record stays in the view',
		edits: [
			{
				file: 'workers/shard-do/restricted.ts',
				find: "catalog.restrictions().records === 0 ? 'TRUE'",
				replace: "catalog.restrictions().records >= 0 ? 'TRUE'",
			},
		],
		test: restrictionTests,
	},
	{
		name: 'restricted records are counted',
		edits: [
			{
				file: 'workers/shard-do/upkeep.ts',
				find: 'count: viewedRecords(this.#catalog, records)',
				replace: 'count: records',
			},
		],
		test: restrictionTests,
	},
	{
		name: 'retention takes what is restricted',
		edits: [{ file: retention, find: "unrestricted(definition.number, 'r.id')", replace: "'TRUE'" }],
		test: restrictionTests,
	},
	{
		name: 'retention goes on under a legal hold',
		edits: [{ file: retention, find: 'heldAt !== null || ', replace: '' }],
		test: restrictionTests,
	},
	{
		name: 'blind indexes are exchanged before all records are in the new ones',
		edits: [
			{
				file: 'workers/shard-do/reblinding.ts',
				find: 'return rows.length < most ? null',
				replace: 'return rows.length <= most ? null',
			},
		],
		test: rotationTests,
		only: 'seals everything anew',
	},
	{
		name: 'writes do not fill the blind index that comes',
		edits: [
			{
				file: 'workers/shard-do/columns.ts',
				find: 'const filled = [...uniques, ...coming]',
				replace: 'const filled = [...uniques]',
			},
		],
		test: rotationTests,
		only: 'seals everything anew',
	},
	{
		name: 'after a change of schema the records before the cursor stay under the older key',
		edits: [
			{ file: keyRotation, find: "place.filling ? '' : place.after", replace: 'place.after' },
			{ file: keyRotation, find: 'const isBehind = (page?.found ?? 0) > 0 ||', replace: 'const isBehind =' },
		],
		test: rotationTests,
		only: 'a change of schema in the middle',
	},
	{
		name: 'a key is destroyed without counting what is left under it',
		edits: [{ file: keyRotation, find: '(page?.found ?? 0) > 0', replace: '(page?.found ?? 0) < 0' }],
		test: rotationTests,
		only: 'when all should have left it',
	},
	{
		name: 'kept answers stay under the older key',
		edits: [{ file: keyRotation, find: 'resealAnswer(work.vault, text)', replace: 'text' }],
		test: rotationTests,
		only: 'seals everything anew',
	},
	{
		name: 'an older key seals what comes after the newer one',
		edits: [
			{
				file: 'workers/shard-do/vault.ts',
				find: 'if (version < this.#least) throw',
				replace: 'if (version < 0) throw',
			},
		],
		test: rotationTests,
		only: 'a late read',
	},
	{
		name: 'a key is destroyed for a shard of another epoch',
		edits: [
			{
				file: 'core/control.ts',
				find: "control.state === 'active' && control.epoch === epoch && kept",
				replace: "control.state === 'active' && kept",
			},
		],
		test: rotationTests,
		only: 'the last one never goes',
	},
	{
		name: 'the records of a person go before the key is destroyed',
		edits: [
			{
				file: subjectErasing,
				find: '				await this.#destroyKeys()\n			}\n			const reply',
				replace: '			}\n			const reply',
			},
		],
		test: subjectTests,
		only: 'before the records go',
	},
	{
		name: 'a key is destroyed before the ledger knows of it',
		edits: [
			{
				file: subjectErasing,
				find: 'const entered = await enterLedger(entry)',
				replace: 'const entered = { ok: true, value: true } as const',
			},
		],
		test: subjectTests,
		only: 'before the records go',
	},
	{
		name: 'what an erasure has begun is not gone on with',
		edits: [
			{
				file: subjectErasing,
				find: 'if (!shard.erasesSubjects()) return',
				replace: 'if (shard.erasesSubjects()) return',
			},
		],
		test: subjectTests,
		only: 'dies at any step',
	},
	{
		name: 'every try of an erasure has another name in the ledger',
		edits: [
			{ file: subjectErasing, find: 'this.#asked.get(person)?.entry ?? planned.value', replace: 'planned.value' },
			{ file: subjectErasing, find: 'of this.#asked.values()', replace: 'of [...this.#asked.values()].slice(9)' },
		],
		test: subjectTests,
		only: 'fails at any step',
	},
	{
		name: 'a destroyed key stays in its page',
		edits: [
			{
				file: 'core/subject-key.ts',
				find: 'left.fill(0, start, start + keyBytes)',
				replace: 'left.fill(left[start] ?? 0, start, start + 1)',
			},
		],
		test: subjectTests,
	},
	{
		name: 'a page that somebody changed is taken for written',
		edits: [
			{
				file: 'workers/shard-do/key-pages.ts',
				find: 'if (await pages.replace(number, vault.sealPage(number, left), found.etag)) return',
				replace: 'await pages.replace(number, vault.sealPage(number, left), found.etag)\n			return',
			},
		],
		test: subjectTests,
		only: 'read again',
	},
	{
		name: 'another page takes the place of one that was lost',
		edits: [
			{
				file: 'workers/shard-do/subject-keys.ts',
				find: 'mint: last === null || number > pageOf(last)',
				replace: 'mint: last === null || number >= pageOf(last)',
			},
		],
		test: subjectTests,
		only: 'has lost a page',
	},
	{
		name: 'slots are given on in another epoch',
		edits: [
			{
				file: 'workers/shard-do/subject-keys.ts',
				find: 'if (page.epoch !== this.#ports.epoch()) slot',
				replace: 'if (page.epoch > this.#ports.epoch()) slot',
			},
		],
		test: subjectTests,
		only: 'in another epoch',
	},
	{
		name: 'a key of the tenant is destroyed before the pages have left it',
		edits: [
			{
				file: 'workers/shard-do/shard.ts',
				find: "if (order.do === 'add' || (await this.keyPages.rewrap()))",
				replace: "if (order.do !== 'add' || (await this.keyPages.rewrap()))",
			},
		],
		test: subjectTests,
		only: 'follow a rotation',
	},
	{
		name: 'who works for one region reaches another',
		edits: [
			{
				file: 'workers/wire.ts',
				find: "if (regionOf(tenant) !== region) throw new Error('a tenant of another region')",
				replace: '',
			},
		],
		test: 'test/unit/residency.test.ts',
	},
]
