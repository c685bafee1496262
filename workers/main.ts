/** The composition root: what the platform calls, given to the room that answers. */
import { createApp } from './api/app.ts'
import { type Env, queueOf } from './env.ts'
import { Monitor as MonitorObject } from './monitor/monitor.ts'
import { consumeChanges } from './queue-consumer/changes.ts'
import { consumeTelemetry } from './queue-consumer/telemetry.ts'
import { deliverWebhooks } from './queue-consumer/webhooks.ts'
import { TenantShard as TenantShardObject } from './shard-do/tenant-shard.ts'
import { UniqueClaim as UniqueClaimObject } from './shard-do/unique-claim.ts'
import {
	apiPorts,
	claimPorts,
	consumerPorts,
	everyMinute,
	monitorPorts,
	rebuildPorts,
	replayPorts,
	shardPorts,
	telemetryPorts,
	webhookPorts,
} from './wire.ts'

export class TenantShard extends TenantShardObject<Env> {
	constructor(ctx: DurableObjectState, env: Env) {
		super(ctx, env, shardPorts(env))
	}
}

export class UniqueClaim extends UniqueClaimObject<Env> {
	constructor(ctx: DurableObjectState, env: Env) {
		super(ctx, env, claimPorts(env))
	}
}

export class Monitor extends MonitorObject<Env> {
	constructor(ctx: DurableObjectState, env: Env) {
		super(ctx, env, (region) => monitorPorts(env, region))
	}
}

export default {
	fetch: (request: Request, env: Env, context: ExecutionContext) => appOf(env).fetch(request, env, context),

	queue: (batch: MessageBatch, env: Env) => {
		const { carries, region } = queueOf(env, batch.queue)
		switch (carries) {
			case 'changes':
				return consumeChanges(batch.messages, consumerPorts(env, region), {
					rebuild: rebuildPorts(env, region),
					replay: replayPorts(env, region),
				})
			case 'webhooks':
				return deliverWebhooks(batch.messages, webhookPorts(env, region))
			case 'telemetry':
				return consumeTelemetry(batch.messages, telemetryPorts(env, region))
		}
	},

	scheduled: ({ scheduledTime }: ScheduledController, env: Env) => everyMinute(env, scheduledTime),
} satisfies ExportedHandler<Env>

let built: { env: Env; app: ReturnType<typeof createApp> } | null = null

/** Built once an isolate, because the environment of a deployed version never changes. */
function appOf(env: Env): ReturnType<typeof createApp> {
	if (built?.env !== env) built = { env, app: createApp(apiPorts(env)) }
	return built.app
}
