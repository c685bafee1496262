/**
 * Performs the erasure of a tenant, step by step, as `core/erasure.ts` decides. Each step may be repeated, and what was done
 * is written down after it, so a crash anywhere is made good by the shard's next call (E2).
 */
import {
	certificateOf,
	type RetentionDays,
	readCertificate,
	type Signer,
	signCertificate,
} from '../../core/certificate.ts'
import type { Shard } from '../../core/contract.ts'
import { type Control, type ControlStore, changeControl, destroyKeys } from '../../core/control.ts'
import {
	decideErasure,
	type ErasureCall,
	type ErasureRecord,
	type ErasureStep,
	type ErasureStore,
	type StoreCount,
	stepDone,
} from '../../core/erasure.ts'
import type { TenantId } from '../../core/ids.ts'
import { deliveryMsMax } from '../../core/limits.ts'
import { homeShard } from '../../core/shard-map.ts'

/** What an erasure reaches: one cell's stores, and nothing of another. */
export interface ErasurePorts {
	control: ControlStore
	erasures: ErasureStore
	/** The rows of the cell's view; a call may leave some, and answers false then. */
	view: { erase(tenant: TenantId, epoch: number): Promise<boolean>; count(tenant: TenantId): Promise<StoreCount[]> }
	shardOf(tenant: TenantId, shard: number): Pick<Shard, 'erase'>
	/** A claim by the name that the erasure's record holds. */
	claim(name: string): { holder(): Promise<TenantId | null>; release(tenant: TenantId): Promise<void> }
	/** A tenant's objects in the bucket, besides its control object and the record of its erasure. */
	objects: { count(tenant: TenantId): Promise<number>; remove(tenant: TenantId): Promise<void> }
	signer(): Promise<Signer>
	retention: RetentionDays
	/** Milliseconds since 1970. */
	now(): number
	log(level: 'info' | 'warn' | 'error', event: string, fields: Record<string, string | number | null>): void
}

/**
 * Goes on with the erasure for at most `deliveryMsMax`. False when there is more to do at once; whatever has to wait, waits
 * for the shard's next call. @throws whatever a store throws: the step is repeated then
 */
export async function goOnErasing({ tenant }: ErasureCall, ports: ErasurePorts): Promise<boolean> {
	const startedAt = ports.now()
	while (ports.now() - startedAt < deliveryMsMax) {
		const control = (await ports.control.read(tenant))?.control ?? null
		const id = control?.erasure?.id
		const found = id === undefined ? null : await ports.erasures.read(id)
		const decision = decideErasure(control, found?.record ?? null, ports.now())
		if (decision.kind === 'finished' && found) await rest(found.record, ports)
		if (decision.kind !== 'perform' || !control || !found) return true
		const { step } = decision
		const changed = await perform(step, found.record, control, ports)
		if (changed === null) continue
		// Whoever else performs this erasure has come as far; the record is read again.
		await ports.erasures.replace(stepDone(changed, step, ports.now()), found.etag)
		ports.log('info', 'erasure_step', { tenant, erasure: found.record.id, step })
	}
	return false
}

/** Does one step and answers the record with what it brought to light; null when there is more of this step to do. */
async function perform(
	step: ErasureStep,
	record: ErasureRecord,
	control: Control,
	ports: ErasurePorts,
): Promise<ErasureRecord | null> {
	const { tenant } = record
	switch (step) {
		case 'control':
			await changeControl(ports.control, tenant, (present) => begin(present, record.id))
			// Counted before the next step, after which there is nothing to count.
			return { ...record, found: [keysIn(control)] }
		case 'key':
			await destroyKeys(ports.control, tenant)
			return record
		case 'fence':
			await order(ports, tenant, { do: 'reconsider' })
			return record
		case 'inventory':
			return { ...record, found: await takeInventory(record, control, ports) }
		case 'view':
			return (await ports.view.erase(tenant, control.epoch)) ? record : null
		case 'objects':
			await ports.objects.remove(tenant)
			return record
		case 'claims':
			for (const name of record.claims) await ports.claim(name).release(tenant)
			return record
		case 'shards':
			await order(ports, tenant, { do: 'bury' })
			return record
		case 'close':
			await changeControl(ports.control, tenant, (present) =>
				present.state === 'erasing' ? { ...present, state: 'erased' } : null,
			)
			return record
		case 'verify':
			return verify(record, control, ports)
		case 'certify': {
			const certificate = certificateOf(record, ports.retention, ports.now())
			return { ...record, certificate: await signCertificate(certificate, await ports.signer()) }
		}
	}
}

/** The point of no return. A hold or a cancellation meanwhile is seen here, because both change the same object. */
function begin(control: Control, erasure: string): Control | null {
	if (control.state !== 'active' || control.hold || control.erasure?.id !== erasure) return null
	return { ...control, state: 'erasing', epoch: control.epoch + 1 }
}

/** What there is, and the keys that there were: they went first. */
async function takeInventory(record: ErasureRecord, control: Control, ports: ErasurePorts): Promise<StoreCount[]> {
	const counts = await count(record, control, ports)
	return counts.map((one) => record.found.find(({ store, things }) => store === 'keys' && one.things === things) ?? one)
}

async function verify(record: ErasureRecord, control: Control, ports: ErasurePorts): Promise<ErasureRecord> {
	const after = await count(record, control, ports)
	const left = after.filter(({ count: things }) => things > 0)
	if (left.length > 0) {
		const stores = [...new Set(left.map(({ store }) => store))].join()
		ports.log('warn', 'erasure_incomplete', { tenant: record.tenant, erasure: record.id, stores })
	}
	return { ...record, after }
}

function keysIn({ keys = [] }: Control): StoreCount {
	return { store: 'keys', things: 'encryption keys', count: keys.length }
}

/** Asks each store itself what it holds of the tenant. */
async function count(record: ErasureRecord, control: Control, ports: ErasurePorts): Promise<StoreCount[]> {
	const { tenant } = record
	const shard = await order(ports, tenant, { do: 'examine' })
	const held = await Promise.all(
		record.claims.map(async (name) => ((await ports.claim(name).holder()) === tenant ? 1 : 0) as number),
	)
	return [
		keysIn(control),
		{ store: 'shard', things: 'tables', count: shard.tables },
		{ store: 'shard', things: 'records', count: shard.records },
		{ store: 'shard', things: 'keys', count: shard.keys },
		...(await ports.view.count(tenant)),
		{ store: 'bucket', things: 'objects', count: await ports.objects.count(tenant) },
		{ store: 'claims', things: 'names', count: held.reduce((sum, one) => sum + one, 0) },
		{ store: 'control', things: 'right to exist', count: control.state === 'erased' ? 0 : 1 },
	]
}

/**
 * Tells the control object and the shard when nothing can be recovered any more; the shard then leaves nothing at all. A
 * shard that still calls has not heard it, so this is no step that could be done.
 */
async function rest(record: ErasureRecord, ports: ErasurePorts): Promise<void> {
	if (record.certificate === null) throw new Error('an erasure rests before it was certified')
	const horizon = Date.parse(readCertificate(record.certificate).horizon)
	await changeControl(ports.control, record.tenant, (control) =>
		control.erasure && control.erasure.horizon !== horizon
			? { ...control, erasure: { ...control.erasure, horizon } }
			: null,
	)
	await order(ports, record.tenant, { do: 'rest', horizon })
}

type Order = { do: 'reconsider' | 'bury' | 'examine' } | { do: 'rest'; horizon: number }

/** @throws when the shard does not know yet that it may: its control object could not be read */
async function order({ shardOf }: ErasurePorts, tenant: TenantId, asked: Order) {
	const answered = await shardOf(tenant, homeShard).erase({ tenant, shard: homeShard, ...asked })
	if (!answered.ok) throw new ShardUnready()
	return answered.value
}

class ShardUnready extends Error {
	override readonly name = 'ShardUnready'
}
