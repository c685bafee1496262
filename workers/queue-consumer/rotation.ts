import { type Control, type ControlStore, changeControl } from '../../core/control.ts'
import type { RandomBytes, TenantId } from '../../core/ids.ts'
import { rotationMsMax, rotationTenantsAtOnce, rotationTenantsMax } from '../../core/limits.ts'
import { newRotation, pageDone, passDone, type Rewrapped, type RotationStore } from '../../core/rotation.ts'
import { masterId, rewrapTenantKey } from '../../core/tenant-key.ts'
import type { Ports } from './consumer.ts'

export interface RotationPorts extends Pick<Ports, 'log'> {
	/** The newest first. */
	masters: readonly [string, ...string[]]
	rotations: RotationStore
	/** Tenants of the registry in the order of their ids, after one; as many as asked for, or the registry has ended. */
	registry(after: TenantId | null, limit: number): Promise<TenantId[]>
	control: ControlStore
	/** Milliseconds since 1970. */
	clock(): number
	random: RandomBytes
}

/**
 * What the cron trigger does every minute while a previous master secret is configured: goes on through the registry, once to
 * its end at most. Everything may be repeated, so a crash anywhere costs a page and nothing else.
 */
export async function rotateMasterSecret(ports: RotationPorts): Promise<void> {
	const { masters, rotations, registry, clock, log } = ports
	if (masters.length === 1) return
	const startedAt = clock()
	const found = await rotations.read()
	const master = masterId(masters[0])
	let etag = found?.etag ?? null
	let rotation = found?.rotation.master === master ? found.rotation : newRotation(master, startedAt)
	while (rotation.finishedAt === null && clock() - startedAt < rotationMsMax) {
		const tenants = await registry(rotation.after, rotationTenantsMax)
		const last = tenants.at(-1) ?? rotation.after
		const done = pageDone(rotation, last, await rewrapAll(tenants, ports))
		const hasEnded = tenants.length < rotationTenantsMax
		rotation = hasEnded ? passDone(done, clock()) : done
		// Whoever else goes through the registry has come as far.
		etag = await rotations.write(rotation, etag)
		if (etag === null) return
		if (!hasEnded) continue
		log('info', 'master_secret_pass', { tenants: done.tenants, rewrapped: done.rewrapped, unreadable: done.unreadable })
		return
	}
}

async function rewrapAll(tenants: readonly TenantId[], ports: RotationPorts): Promise<Rewrapped[]> {
	const waiting = [...tenants]
	const found: Rewrapped[] = []
	const worker = async () => {
		for (let tenant = waiting.shift(); tenant !== undefined; tenant = waiting.shift())
			found.push(await rewrap(tenant, ports))
	}
	await Promise.all(Array.from({ length: rotationTenantsAtOnce }, worker))
	return found
}

async function rewrap(tenant: TenantId, { control, masters, random }: RotationPorts): Promise<Rewrapped> {
	const found = { rewrapped: 0, unreadable: 0 }
	await changeControl(control, tenant, ({ keys = [], ...present }) => {
		const changed = keys.map((key) => rewrapTenantKey(masters, tenant, key, random))
		found.rewrapped = changed.filter((key, index) => key !== null && key !== keys[index]).length
		found.unreadable = changed.filter((key) => key === null).length
		const rewrapped: Control['keys'] = changed
			.map((key, index) => key ?? keys[index])
			.filter((key) => key !== undefined)
		return found.rewrapped > 0 ? { ...present, keys: rewrapped } : null
	})
	return found
}
