/** The asserted formats. Every expression here runs in linear time: no repetition inside a repetition can match the same text twice. */

export const formats: ReadonlyMap<string, (text: string) => boolean> = new Map([
	['date', isDate],
	['date-time', isDateTime],
	['time', isTime],
	['email', isEmail],
	['hostname', isHostname],
	['ipv4', isIpv4],
	['ipv6', isIpv6],
	['uri', isUri],
	['uuid', isUuid],
])

const daysOfMonth = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]

/** RFC 3339 `full-date`, by the Gregorian calendar. */
function isDate(text: string): boolean {
	const match = /^([0-9]{4})-([0-9]{2})-([0-9]{2})$/.exec(text)
	if (match === null) return false
	const [year, month, day] = [Number(match[1]), Number(match[2]), Number(match[3])]
	const leap = year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0)
	const days = month === 2 && leap ? 29 : (daysOfMonth[month - 1] ?? 0)
	return day >= 1 && day <= days
}

/** RFC 3339 `full-time`. A leap second is the last one of a day in UTC. */
function isTime(text: string): boolean {
	const match = /^([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.[0-9]+)?(?:[zZ]|([+-])([0-9]{2}):([0-9]{2}))$/.exec(text)
	if (match === null) return false
	const [hour, minute, second] = [Number(match[1]), Number(match[2]), Number(match[3])]
	const [offsetHour, offsetMinute] = [Number(match[5] ?? 0), Number(match[6] ?? 0)]
	if (hour > 23 || minute > 59 || offsetHour > 23 || offsetMinute > 59) return false
	if (second <= 59) return true
	const offset = (match[4] === '-' ? -1 : 1) * (offsetHour * 60 + offsetMinute)
	return second === 60 && (hour * 60 + minute - offset + 1440) % 1440 === 1439
}

function isDateTime(text: string): boolean {
	return /^[tT]$/.test(text.charAt(10)) && isDate(text.slice(0, 10)) && isTime(text.slice(11))
}

const quotedLocal = /^"(?:[ !#-[\]-~]|\\[ -~])*"$/
const dottedLocal = /^[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*$/
const hostname = /^[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*$/

/** RFC 5321 mailbox with a host name, in ASCII. */
function isEmail(text: string): boolean {
	const at = text.lastIndexOf('@')
	if (at < 1 || at > 64 || text.length > 254 || !hostname.test(text.slice(at + 1))) return false
	const local = text.slice(0, at)
	return dottedLocal.test(local) || quotedLocal.test(local)
}

/** RFC 1123, in ASCII. */
function isHostname(text: string): boolean {
	return text.length <= 253 && hostname.test(text)
}

/** Four decimal bytes without leading zeros. */
function isIpv4(text: string): boolean {
	if (text.length > 15) return false
	const bytes = text.split('.')
	return bytes.length === 4 && bytes.every((byte) => /^(?:0|[1-9][0-9]{0,2})$/.test(byte) && Number(byte) <= 255)
}

/** RFC 4291, without a zone. */
function isIpv6(text: string): boolean {
	if (text.length > 45) return false
	const halves = text.split('::')
	if (halves.length > 2) return false
	const groups = halves.flatMap((half) => (half === '' ? [] : half.split(':')))
	const last = groups.at(-1) ?? ''
	const embedded = last.includes('.') && !text.endsWith('::')
	if (embedded && !isIpv4(last)) return false
	const size = groups.length + (embedded ? 1 : 0)
	if (halves.length === 2 ? size > 7 : size !== 8) return false
	return groups.every((group, index) => (embedded && index === groups.length - 1) || /^[0-9A-Fa-f]{1,4}$/.test(group))
}

/** RFC 3986 `URI`: a scheme, then only characters and percent escapes that their part may hold. */
function isUri(text: string): boolean {
	// The flag s lets every text with a scheme match at the first try; a failure late in it would be tried again at each place.
	const match = /^[A-Za-z][A-Za-z0-9+.-]*:(?:\/\/([^/?#]*))?([^?#]*)(?:\?([^#]*))?(?:#(.*))?$/s.exec(text)
	if (match === null) return false
	const [, authority, path = '', query = '', fragment = ''] = match
	if (authority !== undefined && !isAuthority(authority)) return false
	return (
		isEscaped(path, /^[A-Za-z0-9\-._~!$&'()*+,;=:@/]*$/) &&
		[query, fragment].every((part) => isEscaped(part, /^[A-Za-z0-9\-._~!$&'()*+,;=:@/?]*$/))
	)
}

function isAuthority(text: string): boolean {
	const at = text.indexOf('@')
	if (at >= 0 && !isEscaped(text.slice(0, at), /^[A-Za-z0-9\-._~!$&'()*+,;=:]*$/)) return false
	const match = /^(?:\[([^[\]]*)\]|([^:[\]]*))(?::[0-9]*)?$/.exec(text.slice(at + 1))
	if (match === null) return false
	const [, literal, name = ''] = match
	if (literal !== undefined) return isIpv6(literal) || /^[vV][0-9A-Fa-f]+\.[A-Za-z0-9\-._~!$&'()*+,;=:]+$/.test(literal)
	return isEscaped(name, /^[A-Za-z0-9\-._~!$&'()*+,;=]*$/)
}

function isEscaped(text: string, allowed: RegExp): boolean {
	return allowed.test(text.replaceAll(/%[0-9A-Fa-f]{2}/g, ''))
}

/** RFC 9562, in either case. */
function isUuid(text: string): boolean {
	return /^[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}$/.test(text)
}
