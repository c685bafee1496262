/** Entries that Postgres takes no more of, and what an operator does about them. */
import pg from 'pg'
import type { Page } from 'playwright-core'
import { expect } from 'vitest'
import { z } from 'zod'
import { tenantOf } from '../../dev/demo/tenants.ts'
import { until } from '../stack-client.ts'
import { go, settled } from './walk.ts'
import type { World } from './world.ts'

/** Records of the film archive that the view lacks, whatever their content. */
const spoilt = ['spoilt-1', 'spoilt-2'] as const
const letterList = z.object({ waiting: z.number() })

export async function setAside(world: World): Promise<void> {
	await sql(world, "ALTER TABLE record ADD CONSTRAINT poison CHECK (id NOT LIKE 'spoilt-%') NOT VALID")
	const { client } = tenantOf(world.tenants, 'film-archive')
	for (const id of spoilt) {
		const film = { title: id, released: '1901-01-01' }
		expect((await client.send('PUT', `/v1/collections/films/records/${id}`, { body: film })).status).toBe(201)
	}
	const waiting = async () => (await world.operator.ask('GET', '/v1/view/dead-letters', letterList)).waiting
	await until('dead letters', async () => (await waiting()) === spoilt.length, 60_000)
}

async function sql({ stack }: World, statement: string): Promise<void> {
	const client = new pg.Client({ connectionString: stack.databases.eu?.write })
	await client.connect()
	try {
		await client.query(statement)
	} finally {
		await client.end()
	}
}

/** On the tenant's page: every record is held against its row. */
export async function compare(page: Page): Promise<void> {
	const panel = page.getByRole('region', { name: 'The view, record by record', exact: true })
	await panel.getByRole('button', { name: 'Compare', exact: true }).click()
	await panel.getByRole('button', { name: 'Compare again' }).waitFor()
	const rows = panel.getByRole('table', { name: 'Records that differ' }).locator('tbody tr')
	expect(await rows.allTextContents()).toEqual(spoilt.map((id) => `films/${id}lacks it`))
}

/** On the page of the service levels: an alert gets an owner, and its rule is silent until somebody ends that. */
export async function takeAndSilence(page: Page): Promise<void> {
	const alerts = page.getByRole('table', { name: 'Alerts' })
	const silences = page.getByRole('table', { name: 'Silences' })
	await alerts.getByRole('button', { name: 'Take dead_letters in eu' }).click()
	await alerts.getByText('operator:operator').waitFor()
	await alerts.getByRole('button', { name: 'Silence 1 h: dead_letters' }).click()
	await silences.getByText('operator:operator').first().waitFor()
	await alerts.getByRole('button', { name: 'Silence 1 h: dead_letters' }).waitFor({ state: 'detached' })
	await silences.getByRole('button', { name: 'End: dead_letters in eu' }).click()
	await page.getByText('No rule is silenced.').waitFor()
}

/** On the page of the view: one is tried again when its cause is gone, the other is left as it is. */
export async function replayAndDiscard(world: World, page: Page): Promise<void> {
	const letters = page.getByRole('table', { name: 'Dead letters' })
	const rowOf = (id: string) => letters.getByRole('row').filter({ hasText: `films/${id}` })
	await rowOf(spoilt[1]).getByRole('button', { name: 'Discard' }).click()
	await rowOf(spoilt[1]).getByText('discarded', { exact: true }).waitFor()
	await sql(world, 'ALTER TABLE record DROP CONSTRAINT poison')
	await rowOf(spoilt[0]).getByRole('button', { name: 'Replay' }).click()
	await rowOf(spoilt[0]).waitFor({ state: 'detached' })
	await go(page, '/console/data?collection=films&released=eq.1901-01-01')
	await settled(page)
	const shown = page.getByRole('table', { name: 'Records' }).locator('tbody tr')
	await expect.poll(async () => (await shown.allTextContents()).join()).toContain(spoilt[0])
	expect((await shown.allTextContents()).join()).not.toContain(spoilt[1])
}
