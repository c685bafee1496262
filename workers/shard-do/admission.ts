import type { Control } from '../../core/control.ts'
import { accept, type Outcome, refuse } from '../../core/refusal.ts'

export interface AdmissionPorts {
	/** The tenant's control object; null when nobody registered the tenant. May fail. */
	readControl(): Promise<Control | null>
	/** Brings the shard in line with its control object; false when that gives it no right to answer. */
	admit(control: Control | null): boolean
	log(level: 'error', event: string, fields: Record<string, string>): void
}

/**
 * Holds an instance against its tenant's control object, once, before its first answer: a database that came back from
 * history must not serve what was erased meanwhile. Until that has succeeded everything is refused as `unavailable`.
 */
export class Admission {
	readonly #ports: AdmissionPorts
	#admitted = false
	#closed = false
	#asking: Promise<Outcome<Control | null>> | null = null

	constructor(ports: AdmissionPorts) {
		this.#ports = ports
	}

	/** Costs nothing once the instance is admitted, so that no later event waits for a promise. */
	get admitted(): boolean {
		return this.#admitted && !this.#closed
	}

	/** Resolves at once when the instance is admitted. Events that arrive meanwhile share one question. */
	async ask(): Promise<Outcome<unknown>> {
		if (this.admitted) return accept(null)
		this.#asking ??= this.reconsider().finally(() => {
			this.#asking = null
		})
		return this.#asking
	}

	get closed(): boolean {
		return this.#closed
	}

	/** Admits nothing until `open`, for the time in which the storage is about to become another one. False when it is closed. */
	close(): boolean {
		if (this.#closed) return false
		this.#closed = true
		return true
	}

	open(): void {
		this.#closed = false
	}

	/** Asks anew, also when the instance was admitted before, and answers what the control object says. */
	async reconsider(): Promise<Outcome<Control | null>> {
		try {
			const control = await this.#ports.readControl()
			// It may have closed meanwhile.
			if (this.#closed) return notNow()
			this.#admitted = this.#ports.admit(control)
			if (this.#admitted) return accept(control)
			this.#ports.log('error', 'shard_not_admitted', {})
		} catch (error) {
			this.#ports.log('error', 'control_unread', { error: error instanceof Error ? error.name : 'unknown' })
		}
		return notNow()
	}
}

function notNow(): Outcome<never> {
	return refuse('unavailable', 'whether this tenant may be served cannot be told now', { retryAfter: 1 })
}
