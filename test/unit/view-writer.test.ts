import { expect, test } from 'vitest'
import type { Page, Reading } from '../../core/contract.ts'
import type { TenantId } from '../../core/ids.ts'
import { coalescedBytesMax, statementsAtOnceMax } from '../../core/limits.ts'
import { noBase, type Watermark } from '../../core/watermark.ts'
import { type ViewStore, ViewWriter } from '../../db/neon/writer.ts'

const watermarkOf = (n: number): Watermark => {
	const tenant = `global_01k9${String(n).padStart(22, '0')}` as TenantId
	return { tenant, shard: 0, epoch: 1, revision: 0, appliedSeq: 0, chain: null, base: noBase }
}

function pageOf(bytes: number): Reading & { page: Page } {
	const tenant = { slug: 's', name: 'n', status: 'active', createdAt: 0 } as const
	const about = { epoch: 1, from: 0, to: 1, head: 1, toAt: 1, tenant, schema: null }
	return {
		kind: 'page',
		page: { ...about, upserts: 'x'.repeat(bytes), upsertCount: 1, deletes: '', deleteCount: 0 },
	}
}

const range = { collection: 'people', after: null, only: null }
const basePage: Reading = {
	kind: 'base',
	page: { epoch: 1, head: 1, range, last: null, definition: null, upserts: '[]', upsertCount: 0 },
}

/** A view whose statements end when the test says so. */
function held() {
	const statements: { of: string; end(): void; fail(): void }[] = []
	const hold = <Out>(of: string, answer: Out) =>
		new Promise<Out>((resolve, reject) => {
			statements.push({ of, end: () => resolve(answer), fail: () => reject(new Error('refused')) })
		})
	const unexpected = () => Promise.reject(new Error('nobody asks for that here'))
	const store: ViewStore = {
		readWatermarks: unexpected,
		startWatermark: unexpected,
		startOver: unexpected,
		applyPages: (moves) =>
			hold(
				moves.map(({ page }) => (page.upserts.length > coalescedBytesMax ? 'large' : 'small')).join(),
				moves.map(() => true),
			),
		applySchema: () => hold('schema', true),
		startBase: () => hold('start', true),
		applyBase: () => hold('base', true),
		setAside: unexpected,
	}
	return { statements, store }
}

const turns = async () => {
	for (let turn = 0; turn < 20; turn++) await null
}

test('[V4] large pages and ranges of a base run so many at a time, and small pages do not wait for them', async () => {
	const { statements, store } = held()
	const writer = new ViewWriter(store)
	const large = Array.from({ length: 2 * statementsAtOnceMax }, (_, n) =>
		writer.apply(watermarkOf(n), n % 2 === 0 ? pageOf(coalescedBytesMax + 1) : basePage),
	)
	await turns()
	expect(statements).toHaveLength(statementsAtOnceMax)
	const small = [100, 101].map((n) => writer.apply(watermarkOf(n), pageOf(10)))
	await turns()
	expect(statements.map(({ of }) => of).slice(statementsAtOnceMax)).toEqual(['small,small'])
	// What Postgres refuses gives its place back, too.
	statements[0]?.fail()
	for (const { end } of statements.slice(1)) end()
	await turns()
	for (const { end } of statements) end()
	expect(await Promise.all(small)).toEqual([true, true])
	const settled = await Promise.allSettled(large)
	expect(settled.map(({ status }) => status)).toEqual(large.map((_, n) => (n === 0 ? 'rejected' : 'fulfilled')))
	expect(statements).toHaveLength(2 * statementsAtOnceMax + 1)
})
