import type { Region } from '../../core/ids.ts'
import { telemetryWindowMs } from '../../core/limits.ts'
import { homeOf, type Sample, Tally, type TelemetryMessage } from '../../core/telemetry.ts'

export interface TelemetryPorts {
	/** The first is where requests without a tenant are counted. */
	regions: readonly [Region, ...Region[]]
	send(region: Region, message: TelemetryMessage): Promise<void>
	sleep(ms: number): Promise<void>
	/** Keeps the isolate for as long as the work takes, although its request has been answered. */
	waitUntil(work: Promise<void>): void
	mintId(): string
	log(level: 'warn', event: string, fields: Record<string, string>): void
}

interface Window {
	at: number
	tally: Tally
}

/**
 * Adds up an isolate's requests. The first request of a window owns its end: it stays (`waitUntil`) until the window is
 * over and sends it, so that the last requests before a silence are told, too. Telemetry that cannot be sent is dropped:
 * it must not pile up in an isolate, and no request ever waits for it.
 */
export class Telemetry {
	readonly #ports: TelemetryPorts
	readonly #windows = new Map<Region, Window>()
	/** Until when the owner of the window is trusted to be there: the platform may end a request without a word. */
	#ownedUntil = 0

	constructor(ports: TelemetryPorts) {
		this.#ports = ports
	}

	/** @param now milliseconds since 1970 in UTC */
	count(sample: Sample, now: number): void {
		const region = homeOf(sample.tenant, this.#ports.regions[0])
		let window = this.#windows.get(region)
		if (window === undefined) {
			window = { at: now, tally: new Tally() }
			this.#windows.set(region, window)
		}
		window.tally.count(sample)
		if (now < this.#ownedUntil) return
		this.#ownedUntil = now + telemetryWindowMs * (this.#ports.regions.length + 1)
		this.#ports.waitUntil(this.#stay())
	}

	/** One message each `telemetryWindowMs`, whatever the number of regions; the region that has waited longest goes first. */
	async #stay(): Promise<void> {
		try {
			for (let turns = this.#ports.regions.length; turns > 0 && this.#windows.size > 0; turns--) {
				await this.#ports.sleep(telemetryWindowMs)
				const oldest = [...this.#windows].sort(([, a], [, b]) => a.at - b.at)[0]
				if (oldest) await this.#send(...oldest)
			}
		} finally {
			this.#ownedUntil = 0
		}
	}

	async #send(region: Region, { at, tally }: Window): Promise<void> {
		this.#windows.delete(region)
		try {
			await this.#ports.send(region, tally.message(this.#ports.mintId(), at))
		} catch (error) {
			this.#ports.log('warn', 'telemetry_dropped', {
				region,
				error: error instanceof Error ? error.name : typeof error,
			})
		}
	}
}
