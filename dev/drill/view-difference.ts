import { setTimeout as pause } from 'node:timers/promises'
import { budgets, type Drill, minute, runSql } from './drill.ts'
import { differencesOf, rebuild } from './operator.ts'
import type { Scene, Tenant } from './scene.ts'

/** What is done to the rows of one tenant: one way for each in which rows can be wrong. */
const corruptions: Record<string, (row: string) => string> = {
	deleted: (row) => `DELETE FROM record WHERE ${row}`,
	altered: (row) => `UPDATE record SET data = data || '{"n": -1}' WHERE ${row}`,
	outdated: (row) => `UPDATE record SET version = 1, data = '{"n": 0}' WHERE ${row}`,
	copied: (row) => `INSERT INTO record SELECT tenant_id, collection, 'unheard-of', version, data, created_at, updated_at
		FROM record WHERE ${row}`,
}
const corrupted = ['altered', 'deleted', 'outdated', 'unheard-of']

export const viewDifference: Drill = {
	what: 'rows of one tenant in the view are deleted, altered, added and put back to an older version by hand, twice',
	expects: ['view_difference'],
	mayFire: budgets,
	run: async (scene) => {
		const tenant = await scene.enlist('eu')
		for (const id of Object.keys(corruptions))
			for (const n of [1, 2]) await scene.send(tenant.key, 'PUT', `/v1/collections/drill/records/${id}`, { n })
		await awaitEqual(scene, tenant)
		scene.fault()
		await corrupt(scene, tenant)
		await scene.awaitAlert('view_difference', 3 * minute)
		await awaitEqual(scene, tenant)
		scene.note('the view was read anew by itself and equals the shard')
		await scene.awaitResolved(['view_difference'], 5 * minute)
		await corrupt(scene, tenant)
		await scene.awaitAlert('view_difference', 3 * minute)
		// Longer than the first repair took by far: within an hour there is no second one.
		await pause(minute)
		const named = await differencesOf(scene, tenant)
		if (named.join() !== corrupted.join())
			throw new Error(`the deep verification names ${named.join(', ') || 'nothing'}`)
		scene.note(`nobody repairs it within the hour; the deep verification names ${named.join(', ')}`)
		await rebuild(scene, { tenant: tenant.id }, 3 * minute)
		await awaitEqual(scene, tenant)
		scene.note('POST /v1/view/rebuild has read the tenant anew')
		await scene.awaitResolved(['view_difference'], 5 * minute)
	},
}

async function corrupt(scene: Scene, { id }: Tenant): Promise<void> {
	for (const [way, statement] of Object.entries(corruptions))
		await runSql(scene.stack, statement(`tenant_id = '${id}' AND collection = 'drill' AND id = '${way}'`))
	scene.note('rows were changed by hand')
}

async function awaitEqual(scene: Scene, tenant: Tenant): Promise<void> {
	await scene.until(
		'the view to equal the shard',
		3 * minute,
		async () => (await differencesOf(scene, tenant)).length === 0,
	)
}
