/** What an operator does by hand in a drill, over the public API as the runbooks say. */
import { z } from 'zod'
import type { Scene, Tenant } from './scene.ts'

const erasureShape = z.object({ id: z.string(), status: z.string(), steps: z.array(z.object({ step: z.string() })) })
const rebuildShape = z.object({ id: z.string(), state: z.string() })
const rowNames = z.array(z.object({ id: z.string() }))
const verificationShape = z.object({
	deep: z.object({ done: z.boolean(), missing: rowNames, extra: rowNames, different: rowNames }),
})

/** Asks for the erasure of a tenant for which nobody writes. Answers the erasure's id. */
export async function askErasure(scene: Scene, { id }: Tenant): Promise<string> {
	const asked = await scene.send(scene.stack.operatorToken, 'DELETE', `/v1/tenants/${id}`)
	return erasureShape.parse(asked.body).id
}

export async function awaitCertificate(scene: Scene, erasure: string, withinMs: number): Promise<void> {
	await scene.until('the certificate', withinMs, async () => {
		const shown = await scene.send(scene.stack.operatorToken, 'GET', `/v1/erasures/${erasure}`)
		return erasureShape.parse(shown.body).status === 'done'
	})
}

/** The steps of an erasure that are done, in their order. */
export async function stepsDone(scene: Scene, erasure: string): Promise<string[]> {
	const shown = await scene.send(scene.stack.operatorToken, 'GET', `/v1/erasures/${erasure}`)
	return erasureShape.parse(shown.body).steps.map(({ step }) => step)
}

/** @throws when anything still answers with the tenant's data */
export async function expectErased(scene: Scene, tenant: Tenant): Promise<void> {
	await expectClosed(scene, tenant)
	if ((await scene.countInView(tenant)) > 0) throw new Error('the view has an erased tenant')
}

/** @throws when a key of the tenant's is still worth anything */
export async function expectClosed(scene: Scene, tenant: Tenant): Promise<void> {
	for (const path of ['/v1/tenant', '/v1/collections', '/v1/collections/drill/records', '/v1/changes']) {
		const { status } = await scene.send(tenant.key, 'GET', path)
		if (status !== 410) throw new Error(`${path} of an erased tenant answers ${status}`)
	}
}

/** Reads a part of the view anew. */
export async function rebuild(
	scene: Scene,
	part: { region: string } | { tenant: string },
	withinMs: number,
): Promise<void> {
	const asked = await scene.send(scene.stack.operatorToken, 'POST', '/v1/view/rebuild', part)
	const { id } = rebuildShape.parse(asked.body)
	await scene.until('the rebuild', withinMs, async () => {
		const shown = await scene.send(scene.stack.operatorToken, 'GET', `/v1/view/rebuilds/${id}`)
		return rebuildShape.parse(shown.body).state === 'done'
	})
}

/** The ids of a small tenant's records in which the view differs from the shard, in their order. */
export async function differencesOf(scene: Scene, { id }: Tenant): Promise<string[]> {
	const path = `/v1/view/verification?tenant=${id}&deep=true`
	const { deep } = verificationShape.parse((await scene.send(scene.stack.operatorToken, 'GET', path)).body)
	if (!deep.done) throw new Error('the tenant is not small')
	return [...deep.missing, ...deep.extra, ...deep.different].map((row) => row.id).toSorted()
}
