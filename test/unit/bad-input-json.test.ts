import { expect, test } from 'vitest'
import { parseJson } from '../../core/json.ts'

/** Cases in the manner of JSON parsing suites: what every parser must accept, must refuse, and what this border decides. */

const accepted = [
	'null',
	'true',
	'0',
	'""',
	'[]',
	'{}',
	' [ ] ',
	'\t{\n"a"\r:\n1}',
	'[1,2]',
	'[1E+2,1e-2,0e1,-1.5]',
	'{"":0}',
	'{"a":[]}',
	'"\\"\\\\\\/\\b\\f\\n\\r\\t"',
	'"\\u0041\\u00e9"',
	'"\\ud83d\\ude00"',
	'"\u007f"',
	'"\u2028\u2029"',
	'"\uFDD0\uFFFE"',
	'[null,1,"1",{}]',
	'{"a":1,"a":1}',
	'"\\u0001\\u001f"',
	'"a\\\\u0000"',
	'"\u00df\u0130\u03c2\uff21"',
	'"e\u0301"',
	`"${'a'.repeat(65_536)}"`,
	'{"a.b":1,"a\'b":2,"rowid":3,"a\\"b":4}',
]

test.each(accepted)('accepts %j', (text) => {
	const parsed = parseJson(new TextEncoder().encode(text))
	expect(parsed.ok).toBe(true)
	expect(parsed.ok && parsed.value.value).toEqual(JSON.parse(text))
})

const refused = [
	'',
	' ',
	'nul',
	'True',
	'NaN',
	'Infinity',
	'-Infinity',
	'-',
	'+1',
	'01',
	'-01',
	'1.',
	'.5',
	'1e',
	'1e+',
	'0x10',
	'1_000',
	'1 2',
	"'a'",
	'"a',
	'"\\x41"',
	'"\\u12"',
	'"\\u{41}"',
	'"\n"',
	'"\t"',
	'"\u0000"',
	'"\u001f"',
	'[',
	']',
	'[1',
	'[1,',
	'[1,]',
	'[,1]',
	'[1,,2]',
	'[1;2]',
	'{',
	'}',
	'{a:1}',
	"{'a':1}",
	'{"a"}',
	'{"a":}',
	'{"a":1,}',
	'{"a":1 "b":2}',
	'{1:1}',
	'[] []',
	'{}}',
	'[]//',
	'/**/[]',
	'#[]',
	'\ufeff[]',
	'\u00a0[]',
	'[\u000b1]',
	'<a/>',
	'{"a":1}\u0000',
	// What JSON allows and this border does not.
	'"\\u0000"',
	'{"\\u0000":1}',
	'"a\\u0000b"',
	'"\\ud800"',
	'"\\udc00"',
	'"\\ude00\\ud83d"',
	'"\\ud83dx"',
	'{"\\ud800":1}',
	'[1e309]',
	'[9007199254740992]',
]

test.each(refused)('refuses %j as invalid JSON', (text) => {
	const parsed = parseJson(new TextEncoder().encode(text))
	expect(parsed.ok).toBe(false)
	expect(!parsed.ok && parsed.refusal.code).toBe('invalid_json')
})

const naughty = [
	"'; DROP TABLE record; --",
	'<script>alert(1)</script>',
	'%00%0d%0a',
	'../../../../etc/passwd',
	'{{7*7}}#{7*7}',
	'\u202etest\u202e',
	'\u200b\u200c\u200d\u2060',
	'Z\u0351\u036b\u0343\u036a\u0302\u036b\u033d',
	'\u{1f469}\u200d\u{1f469}\u200d\u{1f467}',
	'社會科學院語學研究所',
	"=cmd|' /C calc'!A0",
	'\\',
	'null',
	'constructor',
	'\u0085\u2028\u2029',
	'\u{10ffff}\u{1fffe}',
	'İıßẞſςΣ',
]

test.each(naughty)('keeps the text %j as it is, as a value and as a name', (text) => {
	const parsed = parseJson(JSON.stringify({ [text]: text }))
	expect(parsed.ok && parsed.value.value).toEqual({ [text]: text })
})
