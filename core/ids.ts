/**
 * Identifiers. All of them are opaque: an id is logged outside the region of its tenant, so nothing personal is in one.
 */

declare const brand: unique symbol

/** `<region>_<26 chars of lower-case Crockford base32, time-ordered>`, e.g. `eu_01k9…`. Born in auth or in provisioning only. */
export type TenantId = string & { readonly [brand]: 'TenantId' }

/** The name of a region, e.g. `global` or `eu`. A region is one cell of the system; data never crosses cells. */
export type Region = string & { readonly [brand]: 'Region' }

/** Fills and returns the given array with random bytes; `crypto.getRandomValues` in production. */
export type RandomBytes = (bytes: Uint8Array) => Uint8Array

const alphabet = '0123456789abcdefghjkmnpqrstvwxyz'
const tenantPattern = /^([a-z][a-z0-9]{0,15})_([0-9a-hjkmnp-tv-z]{26})$/
const regionPattern = /^[a-z][a-z0-9]{0,15}$/

/** What a client may choose as the id of a record. */
export const recordIdPattern = /^[A-Za-z0-9._~-]{1,128}$/

/**
 * Mints a time-ordered id: 48 bits of milliseconds, then 80 random bits, in 26 characters of Crockford base32.
 * Ids minted in different milliseconds sort by time as text; within one millisecond their order is random.
 * @see https://github.com/ulid/spec for the layout
 */
export function mintId(nowMs: number, random: RandomBytes): string {
	const bytes = random(new Uint8Array(16))
	let id = timeText(nowMs)
	// 256 is a multiple of 32, so the low five bits of a random byte are uniform.
	for (let place = 0; place < 16; place++) id += alphabet[(bytes[place] ?? 0) & 31]
	return id
}

export function mintTenantId(region: Region, nowMs: number, random: RandomBytes): TenantId {
	return `${region}_${mintId(nowMs, random)}` as TenantId
}

/** Parses a tenant id's form; whether such a tenant exists is for its control object to say. */
export function parseTenantId(text: string): TenantId | null {
	return tenantPattern.test(text) ? (text as TenantId) : null
}

export function parseRegion(text: string): Region | null {
	return regionPattern.test(text) ? (text as Region) : null
}

export function regionOf(tenant: TenantId): Region {
	return tenant.slice(0, tenant.indexOf('_')) as Region
}

/** Ids are minted in batches within one millisecond. */
let latest = { nowMs: -1, text: '' }

function timeText(nowMs: number): string {
	if (nowMs === latest.nowMs) return latest.text
	let text = ''
	for (let rest = nowMs, place = 0; place < 10; place++) {
		text = alphabet.charAt(rest % 32) + text
		rest = Math.floor(rest / 32)
	}
	latest = { nowMs, text }
	return text
}
