/** `npm run audit`: takes a tenant's audit log out, and checks the hash chain of one without trusting whoever handed it over. */
import { createReadStream, existsSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { parseArgs } from 'node:util'
import { z } from 'zod'
import { chainStart, type JournalEntry, verifyChain } from '../core/chain.ts'
import { changeOps } from '../core/contract.ts'
import { runCommand, UsageError } from './command.ts'

const usage = `Usage: npm run -s audit -- export --url URL > audit.ndjson
       npm run audit -- verify FILE [--after CHAIN]

export writes every entry of a tenant's audit log that is kept, one JSON object a line. The tenant's API key, with the
scope read, is taken from the environment variable FREEHOLD_KEY.
verify follows the hash chain over such a file, or over the audit.ndjson of an export's archive, and ends with status 1 where it breaks. A log whose oldest entries have
been dropped is verified from the second link on, unless --after says the link before it.

  --after CHAIN  the chain's value just before the first entry
  --help         this text`

async function main(args: string[]): Promise<void> {
	const options = { url: { type: 'string' }, after: { type: 'string' } } as const
	const { values, positionals } = parseArgs({ args, allowPositionals: true, options })
	const [command, file] = positionals
	if (command === 'export' && values.url !== undefined) return exportLog(values.url)
	if (command === 'verify' && file !== undefined) return verifyFile(file, values.after)
	throw new UsageError('say: export --url URL, or: verify FILE')
}

const moment = z.iso.datetime({ offset: true }).transform((text) => Date.parse(text))
const line = z
	.object({
		seq: z.int(),
		at: moment,
		op: z.enum(changeOps),
		collection: z.string().nullable(),
		/** The archive of an export says `id`. */
		record: z.string().nullish(),
		id: z.string().nullish(),
		version: z.int().nullable(),
		actor: z.string(),
		request: z.string().nullable(),
		records: z.int().nullable(),
		digest: z.string().nullable(),
		chain: z.string().nullable(),
	})
	.transform(({ record, id, ...entry }): JournalEntry => ({ ...entry, id: record ?? id ?? null }))
const page = z.object({ entries: z.array(z.unknown()) })

async function exportLog(url: string): Promise<void> {
	const key = process.env.FREEHOLD_KEY
	if (!key) throw new UsageError('put the API key into the environment variable FREEHOLD_KEY')
	for (let path: string | undefined = '/v1/audit?limit=1000'; path !== undefined; ) {
		const response: Response = await fetch(new URL(path, url), { headers: { Authorization: `Bearer ${key}` } })
		if (!response.ok) throw new Error(`${path} answered ${response.status}`)
		for (const entry of page.parse(await response.json()).entries) process.stdout.write(`${JSON.stringify(entry)}\n`)
		path = /<([^>]+)>; rel="next"/.exec(response.headers.get('Link') ?? '')?.[1]
	}
}

async function verifyFile(file: string, after: string | undefined): Promise<void> {
	if (!existsSync(file)) throw new UsageError(`there is no file ${file}`)
	const entries: JournalEntry[] = []
	for await (const text of createInterface({ input: createReadStream(file) })) {
		if (text !== '') entries.push(line.parse(JSON.parse(text)))
	}
	const [first] = entries
	if (!first) throw new Error('the file has no entries')
	const { start, previous } = startOf(entries, first, after)
	const brokenAt = verifyChain(entries.slice(start), previous)
	if (brokenAt !== null) throw new Error(`the chain is broken at ${brokenAt}`)
	const last = entries.at(-1)
	console.log(`Unbroken: ${entries.length} entries, ${first.seq} to ${last?.seq}; the last link is ${last?.chain}`)
	if (start > 0) console.log(`The first ${start} of them stand before the first link that can be checked.`)
}

/** Where checking can begin: at the beginning, after a link that is known, or after the first one in the file. */
function startOf(entries: JournalEntry[], first: JournalEntry, after: string | undefined) {
	if (after !== undefined) return { start: 0, previous: after }
	if (first.seq === 1) return { start: 0, previous: chainStart }
	const link = entries.findIndex(({ chain }) => chain !== null)
	return { start: link + 1, previous: entries[link]?.chain ?? chainStart }
}

await runCommand(main, usage)
