import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { startPostgres } from '../postgres.ts'
import { commandLine, groupMembers, projectDir } from '../processes.ts'
import { configFile } from '../regions.ts'
import type { Stack } from '../stack.ts'
import { budgets, type Drill, minute, runSql } from './drill.ts'
import { erasureOverdue } from './erasure-overdue.ts'
import { askErasure, awaitCertificate, expectErased, rebuild } from './operator.ts'
import { ShardCopy } from './shard-copy.ts'
import { shardSize } from './shard-size.ts'
import { sloBurnFast, sloBurnSlow } from './slo-burn.ts'
import { trafficAnomaly } from './traffic-anomaly.ts'
import { viewDifference } from './view-difference.ts'

export const drills: Record<string, Drill> = {
	'postgres-down': {
		what: 'Postgres is killed until an alert says so',
		expects: ['database_unreachable'],
		mayFire: ['probe_failing', 'shard_stalled', ...budgets],
		run: async (scene) => {
			const { postgres } = scene.stack
			if (postgres === null) throw new Error('this drill needs a Postgres of its own, without DATABASE_URL')
			scene.fault()
			await postgres.kill()
			await scene.awaitAlert('database_unreachable', 5 * minute)
			const again = await startPostgres({
				dataDir: scene.stack.dataDir,
				databases: [],
				port: postgres.port,
				log: () => {},
			})
			scene.atEnd(() => again.stop())
			await scene.awaitResolved(['database_unreachable'], 5 * minute)
		},
	},
	'slow-neon': {
		what: 'every statement of the view takes three seconds longer, as after scaling to zero, for two minutes',
		expects: [],
		mayFire: budgets,
		run: async (scene) => {
			scene.fault()
			scene.stack.endpoint?.fault({ kind: 'slow', ms: 3_000 })
			await pause(2 * minute)
			scene.stack.endpoint?.fault(null)
		},
	},
	'kill-worker': {
		what: 'workerd is killed five times within half a minute',
		expects: [],
		mayFire: budgets,
		run: async (scene) => {
			scene.fault()
			for (let kills = 0; kills < 5; kills++) {
				killWorkerd(scene.stack)
				await pause(6_000)
			}
			await pause(2 * minute)
		},
	},
	'lost-queue': {
		what: 'no message of any queue arrives until an alert says so',
		expects: ['probe_failing'],
		mayFire: budgets,
		config: withoutConsumers,
		run: async (scene, restart) => {
			scene.fault()
			await scene.awaitAlert('probe_failing', 8 * minute)
			await restart({ config: configFile })
			await scene.awaitResolved(['probe_failing'], 8 * minute)
		},
	},
	poison: {
		what: 'Postgres refuses one record, by a constraint that nobody told us of',
		expects: ['dead_letters'],
		mayFire: budgets,
		run: async (scene) => {
			const [tenant] = scene.tenants
			if (!tenant) throw new Error('nobody to write for')
			const sql = (text: string) => runSql(scene.stack, text)
			await sql(`ALTER TABLE record ADD CONSTRAINT drill CHECK (NOT data ? 'poison') NOT VALID`)
			scene.fault()
			const path = '/v1/collections/drill/records/poisoned'
			await scene.send(tenant.key, 'PUT', path, { poison: true })
			await scene.awaitAlert('dead_letters', 3 * minute)
			await sql('ALTER TABLE record DROP CONSTRAINT drill')
			// A later change of the record brings it, and takes the dead letter away.
			await scene.send(tenant.key, 'PUT', path, { mended: true })
			await scene.awaitResolved(['dead_letters'], 5 * minute)
		},
	},
	'stuck-shard': {
		what: 'Postgres fails whenever it takes the rows of one tenant, until an alert says so',
		expects: ['shard_stalled'],
		mayFire: budgets,
		run: async (scene) => {
			const { id, key } = await scene.enlist('eu')
			const sql = (text: string) => runSql(scene.stack, text)
			await sql(`CREATE FUNCTION drill() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
				IF NEW.tenant_id = '${id}' AND NEW.applied_seq > OLD.applied_seq THEN
					RAISE EXCEPTION 'a drill' USING ERRCODE = 'object_not_in_prerequisite_state';
				END IF;
				RETURN NEW;
			END $$`)
			await sql('CREATE TRIGGER drill BEFORE UPDATE ON shard FOR EACH ROW EXECUTE FUNCTION drill()')
			scene.fault()
			await scene.send(key, 'POST', '/v1/collections/drill/records', { stuck: true })
			await scene.awaitAlert('shard_stalled', 12 * minute)
			await sql('DROP TRIGGER drill ON shard')
			await scene.awaitResolved(['shard_stalled'], 12 * minute)
		},
	},
	'erased-tenant-restore': {
		what: "a tenant is erased, and its shard's database of before is put back while everything is stopped",
		expects: [],
		mayFire: budgets,
		run: async (scene, restart) => {
			const left = await scene.enlist('eu')
			for (let n = 0; n < 20; n++) await scene.send(left.key, 'POST', '/v1/collections/drill/records', { n })
			await scene.until('the view to have the tenant', minute, async () => (await scene.countInView(left)) === 20)
			const copy = new ShardCopy(scene.stack, left.id)
			await restart({}, () => copy.take())
			scene.fault()
			await awaitCertificate(scene, await askErasure(scene, left), 2 * minute)
			await restart({}, () => copy.putBack())
			await expectErased(scene, left)
			// The shard wakes up, the view is read anew, a minute of sweeps goes by: nothing brings it back.
			await rebuild(scene, { region: 'eu' }, 3 * minute)
			await pause(minute)
			await expectErased(scene, left)
		},
	},
	'noisy-neighbour': {
		what: 'one tenant sends as much as it can for a minute, beside others in the same cell',
		expects: [],
		mayFire: budgets,
		run: async (scene) => {
			const [quiet, loud] = [scene.tenants[0], await scene.enlist('eu')]
			if (!quiet) throw new Error('nobody to compare with')
			scene.fault()
			const end = performance.now() + minute
			const flood = async () => {
				while (performance.now() < end)
					await scene.send(loud.key, 'POST', '/v1/collections/drill/records', { loud: true }).catch(() => {})
			}
			const before = quiet.acknowledged.length
			await Promise.all(Array.from({ length: 16 }, flood))
			if (quiet.acknowledged.length === before) throw new Error('the quiet tenant could not write beside the loud one')
			await pause(minute)
		},
	},
	'view-difference': viewDifference,
	'shard-size': shardSize,
	'erasure-overdue': erasureOverdue,
	'traffic-anomaly': trafficAnomaly,
	'slo-burn-fast': sloBurnFast,
	'slo-burn-slow': sloBurnSlow,
}

function killWorkerd({ runtime }: Stack): void {
	for (const pid of groupMembers(runtime.pid))
		if (/workerd\b.*\bserve\b/.test(commandLine(pid))) process.kill(pid, 'SIGKILL')
}

/** The project's configuration without anybody who reads the queues. */
function withoutConsumers(dataDir: string): string {
	const text = readFileSync(configFile, 'utf8')
		.replaceAll(/\[\[queues\.consumers\]\]\n(?:(?!\[).*\n)*/g, '')
		.replace(/^main = .*$/m, `main = ${JSON.stringify(join(projectDir, 'workers', 'main.ts'))}`)
		.replace(/^directory = .*$/m, `directory = ${JSON.stringify(join(projectDir, 'dist', 'assets'))}`)
		.replace(/\[build\]\n(?:(?!\[).*\n)*/, '')
	const file = join(dataDir, 'wrangler.toml')
	writeFileSync(file, text)
	return file
}
