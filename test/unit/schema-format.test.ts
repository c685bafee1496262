import { expect, test } from 'vitest'
import { formats } from '../../core/schema/format.ts'

const label63 = 'a'.repeat(63)

const cases: Record<string, { valid: string[]; invalid: string[] }> = {
	date: {
		valid: ['2024-02-29', '2000-02-29', '0000-01-01', '9999-12-31', '2023-04-30'],
		invalid: [
			'2023-02-29',
			'1900-02-29',
			'2023-04-31',
			'2023-00-01',
			'2023-13-01',
			'2023-01-00',
			'2023-1-1',
			'20230101',
			'2023-01-01 ',
			'٢٠٢٣-01-01',
			'',
		],
	},
	time: {
		valid: [
			'00:00:00Z',
			'23:59:59.123456789z',
			'12:00:00+02:00',
			'12:00:00-23:59',
			'23:59:60Z',
			'15:59:60-08:00',
			'01:29:60+01:30',
		],
		invalid: [
			'24:00:00Z',
			'12:60:00Z',
			'12:00:61Z',
			'12:00:60Z',
			'23:59:60+01:00',
			'12:00:00',
			'12:00:00.Z',
			'12:00:00+24:00',
			'12:00:00+02:60',
			'12:00:00+0200',
			'12:00Z',
			'',
		],
	},
	'date-time': {
		valid: ['2024-02-29T12:00:00Z', '2024-02-29t12:00:00.5+01:00', '1998-12-31T23:59:60Z'],
		invalid: [
			'2024-02-30T12:00:00Z',
			'2024-02-29 12:00:00Z',
			'2024-02-29',
			'2024-02-29T12:00:00',
			'2024-02-29T25:00:00Z',
			'T',
			'',
		],
	},
	email: {
		valid: [
			'a@b',
			'ada.lovelace+x@example.co.uk',
			'"a b"@example.com',
			'"a\\"b"@example.com',
			"!#$%&'*+/=?^_`{|}~-@x.y",
			`${'a'.repeat(64)}@x.y`,
		],
		invalid: [
			'',
			'@',
			'a@',
			'@b',
			'a',
			'.a@b',
			'a.@b',
			'a..b@c',
			'a b@c',
			'a@b@c',
			'a@-b',
			'a@b..c',
			'ä@b',
			'a@ä',
			`${'a'.repeat(65)}@x.y`,
			'a@b\n',
			'"a"b"@c',
		],
	},
	hostname: {
		valid: [
			'a',
			'www.example.com',
			'1.2',
			'xn--nxasmq6b',
			label63,
			`${label63}.${label63}.${label63}.${'a'.repeat(61)}`,
		],
		invalid: [
			'',
			'.',
			'a.',
			'.a',
			'a..b',
			'-a',
			'a-',
			'a_b',
			'ä.de',
			`${label63}a`,
			`${label63}.${label63}.${label63}.${'a'.repeat(62)}`,
			'a b',
			'a\n',
		],
	},
	ipv4: {
		valid: ['0.0.0.0', '255.255.255.255', '127.0.0.1'],
		invalid: [
			'256.0.0.1',
			'1.2.3',
			'1.2.3.4.5',
			'01.2.3.4',
			'1.2.3.04',
			'0x7f.0.0.1',
			'1.2.3.4/8',
			'١.2.3.4',
			'1..2.3',
			'',
		],
	},
	ipv6: {
		valid: [
			'::',
			'::1',
			'1::',
			'2001:db8::8a2e:370:7334',
			'1:2:3:4:5:6:7:8',
			'::ffff:192.0.2.1',
			'1:2:3:4:5:6:1.2.3.4',
			'1:2:3:4:5:6:7::',
			'::2:3:4:5:6:7:8',
			'ABCD::ef01',
		],
		invalid: [
			'',
			':',
			':::',
			'1:2:3:4:5:6:7',
			'1:2:3:4:5:6:7:8:9',
			'1::2::3',
			'12345::',
			'g::',
			'::1%eth0',
			'1:2:3:4:5:6:7:1.2.3.4',
			'::1.2.3',
			'1.2.3.4',
			'1.2.3.4::',
			':1:2:3:4:5:6:7',
			'1:2:3:4:5:6:7:',
			'1:2:3:4:5:6:7:8::',
			'::1 ',
		],
	},
	uri: {
		valid: [
			'http://example.com',
			'https://u:p@example.com:8080/a/b;c?d=e&f#g/h?',
			'urn:isbn:0451450523',
			'mailto:a@b.c',
			'x:',
			'file:///etc/x',
			'http://[::1]:80/',
			'http://[v1.a]/',
			'http://a/%20%C3%A4',
			'a+b-c.d://h',
		],
		invalid: [
			'',
			'//example.com',
			'/a',
			'a',
			':a',
			'1a://b',
			'http://a b',
			'http://a/%2',
			'http://a/%%4141',
			'http://ä/',
			'http://[::1',
			'http://[x]/',
			'http://a:80a/',
			'http://a/<b>',
			'http://a/#b#c',
			'http://a/\\b',
			'http://a/"',
			'http://a/\n',
			'http://a@b@c/',
		],
	},
	uuid: {
		valid: [
			'123e4567-e89b-12d3-a456-426614174000',
			'00000000-0000-0000-0000-000000000000',
			'FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF',
		],
		invalid: [
			'',
			'123e4567e89b12d3a456426614174000',
			'{123e4567-e89b-12d3-a456-426614174000}',
			'123e4567-e89b-12d3-a456-42661417400g',
			'123e4567-e89b-12d3-a456-4266141740000',
			'urn:uuid:123e4567-e89b-12d3-a456-426614174000',
		],
	},
}

for (const [name, { valid, invalid }] of Object.entries(cases)) {
	test(`format ${name} accepts and refuses what its RFC says`, () => {
		const format = formats.get(name)
		for (const text of valid) expect({ text, accepted: format?.(text) }).toEqual({ text, accepted: true })
		for (const text of invalid) expect({ text, accepted: format?.(text) }).toEqual({ text, accepted: false })
	})
}

test('every format has its cases', () => {
	expect([...formats.keys()].sort()).toEqual(Object.keys(cases).sort())
})

test('[L1] long texts that almost fit are refused in linear time', () => {
	const long = 200_000
	const attacks = [
		'a'.repeat(long),
		`${'a.'.repeat(long)}@`,
		`"${'\\a'.repeat(long)}@b`,
		`a://${'a'.repeat(long)}#\n`,
		`a:${'%41'.repeat(long)}%`,
		`12:00:00.${'1'.repeat(long)}`,
		`a@${'a-'.repeat(long)}`,
		`${'1:'.repeat(long)}`,
		`${'a'.repeat(long)}:\u0001`,
	]
	for (const format of formats.values()) for (const text of attacks) expect(format(text)).toBe(false)
})
