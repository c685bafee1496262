import type { ContestantName } from './contestants/all.ts'
import type { EtlResult } from './etl.ts'
import type { FairnessResult } from './fairness.ts'
import type { Latency } from './figures.ts'
import type { GrowthResult } from './growth.ts'
import type { LagResult } from './lag.ts'
import type { PriceResult } from './price.ts'
import type { RightsResult } from './rights.ts'
import type { Throughput, ThroughputName } from './throughput.ts'
import type { ViewResult } from './view.ts'

/** Everything that a run measured, one entry a round; what was not asked for is absent. */
export interface Results {
	at: string
	machine: Record<string, string | number>
	/** Programs that wanted a core, before and after; see `machine.ts`. */
	load: { before: number; after: number }
	rounds: number
	secondsAPhase: number
	throughput: Partial<Record<ThroughputName, Partial<Record<ContestantName, Throughput[]>>>>
	latency: { perSecond: number; freehold: Latency; threeTier: Latency }[]
	etl: (EtlResult & { records: number })[]
	lag: LagResult[]
	fairness: FairnessResult[]
	/** Of each round, every query. */
	view: ViewResult[][]
	growth: GrowthResult[]
	rights: RightsResult[]
	price?: PriceResult
}
