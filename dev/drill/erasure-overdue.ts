import { budgets, type Drill, minute, runSql } from './drill.ts'
import { askErasure, awaitCertificate, expectClosed, expectErased, stepsDone } from './operator.ts'

const records = 20

export const erasureOverdue: Drill = {
	what: 'Postgres refuses to delete the rows of a tenant that is erased, until an alert says so a minute after it was due, not a day',
	expects: ['erasure_overdue'],
	mayFire: budgets,
	vars: { ERASURE_MINUTES_MAX: '1' },
	run: async (scene) => {
		const left = await scene.enlist('eu')
		for (let n = 0; n < records; n++) await scene.send(left.key, 'POST', '/v1/collections/drill/records', { n })
		await scene.until('the view to have the tenant', minute, async () => (await scene.countInView(left)) === records)
		const sql = (text: string) => runSql(scene.stack, text)
		await sql(`CREATE FUNCTION drill() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
			RAISE EXCEPTION 'a drill' USING ERRCODE = 'object_not_in_prerequisite_state';
		END $$`)
		await sql(`CREATE TRIGGER drill BEFORE DELETE ON record FOR EACH ROW
			WHEN (OLD.tenant_id = '${left.id}') EXECUTE FUNCTION drill()`)
		scene.fault()
		const erasure = await askErasure(scene, left)
		await scene.awaitAlert('erasure_overdue', 6 * minute)
		await expectClosed(scene, left)
		scene.note(`GET /v1/erasures: done are ${(await stepsDone(scene, erasure)).join(', ')}; the keys are dead`)
		await sql('DROP TRIGGER drill ON record')
		scene.note('the rows can be deleted again')
		await awaitCertificate(scene, erasure, 10 * minute)
		await expectErased(scene, left)
		scene.note('the erasure went on by itself and is certified')
		await scene.awaitResolved(['erasure_overdue'], 5 * minute)
	},
}
