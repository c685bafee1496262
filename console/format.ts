/** Numbers with units and times with their zone, the same everywhere. */

const whole = new Intl.NumberFormat('en', { maximumFractionDigits: 0 })
const short = new Intl.NumberFormat('en', { maximumSignificantDigits: 3 })

export function count(value: number): string {
	return whole.format(value)
}

/** Decimal units, as disks and bills have them. */
export function bytes(value: number): string {
	const units = ['B', 'kB', 'MB', 'GB', 'TB']
	const step = Math.min(units.length - 1, value < 1 ? 0 : Math.floor(Math.log10(value) / 3))
	return `${short.format(value / 1_000 ** step)} ${units[step]}`
}

export function milliseconds(value: number): string {
	if (value < 1_000) return `${short.format(value)} ms`
	if (value < 60_000) return `${short.format(value / 1_000)} s`
	if (value < 3_600_000) return `${Math.floor(value / 60_000)} min ${Math.floor((value % 60_000) / 1_000)} s`
	if (value < 172_800_000) return `${Math.floor(value / 3_600_000)} h ${Math.floor((value % 3_600_000) / 60_000)} min`
	return `${whole.format(value / 86_400_000)} days`
}

export function perSecond(value: number): string {
	return `${value < 10 ? short.format(value) : whole.format(value)} /s`
}

/** Of a share from 0 to 1, with as many digits as an objective needs. */
export function percent(share: number, digits = 2): string {
	return `${(share * 100).toFixed(digits)} %`
}

export function dollars(value: number): string {
	return `$${value < 1 ? value.toPrecision(2) : value.toFixed(2)}`
}

/** In the reader's zone, which is named. */
export function time(at: string): string {
	return new Intl.DateTimeFormat('en-GB', {
		...{ day: '2-digit', month: 'short', year: 'numeric', hour: '2-digit', minute: '2-digit', second: '2-digit' },
		timeZoneName: 'short',
	}).format(new Date(at))
}

export function clock(at: number): string {
	return new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit', timeZoneName: 'short' }).format(at)
}

/** A name of the API in words: `database_unreachable` is "database unreachable". */
export function words(name: string): string {
	return name.replaceAll('_', ' ')
}
