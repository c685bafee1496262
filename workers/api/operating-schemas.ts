import { z } from '@hono/zod-openapi'
import { usagePeriodsMax } from '../../core/limits.ts'
import { usageGrains } from '../../core/metrics.ts'

/** The shapes of what the operator watches with. */

const time = z.iso.datetime({ precision: 3 })
const count = z.int().min(0)

export const exposition = z.string()

export const usageQuery = z.object({
	grain: z.enum(usageGrains).optional(),
	limit: z.int().min(1).max(usagePeriodsMax).optional(),
})
const usage = z
	.object({
		at: time,
		records: count.nullable(),
		active_keys: count.nullable(),
		storage_bytes: count.nullable(),
		requests: count,
		writes: count,
		exports: count,
		erasures: count,
		rows_written: count,
		rows_read: count,
		messages: count,
		cost_dollars: z.number().min(0),
	})
	.openapi('Usage')
export const usageList = z.object({ grain: z.enum(usageGrains), usage: z.array(usage) }).openapi('UsageList')
