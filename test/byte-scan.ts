/** Looks for texts in the bytes of files, as somebody would who has stolen the disk. */
import { open, readdir, realpath, stat } from 'node:fs/promises'
import { join } from 'node:path'

/** Read at once; a text that lies across two pieces is found in both together. */
const pieceBytes = 1 << 20

/**
 * The files below the folders, links followed, that hold a text in UTF-8, UTF-16, base64 or hexadecimal. A file that goes
 * while it is looked at held nothing for long. Others get their turn meanwhile: whoever blocks a process for seconds finds its
 * connections closed.
 */
export async function filesWith(folders: readonly string[], text: string): Promise<string[]> {
	const needles = formsOf(text)
	const files = new Set((await Promise.all(folders.map(filesBelow))).flat())
	const found: string[] = []
	for (const file of files) if (await holds(file, needles)) found.push(file)
	return found.sort()
}

async function filesBelow(folder: string): Promise<string[]> {
	const names = (await unlessGone(readdir(folder))) ?? []
	const found = names.map(async (name) => {
		const path = await unlessGone(realpath(join(folder, name)))
		const about = path === null ? null : await unlessGone(stat(path))
		if (path === null || about === null) return []
		if (about.isDirectory()) return filesBelow(path)
		return about.isFile() ? [path] : []
	})
	return (await Promise.all(found)).flat()
}

/** Base64 depends on where in a group of three bytes the text begins; the characters that its neighbours share are left out. */
function formsOf(text: string): Buffer[] {
	const bytes = Buffer.from(text)
	const based = [0, 1, 2].flatMap((shift) => {
		const whole = Math.floor((bytes.length + shift) / 3) * 3
		const shifted = Buffer.concat([Buffer.alloc(shift), bytes]).subarray(0, whole)
		const inner = (form: 'base64' | 'base64url') => Buffer.from(shifted.toString(form).slice(shift === 0 ? 0 : 4))
		return [inner('base64'), inner('base64url')]
	})
	const hex = bytes.toString('hex')
	return [bytes, Buffer.from(text, 'utf16le'), ...based, Buffer.from(hex), Buffer.from(hex.toUpperCase())]
}

async function holds(path: string, needles: readonly Buffer[]): Promise<boolean> {
	const overlap = Math.max(...needles.map(({ length }) => length)) - 1
	const file = await unlessGone(open(path))
	if (file === null) return false
	try {
		const piece = Buffer.alloc(overlap + pieceBytes)
		let kept = 0
		for (;;) {
			const { bytesRead } = await file.read(piece, kept, pieceBytes)
			if (bytesRead === 0) return false
			const filled = piece.subarray(0, kept + bytesRead)
			if (needles.some((needle) => filled.includes(needle))) return true
			kept = Math.min(overlap, filled.length)
			piece.copyWithin(0, filled.length - kept, filled.length)
		}
	} finally {
		await file.close()
	}
}

async function unlessGone<T>(looked: Promise<T>): Promise<T | null> {
	try {
		return await looked
	} catch (error) {
		if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null
		throw error
	}
}
