import type { z } from '@hono/zod-openapi'
import type { Scope } from '../../core/contract.ts'
import type { RefusalCode } from '../../core/refusal.ts'
import { authenticateOperator, authenticateTenant } from './auth.ts'
import type { Call, Handled, OperatorCall, TenantCall } from './call.ts'
import type { OperatorScope } from './ports.ts'

export type Method = 'get' | 'post' | 'put' | 'patch' | 'delete'

/** What a route is, says and needs; the OpenAPI document is made of these. */
export interface Definition {
	method: Method
	/** In OpenAPI's form, e.g. `/v1/keys/{id}`. */
	path: string
	tag: string
	summary: string
	description?: string
	params?: z.ZodObject
	query?: z.ZodObject
	/** Request headers beyond those that every route of its kind takes. */
	headers?: z.ZodObject
	body?: { media: string; schema: z.ZodType; example: unknown }
	answers: Record<number, AnswerDefinition>
	/** Refusals beyond those that every route of its kind may answer. */
	refusals: readonly RefusalCode[]
	/** True for a call that changes something: it takes `Idempotency-Key`. */
	mutates?: boolean
}

export interface AnswerDefinition {
	description: string
	/** JSON, unless another media type is named. */
	schema?: z.ZodType
	example?: unknown
	media?: string
	/** Another media type that the client may ask for. */
	alternative?: { media: string; schema: z.ZodType; example: unknown }
	/** Names of headers that `openapi.ts` describes. */
	headers?: readonly string[]
}

/** Who may call a route, and with what. Tenant scopes are enforced by the shard, operator scopes at the edge. */
export type Access =
	| { audience: 'public' }
	| { audience: 'operator'; scope: OperatorScope }
	| { audience: 'tenant'; scope: Scope }

export interface Route {
	definition: Definition
	access: Access
	run(call: Call): Handled
}

export function publicRoute(definition: Definition, handle: (call: Call) => Handled): Route {
	return { definition, access: { audience: 'public' }, run: handle }
}

/** A route for API keys. The key decides the tenant; the shard checks that the key has the scope. */
export function tenantRoute(definition: Definition & { scope: Scope }, handle: (call: TenantCall) => Handled): Route {
	return {
		definition,
		access: { audience: 'tenant', scope: definition.scope },
		run: async (call) => {
			const authenticated = authenticateTenant(call)
			return authenticated.ok ? handle(Object.assign(call, authenticated.value)) : authenticated
		},
	}
}

/** A route for operator tokens. */
export function operatorRoute(
	definition: Definition & { scope: OperatorScope },
	handle: (call: OperatorCall) => Handled,
): Route {
	return {
		definition,
		access: { audience: 'operator', scope: definition.scope },
		run: async (call) => {
			const authenticated = authenticateOperator(call, definition.scope)
			return authenticated.ok ? handle(Object.assign(call, authenticated.value)) : authenticated
		},
	}
}
