import { z } from 'zod'
import type { Checksum, PullReply } from '../core/contract.ts'
import { addToDigest, rowHash } from '../core/row-hash.ts'
import { assertFollows, movedBy, nextRange, noBase, type Watermark } from '../core/watermark.ts'
import type { ShardFixture } from './shard.ts'

const upserts = z.array(
	z.object({ c: z.string(), i: z.string(), v: z.int(), t: z.int(), u: z.int(), d: z.record(z.string(), z.json()) }),
)
const deletes = z.array(z.object({ c: z.string(), i: z.string() }))

/** A view of one shard in memory that sums its rows as the real one does. */
export class Follower {
	readonly rows = new Map<string, z.infer<typeof upserts>[number]>()
	/** What the shard said at its head that the view should come to; null while it does not know. */
	told: Checksum | null = null
	readonly #fixture: ShardFixture
	#watermark: Watermark

	constructor(fixture: ShardFixture) {
		this.#fixture = fixture
		this.#watermark = {
			tenant: fixture.tenant,
			shard: 0,
			epoch: 1,
			revision: 0,
			appliedSeq: 0,
			chain: null,
			base: noBase,
		}
	}

	/** Pulls pages until there are none, and answers the ids of the rows that are there then. */
	follow(): string[] {
		for (let pages = 0; pages < 1_000; pages++) {
			const { tenant, shard, epoch, appliedSeq: after, base } = this.#watermark
			const asked = nextRange(base)
			const sizes = { entriesMax: 7, bytesMax: 100_000 }
			const reply = this.#fixture.shard.pull({ tenant, shard, epoch, after, base: asked, ...sizes })
			if (reply.kind === 'refused') throw new Error(reply.reason)
			assertFollows(reply, asked, this.#watermark)
			const isLast = reply.kind === 'page' && reply.page.to === after
			this.#apply(reply)
			if (isLast) return [...this.rows.keys()].sort()
		}
		throw new Error('the pages have no end')
	}

	checksum(): Checksum {
		let digest = 0n
		for (const { c: collection, i: id, v: version, t: createdAt, u: updatedAt, d } of this.rows.values())
			digest = addToDigest(digest, rowHash({ collection, id, version, createdAt, updatedAt }, d, []))
		return { count: this.rows.size, digest: digest.toString() }
	}

	#apply(reply: Exclude<PullReply, { kind: 'refused' }>): void {
		const { page } = reply
		if (reply.kind === 'base') this.#empty(reply.page)
		else {
			this.told = reply.page.checksum ?? null
			for (const { c, i } of deletes.parse(JSON.parse(reply.page.deletes))) this.rows.delete(`${c}/${i}`)
			const { schema } = reply.page
			if (schema?.kind === 'dropped') this.#empty({ range: { collection: schema.collection, after: null }, last: null })
		}
		for (const row of upserts.parse(JSON.parse(page.upserts))) this.rows.set(`${row.c}/${row.i}`, row)
		this.#watermark = movedBy(reply, this.#watermark)
	}

	#empty({ range, last }: { range: { collection: string; after: string | null }; last: string | null }): void {
		for (const [key, { c, i }] of this.rows)
			if (c === range.collection && i > (range.after ?? '') && (last === null || i <= last)) this.rows.delete(key)
	}
}
