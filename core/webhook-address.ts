import { webhookUrlCharsMax } from './limits.ts'
import { accept, type Outcome, refuse } from './refusal.ts'

/**
 * Where a webhook may be sent. Tenants choose the address and the request comes from our side, so it must lead nowhere that
 * only our side can reach. Names are held against this list, and what they resolve to is held against it at every attempt.
 */

/** `private` lifts every rule but the form: for a machine where receivers listen on loopback. */
export type AddressRules = 'public' | 'private'

export function parseWebhookUrl(text: string, rules: AddressRules): Outcome<URL> {
	if (text.length > webhookUrlCharsMax) return bad(`must have at most ${webhookUrlCharsMax} characters`)
	const url = URL.canParse(text) ? new URL(text) : null
	if (url === null) return bad('must be an absolute URL')
	const schemes = rules === 'private' ? ['https:', 'http:'] : ['https:']
	if (!schemes.includes(url.protocol)) return bad('must be an https address')
	if (url.username !== '' || url.password !== '') return bad('must not hold a user name or password')
	if (url.hash !== '') return bad('must not have a fragment')
	if (rules === 'private') return accept(url)
	// Below 1024 live services that speak something else than HTTP.
	if (url.port !== '' && Number(url.port) < 1_024) return bad('must use port 443, or one from 1024 on')
	if (!isPublicHost(url.hostname)) return bad('must name a public host')
	return accept(url)
}

function bad(detail: string): Outcome<never> {
	return refuse('validation_failed', 'the address of a webhook is not acceptable', {
		errors: [{ pointer: '/url', detail }],
	})
}

const privateSuffixes = ['localhost', 'local', 'internal', 'intranet', 'lan', 'home', 'corp', 'private', 'arpa']
const reservedSuffixes = ['test', 'example', 'invalid', 'onion', 'alt']

/**
 * `hostname` as `URL` prints it, which has brought every way of writing an IPv4 address (decimal, octal, hexadecimal, short)
 * to four decimal numbers.
 */
function isPublicHost(hostname: string): boolean {
	if (hostname.startsWith('[')) return isPublicAddress(hostname.slice(1, -1))
	const name = hostname.replace(/\.$/, '')
	if (/^[0-9.]+$/.test(name)) return isPublicAddress(name)
	const labels = name.split('.')
	const last = labels.at(-1) ?? ''
	return labels.length > 1 && ![...privateSuffixes, ...reservedSuffixes].includes(last)
}

/** Whether an IP address, in its usual text form, is one that anybody on the internet may reach. */
export function isPublicAddress(address: string): boolean {
	if (!address.includes(':')) return isPublicV4(parseV4(address))
	const groups = parseV6(address)
	if (groups === null) return false
	const [first = 0, second = 0, third = 0, , , sixth = 0, seventh = 0, eighth = 0] = groups
	const v4 = [seventh >> 8, seventh & 255, eighth >> 8, eighth & 255]
	const isZero = (from: number, to: number) => groups.slice(from, to).every((group) => group === 0)
	// An IPv4 address in an IPv6 one (mapped, or translated by NAT64) leads where that one leads.
	if (isZero(0, 5) && sixth === 0xffff) return isPublicV4(v4)
	if (first === 0x64 && second === 0xff9b && isZero(2, 6)) return isPublicV4(v4)
	// Only 2000::/3 is given out to the public; of that, protocols (2001::/23), documentation and 6to4 are set apart.
	if (first >> 13 !== 1) return false
	if (first === 0x2001 && (second < 0x200 || second === 0xdb8)) return false
	return (
		first !== 0x2002 &&
		!(first === 0x3fff && second < 0x1000) &&
		!(first === 0x2620 && second === 0x4f && third === 0x8000)
	)
}

/** Address blocks that are not for everybody: RFC 6890 and its successors, as `[first, bits]`. */
const reservedV4: [string, number][] = [
	['0.0.0.0', 8],
	['10.0.0.0', 8],
	['100.64.0.0', 10],
	['127.0.0.0', 8],
	['169.254.0.0', 16],
	['172.16.0.0', 12],
	['192.0.0.0', 24],
	['192.0.2.0', 24],
	['192.31.196.0', 24],
	['192.52.193.0', 24],
	['192.88.99.0', 24],
	['192.168.0.0', 16],
	['192.175.48.0', 24],
	['198.18.0.0', 15],
	['198.51.100.0', 24],
	['203.0.113.0', 24],
	['224.0.0.0', 4],
	['240.0.0.0', 4],
]

function isPublicV4(bytes: readonly number[] | null): boolean {
	if (bytes === null) return false
	const value = numberOf(bytes)
	return !reservedV4.some(([first, bits]) => {
		const size = 2 ** (32 - bits)
		return Math.floor(value / size) === Math.floor(numberOf(parseV4(first) ?? []) / size)
	})
}

function numberOf(bytes: readonly number[]): number {
	return bytes.reduce((value, byte) => value * 256 + byte, 0)
}

/** Four decimal numbers and nothing else. */
function parseV4(text: string): number[] | null {
	const parts = text.split('.')
	const bytes = parts.map((part) => (/^(0|[1-9][0-9]{0,2})$/.test(part) ? Number(part) : 256))
	return bytes.length === 4 && bytes.every((byte) => byte < 256) ? bytes : null
}

/** The eight groups of an IPv6 address; null for what is none, and for one with a zone. */
function parseV6(text: string): number[] | null {
	const dotted = /^(.*:)([0-9.]+)$/.exec(text)
	const v4 = dotted?.[2]?.includes('.') ? parseV4(dotted[2]) : null
	if (dotted?.[2]?.includes('.') && v4 === null) return null
	const [a = 0, b = 0, c = 0, d = 0] = v4 ?? []
	const whole = v4 ? `${dotted?.[1]}${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}` : text
	const halves = whole.split('::')
	if (halves.length > 2) return null
	const [left = [], right = []] = halves.map((half) => (half === '' ? [] : half.split(':')))
	const missing = 8 - left.length - right.length
	if (halves.length === 2 ? missing < 1 : missing !== 0) return null
	const groups = [...left, ...Array.from({ length: missing }, () => '0'), ...right]
	return groups.every((group) => /^[0-9a-f]{1,4}$/i.test(group))
		? groups.map((group) => Number.parseInt(group, 16))
		: null
}
