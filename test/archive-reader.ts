import { createHash } from 'node:crypto'
import { configure, Uint8ArrayReader, Uint8ArrayWriter, ZipReader } from '@zip.js/zip.js'
import { type Manifest, manifestPath, manifestSchema } from '../core/archive.ts'

configure({ useWebWorkers: false })

export interface ReadArchive {
	manifest: Manifest
	/** Every file by its path, the manifest too. */
	files: Map<string, string>
	paths: string[]
}

/** Reads an archive by a library that knows nothing of ours, and holds every file to the manifest. */
export async function readArchive(bytes: Uint8Array): Promise<ReadArchive> {
	const reader = new ZipReader(new Uint8ArrayReader(bytes), { checkSignature: true, strictness: 'strict' } as object)
	const files = new Map<string, string>()
	const paths: string[] = []
	for (const entry of await reader.getEntries()) {
		if (entry.directory) throw new Error('a folder in an archive')
		const content = await entry.getData(new Uint8ArrayWriter())
		paths.push(entry.filename)
		files.set(entry.filename, new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(content))
	}
	const manifest = manifestSchema.parse(JSON.parse(files.get(manifestPath) ?? ''))
	for (const file of manifest.files) {
		const text = files.get(file.path) ?? ''
		const sha256 = createHash('sha256').update(text).digest('hex')
		if (sha256 !== file.sha256 || Buffer.byteLength(text) !== file.bytes)
			throw new Error(`${file.path} is not as the manifest says`)
		if (file.records !== null && !file.path.endsWith('.csv') && linesOf(text).length !== file.records)
			throw new Error(`${file.path} has another number of lines`)
	}
	if (manifest.files.length !== paths.length - 1) throw new Error('files that the manifest does not name')
	return { manifest, files, paths }
}

export function linesOf(text = ''): string[] {
	return text.split('\n').slice(0, -1)
}
