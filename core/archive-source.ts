/**
 * Reading an archive as it was downloaded. Nothing of the zip is taken on trust: the manifest says which files there are, the frame
 * is written once more from it, and the archive must be that frame around those files, byte for byte. So there is no path, size or
 * entry in it that the manifest does not name.
 */
import { inflateRawSync } from 'node:zlib'
import {
	describedPieces,
	type Manifest,
	manifestPath,
	manifestSchema,
	manifestVersion,
	type PlacedPart,
} from './archive.ts'
import type { ArchiveFault } from './job.ts'
import { manifestBytesMax, unpackedPartBytesMax } from './limits.ts'
import { type Piece, piecesLength } from './zip.ts'

/** The bytes of an archive, wherever they are. */
export interface ArchiveBytes {
	length: number
	/** @throws when there are not so many */
	read(offset: number, length: number): Promise<Uint8Array>
}

/** What makes an archive unacceptable, and where. */
export class ArchiveError extends Error {
	override readonly name = 'ArchiveError'
	readonly fault: ArchiveFault

	constructor(file: string, detail: string, line: number | null = null) {
		super(detail)
		this.fault = { file, line, detail }
	}
}

export interface OpenArchive {
	manifest: Manifest
	/** Of each file of the manifest, in its order. */
	parts: PlacedPart[][]
	/** Reads and unpacks one part. @throws ArchiveError */
	readPart(file: number, part: number): Promise<Uint8Array>
}

const signature = Buffer.from([0x50, 0x4b, 0x03, 0x04])
const localHeaderBytes = 30
const foreign = 'this is no archive as Freehold made it; import the file as it was downloaded'

/**
 * Reads the manifest and, when `checks`, holds the whole frame against it, which is enough once for bytes that do not change.
 * @throws ArchiveError
 */
export async function openArchive(source: ArchiveBytes, checks: boolean): Promise<OpenArchive> {
	const manifest = await readManifest(source)
	const { pieces, parts } = describedPieces(manifest.value, manifest.bytes)
	if (piecesLength(pieces) !== source.length)
		throw new ArchiveError('', `the archive is not as long as its manifest says`)
	if (checks) await checkFrame(source, pieces)
	const readPart = async (file: number, part: number) => {
		const place = parts[file]?.[part]
		const path = manifest.value.files[file]?.path ?? ''
		if (!place) throw new Error('no such part')
		return unpack(path, await source.read(place.offset, place.packed), place.bytes)
	}
	return { manifest: manifest.value, parts, readPart }
}

async function readManifest(source: ArchiveBytes): Promise<{ value: Manifest; bytes: Uint8Array }> {
	const nameBytes = manifestPath.length
	const start = localHeaderBytes + nameBytes
	if (source.length < start) throw new ArchiveError('', foreign)
	const header = Buffer.from(await source.read(0, start))
	const named = header.subarray(localHeaderBytes).toString('latin1') === manifestPath
	const isPlain = header.readUInt16LE(8) === 0 && header.readUInt16LE(28) === 0
	const length = header.readUInt32LE(18)
	if (!header.subarray(0, 4).equals(signature) || !named || !isPlain) throw new ArchiveError('', foreign)
	if (length > manifestBytesMax || start + length > source.length)
		throw new ArchiveError(manifestPath, 'the manifest is too long')
	const bytes = await source.read(start, length)
	return { value: parseManifest(bytes), bytes }
}

function parseManifest(bytes: Uint8Array): Manifest {
	let value: unknown
	try {
		value = JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes))
	} catch {
		throw new ArchiveError(manifestPath, 'the manifest is no JSON')
	}
	if (typeof value === 'object' && value !== null && 'version' in value && value.version !== manifestVersion)
		throw new ArchiveError(
			manifestPath,
			`this is another version than ${manifestVersion}, the one that is understood here`,
		)
	const parsed = manifestSchema.safeParse(value)
	if (parsed.success) return parsed.data
	const place = parsed.error.issues[0]?.path.join('/') ?? ''
	throw new ArchiveError(manifestPath, `the manifest is not well-formed at /${place}`)
}

/** Frame bytes that lie together are few, so each is read by itself. */
async function checkFrame(source: ArchiveBytes, pieces: readonly Piece[]): Promise<void> {
	let offset = 0
	for (const piece of pieces) {
		if (piece instanceof Uint8Array && !Buffer.from(await source.read(offset, piece.length)).equals(piece))
			throw new ArchiveError('', foreign)
		offset += piece.length
	}
}

/** workerd counts the room that it takes, up to 64 KB more than what comes out of it. */
const unpackingSlackBytes = 65_536

/** Never unpacks noticeably more than the manifest says that there is. */
function unpack(path: string, packed: Uint8Array, bytes: number): Uint8Array {
	if (bytes > unpackedPartBytesMax)
		throw new ArchiveError(path, `a part of a file has at most ${unpackedPartBytesMax} bytes`)
	try {
		const data = inflateRawSync(Buffer.concat([packed, finalBlock]), { maxOutputLength: bytes + unpackingSlackBytes })
		if (data.length === bytes) return data
	} catch {
		// Broken, or more than was said.
	}
	throw new ArchiveError(path, 'a part of the file cannot be unpacked to what the manifest says')
}

const finalBlock = Uint8Array.of(0x03, 0x00)
