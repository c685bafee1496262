import pg from 'pg'
import type { RuleName } from '../../core/alert.ts'
import type { Stack, StackOptions } from '../stack.ts'
import type { Scene } from './scene.ts'

export interface Drill {
	what: string
	/** Alerts that must fire. */
	expects: readonly RuleName[]
	/** Further alerts that may: what is broken is broken for the probe and for the budgets as well. */
	mayFire: readonly RuleName[]
	/** Variables of the stack that are not the project's own. */
	vars?: Record<string, string>
	/** The configuration that the stack runs with; the project's own when absent. */
	config?(dataDir: string): string
	/** Breaks things, waits for what must happen, and mends them. */
	run(scene: Scene, restart: Restart): Promise<void>
}

/** Ends the stack, lets something happen to its folder, and starts it again there. */
export type Restart = (options?: Partial<StackOptions>, whileStopped?: () => void) => Promise<void>

export const minute = 60_000
export const budgets: readonly RuleName[] = ['slo_burn_fast', 'slo_burn_slow']

/** Does by hand what nobody should do to the database of a region. */
export async function runSql({ databases }: Stack, text: string, region = 'eu'): Promise<void> {
	const client = new pg.Client({ connectionString: databases[region]?.write ?? '' })
	await client.connect()
	try {
		await client.query(text)
	} finally {
		await client.end()
	}
}
