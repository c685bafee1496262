import { DurableObject } from 'cloudflare:workers'
import type { Begun, Control } from '../../core/control.ts'
import type { TenantId } from '../../core/ids.ts'
import { claimUnconfirmedMs, idempotencyKeptMs, idempotencyRunningMs } from '../../core/limits.ts'

export interface UniqueClaimPorts {
	/**
	 * Decides what becomes of a claim whose creator was not heard of again: `active` when the tenant exists, `abandoned` when
	 * its control object now says that it never will. Both are final, because the control object is changed by conditional put.
	 */
	settle(tenant: TenantId): Promise<Extract<Control['state'], 'active' | 'abandoned'>>
	log(level: 'info' | 'error', event: string, fields: Record<string, string | number | boolean | null>): void
}

type Held = { tenant: TenantId; confirmed: boolean }
type Row = { fingerprint: string; draft: string; startedAt: number; finished: boolean }

/** After an alarm that could not decide, the next one. */
const settleRetryMs = 30_000

/**
 * One globally unique value, or one idempotent request that is inside no shard. The object's name is an HMAC, so it
 * holds nothing of a tenant but its id. Values are read from storage at every call, so a stale instance cannot answer.
 */
export class UniqueClaim<Env> extends DurableObject<Env> {
	readonly #ports: UniqueClaimPorts

	constructor(ctx: DurableObjectState, env: Env, ports: UniqueClaimPorts) {
		super(ctx, env)
		this.#ports = ports
	}

	async acquire(tenant: TenantId): Promise<boolean> {
		const { kv } = this.ctx.storage
		const held = kv.get<Held>('held')
		if (held) return held.tenant === tenant
		kv.put<Held>('held', { tenant, confirmed: false })
		await this.ctx.storage.setAlarm(Date.now() + claimUnconfirmedMs)
		return true
	}

	async confirm(tenant: TenantId): Promise<boolean> {
		const { kv } = this.ctx.storage
		if (kv.get<Held>('held')?.tenant !== tenant) return false
		kv.put<Held>('held', { tenant, confirmed: true })
		await this.ctx.storage.deleteAlarm()
		return true
	}

	async holder(): Promise<TenantId | null> {
		return this.ctx.storage.kv.get<Held>('held')?.tenant ?? null
	}

	async transfer(from: TenantId, to: TenantId): Promise<boolean> {
		const { kv } = this.ctx.storage
		const holder = kv.get<Held>('held')?.tenant
		if (holder !== from && holder !== to) return false
		kv.put<Held>('held', { tenant: to, confirmed: true })
		await this.ctx.storage.deleteAlarm()
		return true
	}

	async release(tenant: TenantId): Promise<void> {
		if (this.ctx.storage.kv.get<Held>('held')?.tenant === tenant) await this.#forget()
	}

	async begin(request: { fingerprint: string; draft: string }): Promise<Begun> {
		const { kv } = this.ctx.storage
		const now = Date.now()
		const row = kv.get<Row>('request')
		if (!row || row.startedAt + idempotencyKeptMs <= now) {
			kv.put<Row>('request', { ...request, startedAt: now, finished: false })
			await this.ctx.storage.setAlarm(now + idempotencyKeptMs)
			return { state: 'started', draft: request.draft }
		}
		if (row.fingerprint !== request.fingerprint) return { state: 'mismatch' }
		if (row.finished) return { state: 'finished', draft: row.draft }
		if (row.startedAt + idempotencyRunningMs > now) return { state: 'running' }
		return { state: 'resumed', draft: row.draft }
	}

	async finish(fingerprint: string): Promise<void> {
		const { kv } = this.ctx.storage
		const row = kv.get<Row>('request')
		if (row?.fingerprint === fingerprint) kv.put<Row>('request', { ...row, finished: true })
	}

	async withdraw(fingerprint: string): Promise<void> {
		const row = this.ctx.storage.kv.get<Row>('request')
		if (row?.fingerprint !== fingerprint || row.finished) return
		if (row.startedAt + idempotencyRunningMs > Date.now()) await this.#forget()
	}

	/** Never throws: an alarm that fails seven times is deleted by the platform, and the claim would be held for ever. */
	override async alarm(): Promise<void> {
		try {
			const held = this.ctx.storage.kv.get<Held>('held')
			if (held && !held.confirmed) {
				const state = await this.#ports.settle(held.tenant)
				// The creator may have confirmed while the control object was asked.
				const now = this.ctx.storage.kv.get<Held>('held')
				if (now?.tenant !== held.tenant || now.confirmed) return
				this.#ports.log('info', 'claim_settled', { tenant: held.tenant, state })
				if (state === 'active') this.ctx.storage.kv.put<Held>('held', { ...held, confirmed: true })
				else await this.#forget()
				return
			}
			if (!held) await this.#forget()
		} catch {
			this.#ports.log('error', 'claim_unsettled', {})
			await this.ctx.storage.setAlarm(Date.now() + settleRetryMs)
		}
	}

	async #forget(): Promise<void> {
		await this.ctx.storage.deleteAlarm()
		await this.ctx.storage.deleteAll()
	}
}
