import { cloudflareTest } from '@cloudflare/vitest-plugin'
import { Response } from 'miniflare'
import { defineConfig } from 'vitest/config'

/** Secrets of the test runtime only; the regions' databases are not reached from `test/workerd`. */
const bindings = {
	JURISDICTIONS: '',
	OPERATOR_TOKEN: 'fho_test_operator_token',
	OPERATOR_TOKENS: JSON.stringify({
		reader: { scope: 'read', token: 'fho_test_reader_token' },
		scraper: { scope: 'metrics', token: 'fho_test_scraper_token' },
	}),
	SIGNING_SECRET: 'test-signing-secret-0123456789abcdef',
	MASTER_SECRET: 'test-master-secret-0123456789abcdef',
	CLAIM_SECRET: 'test-claim-secret-0123456789abcdef',
	CERTIFICATE_SECRET: Buffer.alloc(32, 7).toString('base64url'),
	DATABASE_URL: 'postgres://nobody:nothing@127.0.0.1:1/global',
	DATABASE_URL_EU: 'postgres://nobody:nothing@127.0.0.1:1/eu',
	DATABASE_READ_URL: 'postgres://nobody:nothing@127.0.0.1:1/global',
	DATABASE_READ_URL_EU: 'postgres://nobody:nothing@127.0.0.1:1/eu',
	NEON_ENDPOINT: 'http://127.0.0.1:1/sql',
}

/** The tests of `test/fault` that start no process of the system. */
const simulated = ['checker', 'simulation', 'mutants'].map((name) => `test/fault/${name}.test.ts`)

/** Tests inside workerd reach nothing: neither a view's database nor where a webhook or its name server would be. */
const outboundService = () => new Response(null, { status: 503 })

/** Half of the tests wait for a disk or a reply, so two at a time also pay on a machine with two cores. */
const together = { maxWorkers: 2, hookTimeout: 60_000, sequence: { groupOrder: 1 } }

export default defineConfig({
	test: {
		reporters: ['default', './test/summary.ts'],
		// The Worker's own log, a line a request, would bury what a failed test says.
		onConsoleLog: (text) => !text.startsWith('{"level":'),
		projects: [
			{ test: { name: 'unit', include: ['test/unit/**/*.test.ts'], testTimeout: 60_000, ...together } },
			{
				plugins: [
					cloudflareTest({ wrangler: { configPath: './wrangler.toml' }, miniflare: { bindings, outboundService } }),
				],
				test: {
					name: 'workerd',
					include: ['test/workerd/**/*.test.ts'],
					globalSetup: './test/assets.ts',
					testTimeout: 60_000,
					...together,
				},
			},
			{
				// Pure computation, which may share the machine.
				test: { name: 'simulation', include: simulated, testTimeout: 120_000, ...together },
			},
			{
				// One stack at a time: each starts Postgres and workerd, and the machine may have two cores.
				test: {
					name: 'pipeline',
					include: ['test/pipeline/**/*.test.ts', 'test/fault/**/*.test.ts'],
					exclude: simulated,
					fileParallelism: false,
					testTimeout: 120_000,
					hookTimeout: 120_000,
				},
			},
			{
				// One stack and one Chromium for all of it.
				test: {
					name: 'browser',
					include: ['test/browser/**/*.test.ts'],
					fileParallelism: false,
					testTimeout: 120_000,
					hookTimeout: 120_000,
				},
			},
		],
	},
})
