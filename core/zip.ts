/**
 * The frame of a zip archive (APPNOTE 6.3, with zip64 where sizes need it) around parts that are packed already. Sizes and sums
 * are known before the first byte goes out, so an archive has a length, and any range of it can be sent again.
 */
import { crc32 } from 'node:zlib'
import { sumOf } from './sum.ts'

/** Bytes of the frame, or an object of the bucket that belongs there whole. */
export type Piece = Uint8Array | { key: string; length: number }

export type ZipEntry =
	/** `content` are parts that were deflated and ended by a sync flush; `packed` is their size together. */
	| { path: string; bytes: number; packed: number; crc: number; content: { key: string; length: number }[] }
	| { path: string; stored: Uint8Array }

/** Ends a deflate stream whose blocks so far are not marked as the last: an empty one that is. */
const finalBlock = Uint8Array.of(0x03, 0x00)

const methodStored = 0
const methodDeflate = 8
const versionPlain = 20
const versionZip64 = 45
/** The upper byte says Unix, so that readers believe the file mode in the attributes. */
const madeBy = (3 << 8) | versionZip64
const fileMode = 0o100600
const namesInUtf8 = 1 << 11
const zip64Id = 1
const max16 = 0xffff
const max32 = 0xffffffff

/** The whole archive, entries in the given order, all dated `at` (milliseconds; a zip's dates have no zone, here they are UTC). */
export function zipPieces(entries: readonly ZipEntry[], at: number): Piece[] {
	const pieces: Piece[] = []
	const directory: Buffer[] = []
	let offset = 0
	const add = (...more: Piece[]) => {
		pieces.push(...more)
		offset += piecesLength(more)
	}
	for (const entry of entries) {
		const header = headerOf(entry, at)
		directory.push(directoryRecord(header, offset))
		add(localRecord(header), ...('stored' in entry ? [entry.stored] : [...entry.content, finalBlock]))
	}
	const directoryBytes = Buffer.concat(directory)
	add(directoryBytes)
	add(endRecords(entries.length, directoryBytes.length, offset))
	return pieces
}

export function piecesLength(pieces: readonly Piece[]): number {
	return sumOf(pieces, ({ length }) => length)
}

interface Header {
	path: Buffer
	method: number
	crc: number
	packed: number
	bytes: number
	time: number
	date: number
}

function headerOf(entry: ZipEntry, at: number): Header {
	const moment = new Date(at)
	const time = (moment.getUTCHours() << 11) | (moment.getUTCMinutes() << 5) | (moment.getUTCSeconds() >> 1)
	// The format counts 128 years from 1980; a manifest that is read may name any.
	const year = Math.min(Math.max(moment.getUTCFullYear(), 1980), 2107)
	const date = ((year - 1980) << 9) | ((moment.getUTCMonth() + 1) << 5) | moment.getUTCDate()
	const path = Buffer.from(entry.path)
	if ('stored' in entry) {
		const { length } = entry.stored
		return { path, method: methodStored, crc: crc32(entry.stored), packed: length, bytes: length, time, date }
	}
	const { crc, bytes } = entry
	return { path, method: methodDeflate, crc, packed: entry.packed + finalBlock.length, bytes, time, date }
}

/** A zip64 extra field with the given 8-byte values, or nothing. */
function extraOf(values: number[]): Buffer {
	if (values.length === 0) return Buffer.alloc(0)
	const extra = Buffer.alloc(4 + values.length * 8)
	extra.writeUInt16LE(zip64Id, 0)
	extra.writeUInt16LE(values.length * 8, 2)
	for (const [index, value] of values.entries()) extra.writeBigUInt64LE(BigInt(value), 4 + index * 8)
	return extra
}

function localRecord(header: Header): Buffer {
	const { path, packed, bytes } = header
	const large = packed >= max32 || bytes >= max32
	const extra = extraOf(large ? [bytes, packed] : [])
	const record = Buffer.alloc(30)
	record.writeUInt32LE(0x04034b50, 0)
	writeCommon(record, 4, header, large, extra.length)
	return Buffer.concat([record, path, extra])
}

function directoryRecord(header: Header, offset: number): Buffer {
	const { path, packed, bytes } = header
	const extra = extraOf([
		...(packed >= max32 || bytes >= max32 ? [bytes, packed] : []),
		...(offset >= max32 ? [offset] : []),
	])
	const record = Buffer.alloc(46)
	record.writeUInt32LE(0x02014b50, 0)
	record.writeUInt16LE(madeBy, 4)
	writeCommon(record, 6, header, packed >= max32 || bytes >= max32, extra.length)
	record.writeUInt32LE(fileMode * 2 ** 16, 38)
	record.writeUInt32LE(Math.min(offset, max32), 42)
	return Buffer.concat([record, path, extra])
}

/** What both records of an entry say, from `at` on. Both sizes go to the extra field when one of them must. */
function writeCommon(record: Buffer, at: number, header: Header, large: boolean, extraLength: number): void {
	record.writeUInt16LE(extraLength > 0 ? versionZip64 : versionPlain, at)
	record.writeUInt16LE(namesInUtf8, at + 2)
	record.writeUInt16LE(header.method, at + 4)
	record.writeUInt16LE(header.time, at + 6)
	record.writeUInt16LE(header.date, at + 8)
	record.writeUInt32LE(header.crc, at + 10)
	record.writeUInt32LE(large ? max32 : header.packed, at + 14)
	record.writeUInt32LE(large ? max32 : header.bytes, at + 18)
	record.writeUInt16LE(header.path.length, at + 22)
	record.writeUInt16LE(extraLength, at + 24)
}

/** The end of the directory; before it, where numbers need it, the end as zip64 writes it and where that is. */
function endRecords(entries: number, directoryBytes: number, directoryEnd: number): Buffer {
	const start = directoryEnd - directoryBytes
	const end = Buffer.alloc(22)
	end.writeUInt32LE(0x06054b50, 0)
	end.writeUInt16LE(Math.min(entries, max16), 8)
	end.writeUInt16LE(Math.min(entries, max16), 10)
	end.writeUInt32LE(Math.min(directoryBytes, max32), 12)
	end.writeUInt32LE(Math.min(start, max32), 16)
	if (entries < max16 && start < max32 && directoryBytes < max32) return end
	const end64 = Buffer.alloc(56)
	end64.writeUInt32LE(0x06064b50, 0)
	end64.writeBigUInt64LE(44n, 4)
	end64.writeUInt16LE(madeBy, 12)
	end64.writeUInt16LE(versionZip64, 14)
	end64.writeBigUInt64LE(BigInt(entries), 24)
	end64.writeBigUInt64LE(BigInt(entries), 32)
	end64.writeBigUInt64LE(BigInt(directoryBytes), 40)
	end64.writeBigUInt64LE(BigInt(start), 48)
	const locator = Buffer.alloc(20)
	locator.writeUInt32LE(0x07064b50, 0)
	locator.writeBigUInt64LE(BigInt(directoryEnd), 8)
	locator.writeUInt32LE(1, 16)
	return Buffer.concat([end64, locator, end])
}
