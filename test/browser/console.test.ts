import { afterAll, beforeAll, expect, test } from 'vitest'
import { z } from 'zod'
import { tenantOf } from '../../dev/demo/tenants.ts'
import { compare, replayAndDiscard, setAside, takeAndSilence } from './letters.ts'
import { changeStatus, create, erase, eraseAndCancel, exportIt, find, hold } from './tenant.ts'
import { expectAccessible, go, settled, walk } from './walk.ts'
import { readerToken, signIn, startWorld, visit, type World } from './world.ts'

const shardTotals = z.object({ totals: z.object({ tenants: z.number() }) })
let world: World

beforeAll(async () => {
	world = await startWorld()
	await setAside(world)
})
afterAll(() => world?.stop())

/** Every page of the console that can be opened by its address. */
const pages = () => [
	'/console',
	'/console/tenants',
	`/console/tenants/${tenantOf(world.tenants, 'film-archive').id}`,
	// Few rows: the rules are asked of every cell.
	'/console/data?collection=films&released=gte.2015-01-01',
	'/console/view',
	'/console/service',
	'/console/erasures',
]

test('a wrong token is refused with its request id, and the right one is kept out of every storage', async () => {
	const visited = await visit(world)
	const { page } = visited
	await page.goto('/console')
	await page.getByLabel('Operator token').fill('fho_wrong')
	await page.getByRole('button', { name: 'Sign in' }).click()
	await page.getByRole('alert').getByText('unauthorized').waitFor()
	await page.getByRole('alert').getByText('request').waitFor()
	// The refusal itself is in the console of the browser, which nobody can prevent.
	visited.complaints.length = 0
	await page.getByLabel('Operator token').fill(world.stack.operatorToken)
	await page.getByRole('button', { name: 'Sign in' }).click()
	await page.getByRole('heading', { name: 'Overview' }).waitFor()
	const stored = () => page.evaluate('JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie])')
	expect(await stored()).not.toContain(world.stack.operatorToken)
	await page.reload()
	await page.getByLabel('Operator token').fill(world.stack.operatorToken)
	await page.getByLabel('Keep it for this tab').check()
	await page.getByRole('button', { name: 'Sign in' }).click()
	await page.getByRole('heading', { name: 'Overview' }).waitFor()
	expect(await page.evaluate('JSON.stringify({ ...localStorage })')).not.toContain(world.stack.operatorToken)
	await page.reload()
	await page.getByRole('heading', { name: 'Overview' }).waitFor()
	await page.getByRole('button', { name: 'Sign out' }).click()
	await page.getByLabel('Operator token').waitFor()
	expect(await stored()).not.toContain(world.stack.operatorToken)
	expect(visited.complaints).toEqual([])
	await visited.context.close()
})

test('the overview shows what the API says, and names the call behind each panel', async () => {
	await walk(world, '/console', async (page) => {
		await settled(page)
		const held = page.getByRole('region', { name: 'What it holds' })
		const { totals } = await world.operator.ask('GET', '/v1/shards?limit=1', shardTotals)
		await held.getByText(totals.tenants.toLocaleString('en'), { exact: true }).waitFor()
		for (const panel of await page.locator('.panel').all())
			expect(await panel.locator('button.source').textContent()).toMatch(/^GET \/v1\//)
		await page.getByRole('region', { name: 'Requests, last hour' }).getByText('As a table').click()
		await page.getByRole('table', { name: 'Requests a second' }).waitFor()
	})
})

/** What only an administrator is shown: first on the tenant's page, then on the pages of these names. */
const destructive = [
	[null, [/^Rename or limit$/, /^Suspend$/, /^Restrict$/, /^Put a hold$/, /^Erase$/, /^Export$/]],
	['View', [/^Rebuild$/, /^Replay/, /^Discard/]],
	['Service levels', [/^Open an incident$/, /^Take/, /^Silence/]],
] as const

test('a token that may only read sees nothing that changes or destroys', async () => {
	await walk(
		world,
		'/console/tenants',
		async (page) => {
			await settled(page)
			expect(await page.getByRole('button', { name: 'Create a tenant' }).count()).toBe(0)
			await page.getByRole('link', { name: 'film-archive' }).click()
			await page.getByRole('heading', { name: 'film-archive' }).waitFor()
			await settled(page)
			for (const [place, names] of destructive) {
				if (place !== null) {
					await page.getByRole('link', { name: place, exact: true }).click()
					await page.getByRole('heading', { name: place, level: 1 }).waitFor()
					await settled(page)
				}
				for (const name of names) expect(await page.getByRole('button', { name }).count(), `${name}`).toBe(0)
			}
			// There is something that others could decide about.
			await page.getByRole('table', { name: 'Alerts' }).getByText('dead letters').waitFor()
		},
		readerToken,
	)
})

test('a tenant is created with its key shown once, found, suspended, restricted, held, exported and erased', async () => {
	await walk(world, '/console/tenants', async (page) => {
		await create(world, page)
		await find(page)
		await changeStatus(page)
		await hold(page)
		await exportIt(page)
		await eraseAndCancel(page)
		await erase(page)
	})
})

test('what the view lacks is found, its alert is taken and silenced, and dead letters are replayed and discarded', async () => {
	await walk(world, `/console/tenants/${tenantOf(world.tenants, 'film-archive').id}`, async (page) => {
		await compare(page)
		await go(page, '/console/service')
		await takeAndSilence(page)
		await go(page, '/console/view')
		await replayAndDiscard(world, page)
	})
})

test('records of all tenants are filtered, ordered and opened, and personal fields are visibly absent', async () => {
	await walk(world, '/console/data', async (page) => {
		await page.getByLabel('Collection').selectOption('films')
		const records = page.getByRole('table', { name: 'Records' })
		await records.waitFor()
		await page.getByRole('columnheader', { name: 'data: director (personal)' }).waitFor()
		await page.getByLabel('Field').first().selectOption('released')
		await page.getByLabel('Comparison').first().selectOption('gte')
		await page.getByLabel('Value').first().fill('1990-01-01')
		await page.getByLabel('Order by').selectOption('released')
		await page.getByRole('button', { name: 'Show' }).click()
		await page.waitForURL(/released=gte\.1990-01-01/)
		const films = tenantOf(world.tenants, 'film-archive').held.get('films')
		const dates = [...(films ?? [])].map(([, { released }]) => String(released)).filter((date) => date >= '1990-01-01')
		await records
			.getByRole('row')
			.nth(1)
			.getByText(dates.sort()[0] ?? '')
			.waitFor()
		await records.getByRole('button').first().click()
		const open = page.getByRole('dialog')
		await open.getByText('"released"').waitFor()
		expect(await open.textContent()).not.toContain('director')
		await page.keyboard.press('Escape')
		await open.waitFor({ state: 'detached' })
	})
})

test('a rebuild is begun and followed to its end', async () => {
	await walk(world, '/console/view', async (page) => {
		await settled(page)
		await page.getByRole('button', { name: 'Rebuild', exact: true }).click()
		await page.getByRole('dialog').getByLabel('Region').selectOption('eu')
		await page.getByRole('dialog').getByRole('button', { name: 'Begin' }).click()
		const rebuilds = page.getByRole('table', { name: 'Rebuilds' })
		await rebuilds.getByRole('progressbar').first().waitFor()
		await rebuilds.getByText('done', { exact: true }).waitFor({ timeout: 90_000 })
	})
})

test('an incident is opened, noted and resolved', async () => {
	await walk(world, '/console/service', async (page) => {
		await page.getByRole('button', { name: 'Open an incident' }).click()
		await page.getByRole('dialog').getByLabel('Title').fill('The view is slow')
		await page.getByRole('dialog').getByLabel('What is known').fill('We look.')
		await page.getByRole('dialog').getByRole('button', { name: 'Open' }).click()
		await page.getByRole('button', { name: 'The view is slow' }).click()
		await page.getByRole('dialog').getByText('We look.').waitFor()
		await page.getByRole('button', { name: 'Add a note' }).click()
		await page.getByRole('dialog').getByLabel('Status').selectOption('resolved')
		await page.getByRole('dialog').getByLabel('What is known').fill('It is not.')
		await page.getByRole('dialog').getByRole('button', { name: 'Add' }).click()
		await page.getByRole('table', { name: 'Incidents' }).getByText('resolved', { exact: true }).first().waitFor()
	})
})

test('the console is walked by keyboard alone', async () => {
	await walk(world, '/console', async (page) => {
		await settled(page)
		await page.keyboard.press('Tab')
		const focused = () => page.evaluate<string>('document.activeElement.textContent')
		for (let tabs = 0; (await focused()) !== 'Tenants'; tabs++) {
			expect(tabs).toBeLessThan(60)
			await page.keyboard.press('Tab')
		}
		await page.keyboard.press('Enter')
		await page.getByRole('heading', { name: 'Tenants', exact: true }).waitFor()
		// The link that was followed has the same text as the heading to which the focus goes a moment later.
		await expect.poll(() => page.evaluate<string>('document.activeElement.tagName')).toBe('H1')
		await page.keyboard.press('Tab')
		await page.keyboard.press('Enter')
		await page.getByRole('dialog').waitFor()
		await page.keyboard.press('Escape')
		await page.getByRole('dialog').waitFor({ state: 'detached' })
	})
})

test('every page is accessible, by day and by night', { timeout: 300_000 }, async () => {
	const visited = await visit(world)
	const { page } = visited
	const check = async (name: string) => {
		await page.emulateMedia({ colorScheme: 'light' })
		await expectAccessible(page, name)
		// By night nothing but the colours is another.
		await page.emulateMedia({ colorScheme: 'dark' })
		await expectAccessible(page, `${name} by night`, ['color-contrast'])
	}
	await page.goto('/console')
	await check('sign-in')
	await signIn(visited, '/console', world.stack.operatorToken)
	for (const path of pages()) {
		await go(page, path)
		await check(path)
	}
	expect(visited.complaints).toEqual([])
	await visited.context.close()
})

test('every page fits a phone', async () => {
	const visited = await visit(world, { width: 360 })
	await signIn(visited, '/console', world.stack.operatorToken)
	for (const path of pages()) {
		await go(visited.page, path)
		const overflow = await visited.page.evaluate<number>('document.documentElement.scrollWidth - innerWidth')
		expect(overflow, `${path} is wider than its screen`).toBeLessThanOrEqual(0)
	}
	await visited.context.close()
})
