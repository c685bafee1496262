/**
 * The archive of a tenant: a zip with `manifest.json`, for each collection `schema.json`, `records.ndjson` and on request
 * `records.csv`, and `audit.ndjson`. Format version 1.
 */
import { z } from 'zod'
import type { ExportLayout } from './job.ts'
import { restrictionsMax, subjectCharsMax } from './limits.ts'
import { sumOf } from './sum.ts'
import { type Piece, zipPieces } from './zip.ts'

export interface ArchiveTenant {
	id: string
	slug: string
	name: string
	region: string
	createdAt: number
}

/** A file of an archive. `packed` is the size of its parts together, deflated. */
export interface ArchiveFile {
	path: string
	/** Lines; null for a file that has none. */
	records: number | null
	bytes: number
	packed: number
	/** CRC-32 and SHA-256 of the file, the latter in lower-case hexadecimal. */
	crc: number
	sha256: string
}

/**
 * A part of a file: it begins and ends between two lines, and is deflated by itself and ended by a sync flush. So parts laid one
 * after the other are one stream, and each of them can be read without those before it.
 */
export interface PackedPart {
	bytes: number
	packed: number
}

export const manifestPath = 'manifest.json'
export const auditPath = 'audit.ndjson'

export function schemaPath(collection: string): string {
	return `collections/${collection}/schema.json`
}

export function recordsPath(collection: string): string {
	return `collections/${collection}/records.ndjson`
}

export function csvPath(collection: string): string {
	return `collections/${collection}/records.csv`
}

const count = z.int().min(0)
const time = z.iso.datetime({ precision: 3 })

const subjectId = z
	.string()
	.min(1)
	.max(subjectCharsMax)
	.refine((text) => text.isWellFormed() && !text.includes('\0'))

export const manifestVersion = 1

/** What an archive says about itself; unknown members of a known version are refused. */
export const manifestSchema = z.strictObject({
	format: z.literal('freehold-archive'),
	version: z.literal(manifestVersion),
	tenant: z.strictObject({
		id: z.string().regex(/^[a-z][a-z0-9]{0,15}_[0-9a-hjkmnp-tv-z]{26}$/),
		slug: z.string().max(63),
		name: z.string().max(200),
		region: z.string().regex(/^[a-z][a-z0-9]{0,15}$/),
		created_at: time,
	}),
	export: z.strictObject({ id: z.string().regex(/^[0-9a-hjkmnp-tv-z]{26}$/), as_of_seq: count, as_of: time }),
	/** The people whose restriction goes along with their records; absent where there are none. */
	restricted_subjects: z.array(subjectId).min(1).max(restrictionsMax).optional(),
	counts: z.strictObject({ collections: count, records: count, audit_entries: count }),
	files: z.array(
		z.strictObject({
			path: z.string().max(200),
			records: count.nullable(),
			bytes: count,
			sha256: z.string().regex(/^[0-9a-f]{64}$/),
			crc32: z.int().min(0).max(0xffffffff),
			/** Of each part its size and its size in the archive. */
			parts: z.array(z.tuple([count, count])),
		}),
	),
})

export type Manifest = z.infer<typeof manifestSchema>

/** The archive as pieces that follow each other: bytes, and objects of the bucket. Equal layouts give equal bytes. */
export function archivePieces(layout: ExportLayout): Piece[] {
	const manifest = Buffer.from(`${JSON.stringify(manifestOf(layout), null, '\t')}\n`)
	const parts = Map.groupBy(layout.parts, ({ path }) => path)
	const files = layout.files.map((file) => ({
		...file,
		content: parts.get(file.path)?.map(({ key, packed }) => ({ key, length: packed })) ?? [],
	}))
	return zipPieces([{ path: manifestPath, stored: manifest }, ...files], layout.asOf)
}

/** What a path of an archive stands for; null for one that no archive has. */
export function kindOfFile(
	path: string,
): { kind: 'schema' | 'records' | 'csv'; collection: string } | { kind: 'audit'; collection: null } | null {
	if (path === auditPath) return { kind: 'audit', collection: null }
	const [, collection = '', name = ''] = /^collections\/([a-z][a-z0-9_-]{0,62})\/([a-z.]+)$/.exec(path) ?? []
	const kinds = { 'schema.json': 'schema', 'records.ndjson': 'records', 'records.csv': 'csv' } as const
	const kind = Object.entries(kinds).find(([file]) => file === name)?.[1]
	return kind ? { kind, collection } : null
}

/** A part of a file, where it lies in the archive. */
export interface PlacedPart extends PackedPart {
	offset: number
}

/** The archive that a manifest describes: its pieces, and where the parts of each file lie among them. */
export function describedPieces(manifest: Manifest, bytes: Uint8Array): { pieces: Piece[]; parts: PlacedPart[][] } {
	const files = manifest.files.map(({ path, bytes: size, crc32: crc, parts }, file) => ({
		path,
		bytes: size,
		crc,
		packed: sumOf(parts, ([, packed]) => packed),
		content: parts.map(([, packed], part) => ({ key: `${file}/${part}`, length: packed })),
	}))
	const pieces = zipPieces([{ path: manifestPath, stored: bytes }, ...files], Date.parse(manifest.export.as_of))
	const offsets = new Map<string, number>()
	let offset = 0
	for (const piece of pieces) {
		if (!(piece instanceof Uint8Array)) offsets.set(piece.key, offset)
		offset += piece.length
	}
	const parts = manifest.files.map((one, file) =>
		one.parts.map(([size, packed], part) => ({ offset: offsets.get(`${file}/${part}`) ?? 0, bytes: size, packed })),
	)
	return { pieces, parts }
}

function manifestOf({ tenant, exportId, asOfSeq, asOf, restricted = [], files, parts }: ExportLayout): Manifest {
	const partsByPath = Map.groupBy(parts, ({ path }) => path)
	const linesIn = (chosen: typeof files) => sumOf(chosen, ({ records }) => records ?? 0)
	const records = files.filter(({ path }) => path.endsWith('/records.ndjson'))
	return {
		format: 'freehold-archive',
		version: manifestVersion,
		tenant: {
			id: tenant.id,
			slug: tenant.slug,
			name: tenant.name,
			region: tenant.region,
			created_at: new Date(tenant.createdAt).toISOString(),
		},
		export: { id: exportId, as_of_seq: asOfSeq, as_of: new Date(asOf).toISOString() },
		...(restricted.length > 0 && { restricted_subjects: restricted }),
		counts: {
			collections: records.length,
			records: linesIn(records),
			audit_entries: linesIn(files.filter(({ path }) => path === auditPath)),
		},
		files: files.map(({ path, records: lines, bytes, sha256, crc }) => ({
			path,
			records: lines,
			bytes,
			sha256,
			crc32: crc,
			parts: partsByPath.get(path)?.map((part): [number, number] => [part.bytes, part.packed]) ?? [],
		})),
	}
}
