import { type Region, regionOf } from '../../core/ids.ts'
import { accept, type Outcome, refuse } from '../../core/refusal.ts'
import type { ViewScope } from '../../core/view.ts'
import { type Database, DatabaseFailure, type Row, type Statement } from './client.ts'

export interface RegionDatabase {
	region: Region
	database: Database
}

export interface RegionAnswer {
	region: Region
	/** The rows of each statement, all of one snapshot. */
	results: Row[][]
}

/**
 * Asks the databases of a scope side by side; a scope of one tenant needs its own region only. Refused with
 * `view_unavailable`, naming the region, as soon as all have answered or failed.
 */
export async function askRegions(
	databases: readonly RegionDatabase[],
	scope: ViewScope,
	statements: readonly Statement[],
): Promise<Outcome<RegionAnswer[]>> {
	const home = scope.tenant === null ? null : regionOf(scope.tenant)
	const asked = scope.regions.filter((region) => home === null || region === home)
	const answers = await Promise.all(asked.map((region) => ask(databases, region, statements)))
	const values: RegionAnswer[] = []
	for (const answer of answers) {
		if (!answer.ok) return answer
		values.push(answer.value)
	}
	return accept(values)
}

async function ask(
	databases: readonly RegionDatabase[],
	region: Region,
	statements: readonly Statement[],
): Promise<Outcome<RegionAnswer>> {
	const served = databases.find((one) => one.region === region)
	if (served === undefined)
		return refuse('view_unavailable', `region ${region} has no view here`, { retryAfter: retrySeconds })
	try {
		return accept({ region, results: await served.database.read(statements) })
	} catch (error) {
		if (!(error instanceof DatabaseFailure) || isBug(error)) throw error
		const detail =
			error.sqlstate === queryCanceled
				? `region ${region} needs too long for this query; narrow it with tenant= or a filter`
				: `the view of region ${region} does not answer`
		return refuse('view_unavailable', detail, { retryAfter: retrySeconds })
	}
}

const retrySeconds = 5
const queryCanceled = '57014'

/** A value that we should have checked, or a table, function or right that the migrations should have made. */
function isBug({ sqlstate }: DatabaseFailure): boolean {
	return sqlstate !== null && /^(22|42)/.test(sqlstate)
}
