import { archivePieces } from '../core/archive.ts'
import type { Bucket } from '../core/bucket.ts'
import { type JobRequest, jobPrefix } from '../core/job.ts'
import { type JobPorts, runJob } from '../workers/queue-consumer/jobs/job.ts'
import { MemoryBucket } from './memory-bucket.ts'
import type { ShardFixture } from './shard.ts'

/** The consumer of one shard's jobs over a bucket in memory. `onEffect` hears of every effect, before and after it, and may throw. */
export class Jobs {
	readonly bucket = new MemoryBucket()
	readonly #fixture: ShardFixture
	onEffect: (effect: string) => void | Promise<void> = () => {}
	/** Under which messages ask. */
	epoch = 1
	/** What the object does before its shard answers. */
	prepare: (request: JobRequest) => Promise<JobRequest> = async (request) => request
	#minted = 0

	constructor(fixture: ShardFixture) {
		this.#fixture = fixture
	}

	/** Performs a job to its end, announcement by announcement. */
	async run(job: string): Promise<void> {
		const { tenant } = this.#fixture
		const wakeUp = { kind: 'job', tenant, shard: 0, epoch: this.epoch, job } as const
		// Every turn is over after its first step.
		while (await runJob(wakeUp, this.ports(), () => false));
	}

	ports(): JobPorts {
		const shard = this.#fixture
		return {
			bucket: () => this.#watched(),
			shardOf: () => ({
				job: async (request) => {
					const prepared = (await this.prepare(request)) as typeof request
					return this.#effect(`shard ${request.call.name}`, async () => {
						const answered = await shard.keys.run(() => shard.turn().submit(() => shard.shard.job(prepared)))
						if (answered.ok) return answered.value
						throw new Error(answered.refusal.detail)
					})
				},
			}),
			sleep: (_ms, signal) => new Promise((resolve) => signal.addEventListener('abort', () => resolve())),
			mint: () => `object-${++this.#minted}`,
		}
	}

	/** The bytes of a finished archive, as a download sends them. */
	async archive(job: string): Promise<Buffer> {
		const { layout } = await this.#fixture.ask({ name: 'export.download', id: job })
		const bytes = archivePieces(layout).map((piece) =>
			piece instanceof Uint8Array ? piece : (this.bucket.objects.get(piece.key) ?? new Uint8Array()),
		)
		return Buffer.concat(bytes)
	}

	/** Uploads an archive to an import in parts, which begins it. */
	async upload(job: string, bytes: Uint8Array, parts = 1): Promise<void> {
		const size = Math.ceil(bytes.length / parts)
		for (let part = 1; part <= parts; part++) {
			const piece = bytes.slice((part - 1) * size, part * size)
			const key = `${jobPrefix({ tenant: this.#fixture.tenant, job })}upload-${part}`
			await this.bucket.put(key, piece)
			await this.#fixture.ask({ name: 'import.upload', id: job, part, key, bytes: piece.length })
		}
	}

	/** What a job has in the bucket. */
	keysOf(job: string): string[] {
		const { tenant } = this.#fixture
		return [...this.bucket.objects.keys()].filter((key) => key.startsWith(jobPrefix({ tenant, job })))
	}

	#watched(): Bucket {
		const { bucket } = this
		return {
			get: (key, piece) => bucket.get(key, piece),
			stream: (key, piece) => bucket.stream(key, piece),
			upload: (key, value, bytes) => bucket.upload(key, value, bytes),
			list: (prefix) => this.#effect('bucket list', () => bucket.list(prefix)),
			put: (key, value) => this.#effect('bucket put', () => bucket.put(key, value)),
			delete: (keys) => this.#effect('bucket delete', () => bucket.delete(keys)),
		}
	}

	async #effect<T>(name: string, effect: () => Promise<T>): Promise<T> {
		await this.onEffect(`before ${name}`)
		const result = await effect()
		await this.onEffect(`after ${name}`)
		return result
	}
}
