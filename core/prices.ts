/**
 * Cloudflare's list prices in dollars, November 2026, without the amounts that a plan includes.
 * @see https://developers.cloudflare.com/durable-objects/platform/pricing/
 * @see https://developers.cloudflare.com/workers/platform/pricing/
 * @see https://developers.cloudflare.com/queues/platform/pricing/
 */
export const prices = {
	workerRequest: 0.3e-6,
	/** Of a Worker; an object's time is billed as duration instead. */
	cpuMs: 0.02e-6,
	objectRequest: 0.15e-6,
	gbSecond: 12.5e-6,
	rowWritten: 1e-6,
	rowRead: 0.001e-6,
	/** A message is written, read and deleted. */
	queueOperation: 0.4e-6,
	/** Of an object's SQLite. */
	objectGbMonth: 0.2,
	/** @see https://neon.com/pricing */
	neonCuHour: 0.106,
	neonGbMonth: 0.35,
}

/** An object is billed as if it held all the memory it may use. */
export const objectGb = 0.128
export const queueOperationsPerMessage = 3
