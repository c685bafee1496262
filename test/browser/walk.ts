/** How the tests go about in the console. */
import { AxeBuilder } from '@axe-core/playwright'
import type { Page } from 'playwright-core'
import { expect } from 'vitest'
import { signIn, visit, type World } from './world.ts'

/** Opens a page as an operator, and fails on whatever the browser complains of meanwhile. */
export async function walk(
	world: World,
	path: string,
	steps: (page: Page) => Promise<void>,
	token = world.stack.operatorToken,
): Promise<void> {
	const visited = await visit(world)
	try {
		await signIn(visited, path, token)
		await steps(visited.page)
		expect(visited.complaints).toEqual([])
	} finally {
		await visited.context.close()
	}
}

/** Goes to another page as a link would, without signing in again. */
export async function go(page: Page, path: string): Promise<void> {
	await page.evaluate(`history.pushState(null, '', '${path}'); dispatchEvent(new PopStateEvent('popstate'))`)
	await settled(page)
}

/** Panels say that they are busy until their call was answered. */
export async function settled(page: Page): Promise<void> {
	await page.locator('.panel').first().waitFor()
	await page.locator('[aria-busy="true"]').first().waitFor({ state: 'detached' })
}

/** @param rules all of them when absent */
export async function expectAccessible(page: Page, name: string, rules?: string[]): Promise<void> {
	// No page has frames, whose findings another page would have to be opened for.
	const builder = new AxeBuilder({ page }).setLegacyMode()
	const { violations } = await (rules ? builder.withRules(rules) : builder).analyze()
	const found = violations.flatMap(({ id, nodes }) =>
		nodes.map(({ target, failureSummary }) => ({ id, target, failureSummary })),
	)
	expect(found, name).toEqual([])
}
