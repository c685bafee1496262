import { parseRegion, type Region } from '../../core/ids.ts'
import type { Monitor } from '../../core/monitor.ts'
import { accept, type Outcome, refuse } from '../../core/refusal.ts'
import type { Call } from './call.ts'
import { reach } from './reach.ts'

/** Asks the monitors of all regions side by side; one that cannot be reached is a refusal. */
export async function askMonitors<T>(
	call: Call,
	part: string,
	ask: (monitor: Monitor, region: Region) => Promise<T>,
): Promise<Outcome<{ region: Region; answer: T }[]>> {
	const { config, monitorOf } = call.ports
	return reach(call, `monitor.${part}`, () =>
		Promise.all(config.regions.map(async (region) => ({ region, answer: await ask(monitorOf(region), region) }))),
	)
}

/** The monitor to which an id of ours leads: its region is its beginning, `<region>_<26 characters>`. */
export function monitorOfId(call: Call, id: string): Outcome<Monitor> {
	const [regionText = '', rest = ''] = id.split('_')
	const region = parseRegion(regionText)
	if (
		!region ||
		!call.ports.config.regions.includes(region) ||
		!/^[0-9a-hjkmnp-tv-z]{26}$/.test(rest) ||
		id.split('_').length > 2
	)
		return refuse('not_found', 'there is nothing of this id')
	return accept(call.ports.monitorOf(region))
}
