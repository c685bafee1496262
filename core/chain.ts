/**
 * The audit hash chain of the journal. The entries of one operation are one link: SHA-256 over the link before it and all of
 * the operation's entries, kept with the last of them. Who changes, drops or adds an entry afterwards breaks every later link.
 */
import type { ChangeOp } from './contract.ts'
import { digestText } from './sha256.ts'

/** Who made an operation's entries, and when. `request` is null for what the shard does by itself. */
export interface Origin {
	/** Milliseconds since 1970. */
	at: number
	actor: string
	request: string | null
}

/** An entry of the journal as it rests, with the running values of its collection after the operation. */
export interface JournalEntry extends Origin {
	seq: number
	op: ChangeOp
	collection: string | null
	id: string | null
	version: number | null
	/** Records of the collection; null on all entries but an operation's last one about that collection. */
	records: number | null
	/** Sum of the collection's row hashes as decimal text; null where `records` is, and while it is being recomputed. */
	digest: string | null
	/** SHA-256 in base64url; null on all entries but an operation's last one. */
	chain: string | null
}

/** What a link covers of each entry, in this order. */
export type LinkedEntry = [
	seq: number,
	op: ChangeOp,
	collection: string | null,
	id: string | null,
	version: number | null,
	records: number | null,
	digest: string | null,
]

/** The chain's value before the first link. */
export const chainStart = ''

/** The next value of the chain; `entries` is the JSON text of an array of `LinkedEntry`. */
export function linkOf(previous: string, { at, actor, request }: Origin, entries: string): string {
	return digestText(JSON.stringify([previous, at, actor, request]) + entries)
}

/**
 * Follows the chain over consecutive entries, oldest first, from the link `previous` just before them. Answers the position
 * of the first entry that belongs to no link or to a broken one, or null when every link holds. Entries from before a
 * shard had a chain end with one that carries the chain's start; they are not covered.
 */
export function verifyChain(entries: Iterable<JournalEntry>, previous: string): number | null {
	let last = previous
	let before: number | null = null
	let link: JournalEntry[] = []
	for (const entry of entries) {
		if (before !== null && entry.seq !== before + 1) return before + 1
		before = entry.seq
		link.push(entry)
		if (entry.chain === null) continue
		const uncovered = last === chainStart && entry.chain === chainStart
		if (!uncovered && entry.chain !== linkOf(last, entry, JSON.stringify(link.map(linked)))) return link[0]?.seq ?? null
		last = entry.chain
		link = []
	}
	return link[0]?.seq ?? null
}

function linked({ seq, op, collection, id, version, records, digest }: JournalEntry): LinkedEntry {
	return [seq, op, collection, id, version, records, digest]
}
