import type { Answer, Command, Idempotency, OperationName, Operations, StoredRecord } from '../../core/contract.ts'
import { accept, type Outcome, refuse } from '../../core/refusal.ts'
import { open, seal } from '../../core/seal.ts'
import type { Idempotencies } from './idempotency.ts'
import { textToStore } from './sealing.ts'
import { KeyDestroyed } from './subject-keys.ts'
import type { Vault } from './vault.ts'
import type { Work } from './work.ts'

/**
 * How the answer of each operation rests in its idempotency row: what the server minted, but never the request's own data.
 * A retry brings that data along, and the fingerprint has proven it equal.
 */
type Resting = {
	[N in OperationName]: {
		store(answer: Answer<N>, work: Work, seal: string | null, takes: Operations[N]['takes']): unknown
		restore(stored: never, takes: Operations[N]['takes'], seal: string | null, vault: Vault): Answer<N>
	}
}

const whole = { store: <T>(answer: T): T => answer, restore: <T>(stored: T): T => stored }

const withoutData = {
	store: (answer: Answer<'record.create'>) => ({ ...answer, record: { ...answer.record, data: null } }),
	restore: (stored: Answer<'record.create'>, takes: { data: string }): Answer<'record.create'> => ({
		...stored,
		record: { ...stored.record, data: takes.data },
	}),
}

/** `sealedIn` is the number of the collection that the record's encrypted properties were sealed for; absent when it has none. */
type Merged = Omit<Answer<'record.patch'>, 'record'> & {
	record: Omit<StoredRecord, 'data'> & { data: unknown }
	sealedIn?: number
}

/**
 * A merge patch cannot rebuild the record, so its answer keeps the record, as it rests itself. As a value and not as text:
 * quoted once more, a large record would outgrow the 2 MB of a row.
 */
const withMerged = {
	store: (
		answer: Answer<'record.patch'>,
		work: Work,
		_seal: string | null,
		{ collection }: { collection: string },
	): Merged => {
		const data = JSON.parse(answer.record.data)
		const definition = work.catalog.definition(collection)
		if (!definition || definition.schema.encrypted.length === 0)
			return { ...answer, record: { ...answer.record, data } }
		const stored = textToStore(work, definition, answer.record.id, answer.record.data, data)
		return { ...answer, record: { ...answer.record, data: JSON.parse(stored) }, sealedIn: definition.number }
	},
	restore: (
		{ sealedIn, ...stored }: Merged,
		_takes: unknown,
		_seal: string | null,
		vault: Vault,
	): Answer<'record.patch'> => {
		const text = JSON.stringify(stored.record.data)
		const place = { collection: sealedIn ?? 0, record: stored.record.id }
		return { ...stored, record: { ...stored.record, data: sealedIn === undefined ? text : vault.open(place, text) } }
	},
}

/** A secret rests sealed under what only the same caller can bring again. */
const withSecret = {
	store: <T extends { secret: string }>(answer: T, work: Work, key: string | null): T => ({
		...answer,
		secret: seal(given(key), answer.secret, work.random),
	}),
	restore: <T extends { secret: string }>(stored: T, _takes: unknown, key: string | null): T => {
		const secret = open(given(key), stored.secret)
		if (secret === null) throw new Error('a sealed answer does not open for the request that made it')
		return { ...stored, secret }
	},
}

const resting: Resting = {
	'record.create': withoutData,
	'record.put': withoutData,
	'record.patch': withMerged,
	'record.delete': whole,
	'record.get': whole,
	'record.list': whole,
	batch: whole,
	'collection.put': whole,
	'collection.get': whole,
	'collection.list': whole,
	'collection.delete': whole,
	'changes.list': whole,
	'key.create': withSecret,
	'key.list': whole,
	'key.delete': whole,
	'webhook.create': withSecret,
	'webhook.list': whole,
	'webhook.get': whole,
	'webhook.update': whole,
	'webhook.rotate': withSecret,
	'webhook.test': whole,
	'webhook.delete': whole,
	'import.create': whole,
	'import.get': whole,
	'import.list': whole,
	'import.upload': whole,
	'export.create': whole,
	'export.get': whole,
	'export.list': whole,
	'export.download': whole,
	'export.delete': whole,
	'tenant.get': whole,
	'tenant.update': whole,
	'tenant.erasure': whole,
	'subject.read': whole,
	'subject.erase': whole,
	'subject.restrict': whole,
	'subject.release': whole,
	'subject.restriction': whole,
	'subject.requests': whole,
	'rotation.start': whole,
	'rotation.get': whole,
	'audit.list': whole,
	'audit.verify': whole,
}

/** A kept answer with its record under the newest key; the same text where there is nothing to do. */
export function resealAnswer(vault: Vault, text: string): string {
	if (!text.includes('"sealedIn":')) return text
	const stored: Merged = JSON.parse(text)
	if (stored.sealedIn === undefined) return text
	const place = { collection: stored.sealedIn, record: stored.record.id }
	const data = vault.reseal(place, JSON.stringify(stored.record.data))
	return JSON.stringify({ ...stored, record: { ...stored.record, data: JSON.parse(data) } })
}

function given(seal: string | null): string {
	if (seal === null) throw new Error('an answer that holds a secret needs a seal')
	return seal
}

/** The answer of an earlier, equal request; null when this is the first. */
export function recallAnswer<N extends OperationName>(
	rows: Idempotencies,
	command: Command<N>,
	asked: Idempotency,
	now: number,
	vault: Vault,
): Outcome<Answer<N> | null> {
	const earlier = rows.recall(asked, now)
	if (!earlier.ok || earlier.value === null) return earlier as Outcome<null>
	const { restore } = resting[command.operation.name]
	try {
		return accept(restore(JSON.parse(earlier.value) as never, command.operation, asked.seal, vault) as Answer<N>)
	} catch (error) {
		if (!(error instanceof KeyDestroyed)) throw error
		return refuse('subject_erased', 'this was done, and the person whom the answer was about was erased since')
	}
}

export function rememberAnswer<N extends OperationName>(
	rows: Idempotencies,
	work: Work,
	command: Command<N>,
	asked: Idempotency,
	answer: Answer<N>,
): void {
	const stored = resting[command.operation.name].store(answer, work, asked.seal, command.operation)
	rows.remember(asked, JSON.stringify(stored), work.now)
}
