import type { Idempotency, NewKey } from '../../core/contract.ts'
import type { Claim, ControlStore } from '../../core/control.ts'
import { mintTenantId, type Region, regionOf, type TenantId } from '../../core/ids.ts'
import { mintKey } from '../../core/keys.ts'
import { idempotencyRunningMs } from '../../core/limits.ts'
import { accept, type Outcome, refuse } from '../../core/refusal.ts'
import { open, seal } from '../../core/seal.ts'
import { homeShard } from '../../core/shard-map.ts'
import type { OperatorCall } from './call.ts'
import { attempt, reach } from './reach.ts'

export interface NewTenant {
	slug: string
	name: string
	region: Region
}

/** What one creation mints. A retry uses the same values, so every step can be repeated and the answer stays the same. */
interface Minted {
	tenant: TenantId
	createdAt: number
	key: NewKey
}

export interface Provisioned extends Minted {
	replayed: boolean
}

/** Every tenant begins with this epoch; erasure, restore and move raise it. */
const firstEpoch = 1

/**
 * Creates a tenant so that a crash after any step leaves nothing half-done for ever (U2). With an idempotency key, what is
 * minted rests sealed in the request's claim, and a retry after any crash runs the same steps with the same values.
 */
export async function provisionTenant(
	call: OperatorCall,
	wanted: NewTenant,
	idempotency: Idempotency | null,
): Promise<Outcome<Provisioned>> {
	const fresh = mint(call, wanted.region)
	if (!idempotency) {
		const created = await createTenant(call, wanted, fresh)
		return created.ok ? accept({ ...fresh, replayed: false }) : created
	}
	const request = call.ports.claim('request', idempotency.key)
	const { fingerprint } = idempotency
	if (idempotency.seal === null) throw new Error('the draft of a tenant holds a secret and must be sealed')
	const draft = seal(idempotency.seal, JSON.stringify(fresh), call.ports.random)
	const begun = await reach(call, 'claim.begin', () => request.begin({ fingerprint, draft }))
	if (!begun.ok) return begun
	if (!('draft' in begun.value)) return unanswered(begun.value.state)
	const minted = unseal(idempotency.seal, begun.value.draft)
	if (!minted) return unanswered('mismatch')
	if (begun.value.state === 'finished') return replay(call, minted)
	const created = await createTenant(call, wanted, minted)
	// A taken slug is an answer, too: only what has no answer yet stays open for a retry.
	if (created.ok || created.refusal.code === 'slug_taken')
		await attempt(call, 'claim.finish', () => request.finish(fingerprint))
	return created.ok ? accept({ ...minted, replayed: false }) : created
}

/** What a retry is told while the first request has no answer, or when it is another request. */
export function unanswered(state: 'running' | 'mismatch'): Outcome<never> {
	if (state === 'mismatch')
		return refuse('idempotency_mismatch', 'this Idempotency-Key was used for another request', {
			errors: [{ pointer: 'Idempotency-Key', detail: 'a key belongs to one request; use a new one' }],
		})
	const retryAfter = idempotencyRunningMs / 1_000
	return refuse('idempotency_in_progress', 'the first request has not ended yet', { retryAfter })
}

async function createTenant(call: OperatorCall, wanted: NewTenant, minted: Minted): Promise<Outcome<true>> {
	const { tenant, createdAt } = minted
	const slug = call.ports.claim('slug', wanted.slug)
	const control = call.ports.control(regionOf(tenant))

	// 1. Hold the slug. From here a crash leaves a claim that asks the control object after a while, and frees itself.
	const held = await reach(call, 'claim.acquire', () => slug.acquire(tenant))
	if (!held.ok) return held
	if (!held.value) return slugTaken()

	// 2. Register the right to exist, not yet in force, so that nothing of the tenant is ever outside the registry.
	const registered = await register(call, control, minted)
	if (!registered.ok) return registered
	const { state } = registered.value.control
	if (state === 'abandoned') return giveUp(call, slug, tenant)
	// A retry of a creation whose tenant was erased since must not bring it back.
	if (state === 'erasing' || state === 'erased')
		return refuse('tenant_erased', 'this tenant was created, and erased since')

	// 3. Make the shard. Until step 4 nobody can reach it: its key was not handed out, and operators are asked for `active`.
	const shard = call.ports.shardOf(tenant, homeShard)
	const { id, secretHash } = minted.key
	const actor = `operator:${call.caller.name}`
	const start = {
		tenant,
		shard: homeShard,
		epoch: firstEpoch,
		slug: wanted.slug,
		name: wanted.name,
		createdAt,
		key: { id, secretHash },
		actor,
		requestId: call.requestId,
	}
	const provisioned = await reach(call, 'shard.provision', () => shard.provision(start))
	if (!provisioned.ok) return provisioned
	if (!provisioned.value.ok) return provisioned.value

	// 4. Put it in force: the commit. A claim that gave up waiting has put `abandoned` there, and this put then fails.
	const active = await activate(call, control, tenant, registered.value)
	if (!active.ok) return active
	if (!active.value) return giveUp(call, slug, tenant)

	// 5. Keep the slug for good. If this is lost, the claim finds the tenant active and confirms itself.
	await attempt(call, 'claim.confirm', async () => {
		if (!(await slug.confirm(tenant))) call.ports.log('error', 'claim_lost', { request_id: call.requestId, tenant })
	})
	return accept(true)
}

type Registered = NonNullable<Awaited<ReturnType<ControlStore['read']>>>

/** Creates the control object, or finds the one that an earlier attempt of this request left. */
async function register(
	call: OperatorCall,
	control: ControlStore,
	{ tenant, createdAt }: Minted,
): Promise<Outcome<Registered>> {
	const created = await reach(call, 'control.create', () =>
		control.create(tenant, { state: 'provisioning', epoch: firstEpoch, createdAt }),
	)
	if (!created.ok) return created
	const present = await reach(call, 'control.read', () => control.read(tenant))
	if (!present.ok) return present
	if (!present.value) throw new Error('a control object that was just written is not there')
	return accept(present.value)
}

/** True when the tenant is in force, also when an equal request that ran beside this one was first. */
async function activate(
	call: OperatorCall,
	control: ControlStore,
	tenant: TenantId,
	{ control: before, etag }: Registered,
): Promise<Outcome<boolean>> {
	if (before.state === 'active') return accept(true)
	const replaced = await reach(call, 'control.replace', () =>
		control.replace(tenant, { ...before, state: 'active' }, etag),
	)
	if (!replaced.ok || replaced.value) return replaced
	const winner = await reach(call, 'control.read', () => control.read(tenant))
	return winner.ok ? accept(winner.value?.control.state === 'active') : winner
}

/** This tenant will never exist, so the slug that step 1 took must not wait for its claim to notice. */
async function giveUp(call: OperatorCall, slug: Claim, tenant: TenantId): Promise<Outcome<never>> {
	await attempt(call, 'claim.release', () => slug.release(tenant))
	return refuse(
		'unavailable',
		'creating the tenant took too long and was given up; try again with a new Idempotency-Key',
		{ retryAfter: 1 },
	)
}

/** The first answer again. A finished request whose tenant never came into force was answered with the taken slug. */
async function replay(call: OperatorCall, minted: Minted): Promise<Outcome<Provisioned>> {
	const registered = await reach(call, 'control.read', () =>
		call.ports.control(regionOf(minted.tenant)).read(minted.tenant),
	)
	if (!registered.ok) return registered
	const state = registered.value?.control.state
	const existed = state === 'active' || state === 'erasing' || state === 'erased'
	return existed ? accept({ ...minted, replayed: true }) : slugTaken()
}

function slugTaken(): Outcome<never> {
	return refuse('slug_taken', 'another tenant has this slug', { errors: [{ pointer: '/slug', detail: 'is taken' }] })
}

function mint(call: OperatorCall, region: Region): Minted {
	const { config, clock, random } = call.ports
	const createdAt = clock()
	const tenant = mintTenantId(region, createdAt, random)
	return { tenant, createdAt, key: mintKey(tenant, config.signingSecrets[0], createdAt, random) }
}

/** Null when the operator's token was replaced since the first request: what rests under the old one stays closed. */
function unseal(key: string, draft: string): Minted | null {
	const text = open(key, draft)
	return text === null ? null : JSON.parse(text)
}
