/** `npm run screenshots`: the pictures of the console in docs/screenshots, from a stack with some of the demo's data. */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { runCommand } from '../../dev/command.ts'
import { tenantOf } from '../../dev/demo/tenants.ts'
import { projectDir } from '../../dev/processes.ts'
import { type Look, signIn, startWorld, visit, type World } from './world.ts'

const usage = `Usage: npm run screenshots

Starts a stack, loads some of the demo's data, asks for two minutes as customers would, and writes docs/screenshots.`

/** Long enough for lines over time. */
const trafficMs = 2 * 60_000
const folder = join(projectDir, 'docs', 'screenshots')

await runCommand(async () => {
	const world = await startWorld()
	try {
		await makeTraffic(world)
		mkdirSync(folder, { recursive: true })
		const film = tenantOf(world.tenants, 'film-archive').id
		await take(world, 'overview', '/console', {})
		await take(world, 'tenants', '/console/tenants', { colorScheme: 'dark' })
		await take(world, 'tenant', `/console/tenants/${film}`, {})
		await take(world, 'data', '/console/data?collection=films&order=released.desc', { colorScheme: 'dark' })
		await take(world, 'view', '/console/view', {})
		await take(world, 'phone', '/console', { colorScheme: 'dark', width: 390 })
	} finally {
		await world.stop()
	}
}, usage)

async function makeTraffic({ tenants }: World): Promise<void> {
	const until = Date.now() + trafficMs
	for (let turn = 0; Date.now() < until; turn++) {
		const { client } = tenants[turn % tenants.length] ?? {}
		await client?.send('GET', '/v1/tenant')
		// Busier and calmer by turns, as days are.
		await new Promise((resolve) => setTimeout(resolve, 15 + 12 * Math.sin(Date.now() / 30_000)))
	}
}

async function take(world: World, name: string, path: string, look: Look): Promise<void> {
	const visited = await visit(world, look)
	await signIn(visited, path, world.stack.operatorToken)
	const { page } = visited
	await page.locator('.panel').first().waitFor()
	await page.locator('[aria-busy="true"]').first().waitFor({ state: 'detached' })
	await page.screenshot({ path: join(folder, `${name}.png`) })
	await visited.context.close()
}
