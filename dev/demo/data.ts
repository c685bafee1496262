/** Which customer of the imagined product keeps which data where. */
import {
	type Continent,
	cityPopulationMin,
	continents,
	readCities,
	readCountries,
	readFilms,
	readMatches,
	readRoutes,
	readWeather,
	type SourceRecord,
} from './sources.ts'

/** A tenant as the demo provisions it. */
export interface Dataset {
	slug: string
	name: string
	region: 'global' | 'eu'
	collections: { name: string; schema: Schema; records: SourceRecord[] }[]
}

interface Schema {
	type: 'object'
	properties: Record<string, Record<string, unknown>>
	required: string[]
	additionalProperties: false
}

/** Eight tenants. What is European lies in `eu`: a continent, its football, and an archive that knows people by name. */
export function readDatasets(): Dataset[] {
	const countriesBy = readCountries()
	const citiesBy = readCities()
	const atlas = (continent: Continent): Dataset => ({
		slug: `atlas-${continent.toLowerCase()}`,
		name: `Atlas of ${continent}`,
		region: continent === 'Europe' ? 'eu' : 'global',
		collections: [
			{ name: 'countries', schema: countries, records: countriesBy.get(continent) ?? [] },
			{ name: 'cities', schema: cities, records: citiesBy.get(continent) ?? [] },
		],
	})
	return [
		...continents.map(atlas),
		{
			slug: 'film-archive',
			name: 'Film Archive',
			region: 'eu',
			collections: [{ name: 'films', schema: films, records: readFilms() }],
		},
		{
			slug: 'league-tables',
			name: 'League Tables',
			region: 'eu',
			collections: [{ name: 'matches', schema: matches, records: readMatches() }],
		},
		{
			slug: 'airline-desk',
			name: 'Airline Desk',
			region: 'global',
			collections: [
				{ name: 'routes', schema: routes, records: readRoutes() },
				{ name: 'weather', schema: weather, records: readWeather() },
			],
		},
	]
}

const text = { type: 'string' }
const name = { type: 'string', minLength: 1, maxLength: 200 }
const date = { type: 'string', format: 'date' }
const count = { type: 'integer', minimum: 0 }
const names = { type: 'array', items: text }

const countries = schema({
	name: { ...name, 'x-unique': 'ci' },
	official_name: name,
	code: { type: 'string', pattern: '^[A-Z]{2}$', 'x-unique': true },
	subregion: text,
	capitals: names,
	borders: { type: 'array', items: { type: 'string', pattern: '^[A-Z]{3}$' } },
	landlocked: { type: 'boolean' },
	un_member: { type: 'boolean' },
	'area_km2?': { type: 'number', exclusiveMinimum: 0, 'x-index': true },
})

const cities = schema({
	name,
	'other_name?': name,
	country: { type: 'string', pattern: '^[A-Z]{2}$', 'x-index': true },
	feature: { type: 'string', pattern: '^[A-Z0-9]{3,5}$' },
	population: { type: 'integer', minimum: cityPopulationMin, 'x-index': true },
	latitude: { type: 'number', minimum: -90, maximum: 90 },
	longitude: { type: 'number', minimum: -180, maximum: 180 },
})

const films = schema({
	title: { ...name, 'x-index': true },
	'director?': { ...name, 'x-personal': true, 'x-index': true },
	'distributor?': name,
	released: date,
	'genre?': text,
	'rating?': text,
	'running_minutes?': count,
	'budget_usd?': count,
	'gross_usd?': count,
	'imdb_rating?': { type: 'number', minimum: 0, maximum: 10 },
	'imdb_votes?': count,
})

const matches = schema({
	date: { ...date, 'x-index': true },
	division: name,
	home_team: name,
	away_team: name,
	'home_score?': count,
	'away_score?': count,
})

const airport = { type: 'string', pattern: '^[A-Z0-9]{3}$', 'x-index': true }
const routes = schema({ origin: airport, destination: airport, flights: count })

const weather = schema({
	date: { ...date, 'x-unique': true },
	weather: { type: 'string', enum: ['drizzle', 'fog', 'rain', 'snow', 'sun'] },
	precipitation_mm: { type: 'number', minimum: 0 },
	high_c: { type: 'number' },
	low_c: { type: 'number' },
	wind_m_s: { type: 'number', minimum: 0 },
})

/** A question mark behind a property's name says that records may lack it. */
function schema(declared: Record<string, Record<string, unknown>>): Schema {
	const declarations = Object.entries(declared)
	return {
		type: 'object',
		properties: Object.fromEntries(declarations.map(([key, rules]) => [key.replace('?', ''), rules])),
		required: declarations.map(([key]) => key).filter((key) => !key.endsWith('?')),
		additionalProperties: false,
	}
}
