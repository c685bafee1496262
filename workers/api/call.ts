import type { Context } from 'hono'
import type { Caller, RateState } from '../../core/contract.ts'
import type { TenantId } from '../../core/ids.ts'
import type { Refusal } from '../../core/refusal.ts'
import type { ApiPorts, OperatorScope } from './ports.ts'

/** One request on its way through the edge. */
export interface Call {
	c: Context
	ports: ApiPorts
	requestId: string
	/** Null until authentication, and for good where no tenant is concerned. */
	tenant: TenantId | null
}

/** A request whose credential was checked at the edge: by its MAC for a key, by its hash for an operator. */
export interface CallerCall extends Call {
	caller: Caller
	bearer: string
}

/** A request that is about one tenant, either by its key or by an operator's path. */
export interface TenantCall extends CallerCall {
	tenant: TenantId
}

export interface OperatorCall extends CallerCall {
	caller: Extract<Caller, { kind: 'operator' }>
	/** What the token may do, which can be more than the route asks for. */
	scope: OperatorScope
}

/** What a handler gives back instead of a response when something is refused; `app.ts` makes it a problem document. */
export interface Refused {
	ok: false
	refusal: Refusal
	/** Of the shard's reply, when it was the shard that refused. */
	replayed?: boolean
	rate?: RateState | null
}

export type Handled = Promise<Response | Refused>
