import { expect, test } from 'vitest'
import { isPublicAddress, parseWebhookUrl } from '../../core/webhook-address.ts'

const privateAddresses = [
	...[
		'0.0.0.0',
		'0.1.2.3',
		'10.0.0.1',
		'10.255.255.255',
		'100.64.0.1',
		'100.127.255.255',
		'127.0.0.1',
		'127.255.255.254',
	],
	...['169.254.169.254', '172.16.0.1', '172.31.255.255', '192.0.0.8', '192.0.2.1', '192.88.99.1', '192.168.0.1'],
	...['198.18.0.1', '198.19.255.255', '198.51.100.7', '203.0.113.9', '224.0.0.1', '239.255.255.255', '240.0.0.1'],
	...['255.255.255.255', '::', '::1', '::127.0.0.1', '::ffff:127.0.0.1', '::ffff:7f00:1', '::ffff:10.0.0.1'],
	...['::ffff:a9fe:a9fe', '64:ff9b::10.0.0.1', '64:ff9b::a00:1', '64:ff9b:1::1', '100::1', '2001::1', '2001:10::1'],
	...['2001:db8::1', '2002:7f00:1::', '3fff::1', 'fc00::1', 'fd12:3456::1', 'fe80::1', 'fec0::1', 'ff02::1', '4000::1'],
]
const publicAddresses = [
	...[
		'1.1.1.1',
		'8.8.8.8',
		'9.255.255.255',
		'11.0.0.0',
		'100.63.255.255',
		'100.128.0.0',
		'126.255.255.255',
		'128.0.0.1',
	],
	...[
		'169.253.255.255',
		'172.15.255.255',
		'172.32.0.0',
		'192.167.255.255',
		'192.169.0.0',
		'198.17.255.255',
		'198.20.0.0',
	],
	...['223.255.255.255', '2606:4700:4700::1111', '2a00:1450:4001::200e', '2001:4860:4860::8888', '::ffff:8.8.8.8'],
	...['64:ff9b::8.8.8.8'],
]

test('an address that only our side could reach is not public, however it is written', () => {
	expect(privateAddresses.filter(isPublicAddress)).toEqual([])
	expect(publicAddresses.filter((address) => !isPublicAddress(address))).toEqual([])
})

test('what is no address is not public', () => {
	const broken = [
		'',
		'1',
		'1.2.3',
		'1.2.3.4.5',
		'256.1.1.1',
		'01.1.1.1',
		'1.1.1.1 ',
		'a',
		':',
		':::',
		'2606::2::3',
		'2606:2',
	]
	const others = [
		'2606::g',
		'2606:4700::12345',
		'::ffff:8.8.8',
		'2606::8.8.8.256',
		'2606::1%eth0',
		'2606:2:3:4:5:6:7:8:9',
	]
	expect([...broken, ...others, '2606:2:3:4:5:6:7::8'].filter(isPublicAddress)).toEqual([])
})

const accepted = {
	'https://hooks.acme.com/x?token=1': 'https://hooks.acme.com/x?token=1',
	'https://HOOKS.Acme.com': 'https://hooks.acme.com/',
	'https://hooks.acme.com:8443/': 'https://hooks.acme.com:8443/',
	'https://8.8.8.8/x': 'https://8.8.8.8/x',
	'https://[2606:4700::1]/x': 'https://[2606:4700::1]/x',
}

test('a public https address is taken in its one form', () => {
	for (const [text, form] of Object.entries(accepted)) {
		const parsed = parseWebhookUrl(text, 'public')
		expect(parsed.ok && parsed.value.href).toBe(form)
	}
})

const refused = [
	...[
		'',
		'x',
		'/x',
		'//acme.com',
		'acme.com',
		'http://acme.com',
		'ftp://acme.com',
		'javascript:alert(1)',
		'file:///etc/passwd',
	],
	...[
		'https://user@acme.com',
		'https://user:pass@acme.com',
		'https://acme.com/#x',
		'https://acme.com:22',
		'https://acme.com:25',
	],
	...['https://localhost', 'https://LOCALHOST.', 'https://a.localhost', 'https://printer.local', 'https://db.internal'],
	...[
		'https://metadata.google.internal',
		'https://intranet',
		'https://nas.lan',
		'https://router.home.arpa',
		'https://x.onion',
	],
	...[
		'https://127.0.0.1',
		'https://127.1',
		'https://2130706433',
		'https://0x7f000001',
		'https://0177.0.0.1',
		'https://0x7f.1',
	],
	...['https://169.254.169.254/latest/meta-data', 'https://[::1]', 'https://[::ffff:127.0.0.1]', 'https://[fd00::1]'],
	...[
		'https://１２７.０.０.１',
		'https://127.0.0.1.',
		'https://10.0.0.1:8443',
		`https://acme.com/${'x'.repeat(2_000)}`,
	],
]

test('every other address is refused, and nothing of it is repeated', () => {
	for (const text of refused) {
		const parsed = parseWebhookUrl(text, 'public')
		expect(parsed, text).toMatchObject({ ok: false, refusal: { errors: [{ pointer: '/url' }] } })
		if (text.length > 5) expect(JSON.stringify(parsed)).not.toContain(text)
	}
})

test('in development mode loopback and plain HTTP are taken, but not credentials', () => {
	expect(parseWebhookUrl('http://127.0.0.1:9000/x', 'private').ok).toBe(true)
	expect(parseWebhookUrl('http://localhost:1/', 'private').ok).toBe(true)
	expect(parseWebhookUrl('http://a:b@localhost/', 'private').ok).toBe(false)
	expect(parseWebhookUrl('ftp://localhost/', 'private').ok).toBe(false)
})
