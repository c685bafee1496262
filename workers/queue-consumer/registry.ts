/** Holds one region's view against the registry of its tenants: whoever is registered and unknown to the view is missing from its answers. */
import type { WakeUp } from '../../core/contract.ts'
import type { ControlStore } from '../../core/control.ts'
import type { TenantId } from '../../core/ids.ts'
import {
	registryGraceMs,
	registryPagesMax,
	registryPageTenants,
	registryStrangersAtOnceMax,
	registryStrangersMax,
} from '../../core/limits.ts'
import { homeShard } from '../../core/shard-map.ts'
import type { RegistryView } from '../../db/neon/registry.ts'
import type { Ports } from './consumer.ts'

export interface RegistryPorts extends Pick<Ports, 'log'> {
	/** Tenants of the registry in the order of their ids, after one; as many as asked for, or the registry has ended. */
	registry(after: TenantId | null, limit: number): Promise<TenantId[]>
	control: Pick<ControlStore, 'read'>
	view: RegistryView
	announce(message: WakeUp): Promise<void>
	/** Milliseconds since 1970. */
	clock(): number
}

/**
 * What the cron trigger does for one region's view every minute: goes on with the comparison where the last minute ended it,
 * once to the end of the registry at most. @throws DatabaseFailure, and whatever the registry throws
 */
export async function compareRegistry(ports: RegistryPorts): Promise<void> {
	let from = await ports.view.readCursor()
	let left = registryStrangersMax
	for (let pages = 0; pages < registryPagesMax && left > 0; pages++) {
		const listed = await ports.registry(from, registryPageTenants)
		const strangers = await ports.view.listStrangers(listed)
		const met = strangers.slice(0, left)
		left -= met.length
		// Of a page with more strangers than one minute can meet, the rest is another minute's.
		const last = met.length < strangers.length ? met.at(-1) : listed.at(-1)
		const tenants = last === undefined ? 0 : listed.indexOf(last) + 1
		const isWhole = tenants < registryPageTenants && tenants === listed.length
		const missing = await meetAll(met, ports)
		const found = { from, to: isWhole ? null : (last ?? null), tenants, missing }
		if (!(await ports.view.notePage(found)) || isWhole) return
		from = found.to
	}
}

/** Wakes those that should be in the view, and answers how many they are. */
async function meetAll(strangers: readonly TenantId[], ports: RegistryPorts): Promise<number> {
	const waiting = [...strangers]
	let missing = 0
	const worker = async () => {
		for (let tenant = waiting.shift(); tenant !== undefined; tenant = waiting.shift())
			if (await isMissing(tenant, ports)) missing += 1
	}
	await Promise.all(Array.from({ length: registryStrangersAtOnceMax }, worker))
	return missing
}

/** A tenant of which nobody can tell whether it exists counts as missing: the answer must not be more than is known. */
async function isMissing(tenant: TenantId, { control, announce, clock, log }: RegistryPorts): Promise<boolean> {
	try {
		const found = (await control.read(tenant))?.control
		if (found?.state !== 'active' || found.createdAt > clock() - registryGraceMs) return false
		log('warn', 'tenant_missing', { tenant })
		await announce({ tenant, shard: homeShard, epoch: found.epoch, head: 0 })
	} catch (error) {
		log('warn', 'tenant_unmet', { tenant, error: error instanceof Error ? error.name : typeof error })
	}
	return true
}
