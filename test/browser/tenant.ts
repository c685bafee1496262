/** What is done to one tenant, step by step: each begins and ends on the tenant's page. */
import type { Page } from 'playwright-core'
import { expect } from 'vitest'
import type { World } from './world.ts'

/** From the list of tenants. */
export async function create({ stack }: World, page: Page): Promise<void> {
	await page.getByRole('button', { name: 'Create a tenant' }).click()
	const dialog = page.getByRole('dialog')
	await dialog.getByLabel('Slug').fill('made-here')
	await dialog.getByLabel('Name').fill('Made here')
	await dialog.getByLabel('Region').selectOption('eu')
	await dialog.getByRole('button', { name: 'Create' }).click()
	const secret = (await page.locator('pre.secret').textContent()) ?? ''
	expect(secret).toMatch(/^fhk_eu_/)
	expect((await fetch(`${stack.url}/v1/tenant`, { headers: { Authorization: `Bearer ${secret}` } })).status).toBe(200)
	await page.getByRole('link', { name: 'Open made-here' }).click()
	await page.getByRole('heading', { name: 'made-here' }).waitFor()
	expect(await page.content()).not.toContain(secret)
}

export async function find(page: Page): Promise<void> {
	await page.getByRole('link', { name: 'Tenants', exact: true }).click()
	await page.getByLabel('Search by slug, name or id').fill('ade-he')
	const found = page.getByRole('link', { name: 'made-here' })
	await found.waitFor()
	await page.getByRole('link', { name: 'film-archive' }).waitFor({ state: 'detached' })
	await found.click()
}

/** There and back. */
export async function changeStatus(page: Page): Promise<void> {
	for (const [verb, status, back] of [
		['Suspend', 'suspended', 'Resume'],
		['Restrict', 'restricted', 'Lift the restriction'],
	] as const) {
		await confirm(page, verb)
		await page.getByText(status, { exact: true }).waitFor()
		await confirm(page, back)
		await page.getByRole('button', { name: verb }).waitFor()
	}
}

export async function hold(page: Page): Promise<void> {
	const panel = page.getByRole('region', { name: 'Legal hold' })
	await confirm(page, 'Put a hold')
	await panel.getByText('by operator:operator since').waitFor()
	await confirm(page, 'Lift the hold')
	await panel.getByText('none', { exact: true }).waitFor()
}

async function confirm(page: Page, verb: string): Promise<void> {
	await page.getByRole('button', { name: verb, exact: true }).click()
	await page.getByRole('dialog').getByRole('button', { name: verb, exact: true }).click()
	await page.getByRole('dialog').waitFor({ state: 'detached' })
}

export async function exportIt(page: Page): Promise<void> {
	await page.getByRole('button', { name: 'Export', exact: true }).click()
	await page.getByRole('table', { name: 'Exports' }).getByText('done', { exact: true }).waitFor()
	const [archive] = await Promise.all([
		page.waitForEvent('download'),
		page.getByRole('button', { name: 'Download' }).click(),
	])
	expect(archive.suggestedFilename()).toMatch(/\.zip$/)
}

export async function eraseAndCancel(page: Page): Promise<void> {
	const here = page.url()
	await orderErasure(page, '7')
	await page.getByText('Until then it can be cancelled').waitFor()
	await page.getByRole('button', { name: 'Cancel the erasure' }).click()
	await page.getByText('cancelled', { exact: true }).waitFor()
	expect(await page.getByRole('button', { name: 'Cancel the erasure' }).count()).toBe(0)
	await page.goBack()
	await page.waitForURL(here)
}

/** To its certificate, which is the end of the tenant's page. */
export async function erase(page: Page): Promise<void> {
	await orderErasure(page, '0')
	const [certificate] = await Promise.all([
		page.waitForEvent('download', { timeout: 60_000 }),
		page.getByRole('button', { name: 'Download the certificate' }).click({ timeout: 60_000 }),
	])
	expect(certificate.suggestedFilename()).toMatch(/^erasure-eu_.*\.json$/)
	await page.getByRole('link', { name: 'All erasures' }).click()
	await page.getByRole('table', { name: 'The last erasures' }).getByText('done', { exact: true }).waitFor()
}

async function orderErasure(page: Page, days: string): Promise<void> {
	await page.getByRole('button', { name: 'Erase' }).click()
	const erasing = page.getByRole('dialog')
	const erase = erasing.getByRole('button', { name: 'Erase it' })
	await erasing.getByLabel('Days of grace').fill(days)
	await erasing.getByLabel('Type made-here to confirm').fill('made-her')
	expect(await erase.isDisabled()).toBe(true)
	await erasing.getByLabel('Type made-here to confirm').fill('made-here')
	await erase.click()
	await page.getByRole('heading', { name: 'Erasure', exact: true }).waitFor()
}
