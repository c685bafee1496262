import { z } from 'zod'
import { type Client, problemOf } from '../client.ts'
import { query } from './questions.ts'
import { plural, type Report } from './report.ts'
import { heldIn, type Tenant, tenantOf } from './tenants.ts'
import { readFirstRecords, withoutPersonal } from './view.ts'

const list = z.object({ records: z.array(z.object({ id: z.string(), data: z.record(z.string(), z.unknown()) })) })

/** The film archive marks `director` as personal: the shard can be asked by it, and the view has never seen it. */
export async function showPersonalFields(
	report: Report,
	operator: Client,
	databaseUrls: string[],
	tenants: Tenant[],
): Promise<void> {
	const archive = tenantOf(tenants, 'film-archive')
	const films = [...heldIn(archive, 'films').values()]
	const director = mostFrequent(films.map((film) => film.director))
	const directed = films.filter((film) => film.director === director)
	const path = `/v1/collections/films/records?${new URLSearchParams({ director: `eq.${director}`, limit: '1000' })}`
	const { records } = await archive.client.ask('GET', path, list)
	report.check(
		`the shard finds ${plural(directed.length, 'film')} by ${director}`,
		sorted(records),
		sorted(directed.map((data) => ({ data }))),
	)

	const asked = await operator.send(
		'GET',
		`/v1/view/records?${new URLSearchParams({ collection: 'films', director: `eq.${director}` })}`,
	)
	report.check(
		'the view knows no such field: 400 unknown_field',
		[asked.status, problemOf(asked).code],
		[400, 'unknown_field'],
	)
	const first = records[0]
	const shown = await readFirstRecords(operator, { collection: 'films', id: `eq.${first?.id}` })
	report.check(
		`it shows "${String(first?.data.title)}" without its director`,
		shown.map(({ data }) => data),
		[withoutPersonal(archive, 'films', first?.data ?? {})],
	)
	const counts = await Promise.all(databaseUrls.map((url) => query(url, namedSql, [director])))
	report.check(
		'no row of either database has a director, nor that name anywhere in it',
		counts.flat(),
		databaseUrls.map(() => ({ found: 0 })),
	)
}

const namedSql =
	"SELECT count(*)::integer AS found FROM record WHERE data ? 'director' OR position($1 IN data::text) > 0"

function mostFrequent(values: unknown[]): string {
	const names = values.filter((value) => typeof value === 'string')
	const [most] = [...Map.groupBy(names, (name) => name)].sort(([, a], [, b]) => b.length - a.length)
	if (!most) throw new Error('no film has a director')
	return most[0]
}

function sorted(records: { data: Record<string, unknown> }[]): string[] {
	return records.map(({ data }) => String(data.title)).sort()
}
