import type { Control } from '../../core/control.ts'
import { parseTenantId, regionOf, type TenantId } from '../../core/ids.ts'
import { hashSecret, looksLikeKey, parseKey, sameHash } from '../../core/keys.ts'
import { accept, type Outcome, refuse } from '../../core/refusal.ts'
import type { Call, Handled, OperatorCall, Refused, TenantCall } from './call.ts'
import type { OperatorScope, OperatorToken } from './ports.ts'
import { reach } from './reach.ts'

/**
 * Checks an API key by its MAC, without any object call (T3). Whether the key still holds, and what it may do, only its
 * shard knows.
 */
export function authenticateTenant(call: Call): Authenticated {
	const checked = checkedFor(call.ports.config)
	const header = call.c.req.header('Authorization')
	const known = header === undefined ? undefined : checked.get(header)
	if (known) return known
	const bearer = bearerOf(call)
	if (header === undefined || bearer === null)
		return refuse('unauthorized', 'send an API key as Authorization: Bearer <key>')
	const key = parseKey(bearer, call.ports.config.signingSecrets)
	if (key) {
		const caller = { kind: 'key', id: key.keyId, secretHash: key.secretHash } as const
		const authenticated = accept({ tenant: key.tenant, caller, bearer })
		if (checked.size >= checkedHeadersMax) checked.clear()
		// Only what is genuine is kept, so made-up keys cannot push out others, and in one spelling, so that nobody fills the memory.
		if (header === `Bearer ${bearer}`) checked.set(header, authenticated)
		return authenticated
	}
	if (operatorOf(call, bearer))
		return refuse('insufficient_scope', 'this call takes an API key of a tenant, not an operator token')
	return refuse('unauthorized', 'the API key is not valid')
}

type Authenticated = Outcome<Pick<TenantCall, 'tenant' | 'caller' | 'bearer'>>

/** What whole headers stand for whose key's MAC was checked in this isolate lately: checking is most of what the edge computes for a read. */
const checkedHeaders = new WeakMap<Call['ports']['config'], Map<string, Authenticated>>()
const checkedHeadersMax = 10_000

function checkedFor(config: Call['ports']['config']): Map<string, Authenticated> {
	const present = checkedHeaders.get(config) ?? new Map<string, Authenticated>()
	if (!checkedHeaders.has(config)) checkedHeaders.set(config, present)
	return present
}

/** Finds the operator token and holds it against the scope that the route needs; `admin` includes `read`. */
export function authenticateOperator(
	call: Call,
	needed: OperatorScope,
): Outcome<Pick<OperatorCall, 'caller' | 'bearer' | 'scope'>> {
	const bearer = bearerOf(call)
	if (bearer === null) return refuse('unauthorized', 'send an operator token as Authorization: Bearer <token>')
	const operator = operatorOf(call, bearer)
	if (operator) {
		const allowed = operator.scope === needed || operator.scope === 'admin'
		if (!allowed) return refuse('insufficient_scope', `this call needs an operator token of scope ${needed}`)
		return accept({ caller: { kind: 'operator', name: operator.name }, bearer, scope: operator.scope })
	}
	if (looksLikeKey(bearer) && parseKey(bearer, call.ports.config.signingSecrets)) {
		return refuse('insufficient_scope', 'this call takes an operator token, not an API key')
	}
	return refuse('unauthorized', 'the operator token is not valid')
}

/**
 * The tenant that an operator names in the path. Its control object must say that it exists before any object is called
 * (T3), so a made-up id ends here as 404, and an erased tenant as 410.
 */
export async function authoriseTenantId(call: OperatorCall, text: string): Promise<Outcome<TenantCall>> {
	const registered = await readControl(call, text)
	if (!registered.ok) return registered
	const { tenant, control } = registered.value
	if (control.state !== 'active') return tenantErased()
	return accept(Object.assign(call, { tenant }))
}

/** Does for an operator what a tenant may do itself. */
export async function forTenant(call: OperatorCall, handle: (call: TenantCall) => Handled): Handled {
	const authorised = await authoriseTenantId(call, call.c.req.param('id') ?? '')
	return authorised.ok ? handle(authorised.value) : authorised
}

/** The control object of a tenant that exists or existed. */
export async function readControl(
	call: OperatorCall,
	text: string,
): Promise<Outcome<{ tenant: TenantId; control: Control }>> {
	const tenant = parseTenantId(text)
	if (!tenant || !call.ports.config.regions.includes(regionOf(tenant))) return unknownTenant()
	const registered = await reach(call, 'control.read', () => call.ports.control(regionOf(tenant)).read(tenant))
	if (!registered.ok) return registered
	const control = registered.value?.control
	if (!control || control.state === 'provisioning' || control.state === 'abandoned') return unknownTenant()
	return accept({ tenant, control })
}

/** For what only a tenant in force can do. */
export function tenantErased(): Refused {
	return refuse('tenant_erased', 'this tenant was erased, or is being erased')
}

function unknownTenant(): Outcome<never> {
	return refuse('not_found', 'there is no such tenant')
}

/** RFC 6750's token characters, bounded so that hashing costs nothing worth having. */
const bearerPattern = /^bearer +([A-Za-z0-9._~+/-]{1,512}=*)$/i

function bearerOf(call: Call): string | null {
	const header = call.c.req.header('Authorization')
	return header === undefined ? null : (bearerPattern.exec(header.trim())?.[1] ?? '')
}

/** Compares with every token, in constant time, so that timing tells nothing about which one was near. */
function operatorOf(call: Call, bearer: string): OperatorToken | null {
	const hash = hashSecret(bearer)
	let found: OperatorToken | null = null
	for (const operator of call.ports.config.operators) if (sameHash(operator.tokenHash, hash)) found = operator
	return found
}
