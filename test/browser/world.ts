/** One stack with some of the demo's data, and one Chromium that may talk to it alone. */
import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import chromium from '@sparticuz/chromium'
import { type Browser, type BrowserContext, type Page, chromium as playwright } from 'playwright-core'
import { Client } from '../../dev/client.ts'
import { type Dataset, readDatasets } from '../../dev/demo/data.ts'
import { load } from '../../dev/demo/load.ts'
import { provision, type Tenant } from '../../dev/demo/tenants.ts'
import { awaitView } from '../../dev/demo/view.ts'
import { type Stack, startStack } from '../../dev/stack.ts'

export interface World {
	stack: Stack
	operator: Client
	tenants: Tenant[]
	browser: Browser
	stop(): Promise<void>
}

/** A scope of its own for a token that may look and nothing else. */
export const readerToken = 'fho_browser_reader_token'

/** Enough for a second page of a list, and few enough to be there in a second. */
const recordsEach = 120

export async function startWorld(): Promise<World> {
	const dataDir = mkdtempSync(join(tmpdir(), 'freehold-browser-'))
	// Postgres does not run as root: whom root lends it to must be able to pass through.
	chmodSync(dataDir, 0o711)
	const tokens = JSON.stringify({ reader: { scope: 'read', token: readerToken } })
	const [stack, browser] = await Promise.all([
		startStack({ dataDir, runtime: 'direct', cronMs: 5_000, vars: { OPERATOR_TOKENS: tokens } }),
		startBrowser(),
	])
	const operator = new Client(stack.url, stack.operatorToken)
	const tenants = await provision(stack.url, operator, fewer(readDatasets()))
	await load(tenants, () => {})
	await awaitView(operator, tenants)
	const stop = async () => {
		await browser.close()
		await stack.stop()
		rmSync(dataDir, { recursive: true, force: true })
	}
	return { stack, operator, tenants, browser, stop }
}

/** What suits one page in a small container does not suit us: all in one process, and an open door between origins. */
const unwanted = ['--single-process', '--disable-web-security', '--allow-running-insecure-content']

async function startBrowser(): Promise<Browser> {
	const args = chromium.args.filter((argument) => !unwanted.includes(argument))
	return playwright.launch({ executablePath: await chromium.executablePath(), args })
}

function fewer(datasets: Dataset[]): Dataset[] {
	return datasets.map((dataset) => ({
		...dataset,
		collections: dataset.collections.map((one) => ({ ...one, records: one.records.slice(0, recordsEach) })),
	}))
}

export interface Visit {
	page: Page
	context: BrowserContext
	/** What the browser complained of, and every request that left for another origin. */
	complaints: string[]
}

export interface Look {
	colorScheme?: 'light' | 'dark'
	width?: number
}

/** A browser that has never been here. */
export async function visit(
	{ browser, stack }: World,
	{ colorScheme = 'light', width = 1280 }: Look = {},
): Promise<Visit> {
	const context = await browser.newContext({
		baseURL: stack.url,
		colorScheme,
		// A colour on its way to another one is neither.
		reducedMotion: 'reduce',
		viewport: { width, height: 900 },
		locale: 'en-GB',
		timezoneId: 'Europe/Vienna',
	})
	const page = await context.newPage()
	page.setDefaultTimeout(30_000)
	const complaints: string[] = []
	page.on('pageerror', (error) => complaints.push(`error: ${error.message}`))
	page.on('console', (message) => {
		if (['error', 'warning'].includes(message.type())) complaints.push(`${message.type()}: ${message.text()}`)
	})
	page.on('request', (request) => {
		if (new URL(request.url()).origin !== stack.url) complaints.push(`foreign request: ${request.url()}`)
	})
	return { page, context, complaints }
}

/** Opens a page of the console and signs in there. */
export async function signIn({ page }: Visit, path: string, token: string): Promise<void> {
	await page.goto(path)
	await page.getByLabel('Operator token').fill(token)
	await page.getByRole('button', { name: 'Sign in' }).click()
	await page.getByRole('navigation', { name: 'Console' }).waitFor()
}
