/** Looks for texts in the bytes of files, as somebody would who has stolen the disk. */
import { closeSync, openSync, readdirSync, readSync, realpathSync, statSync } from 'node:fs'
import { join } from 'node:path'

/** Read at once; a text that lies across two pieces is found in both together. */
const pieceBytes = 1 << 20

/**
 * The files below the folders, links followed, that hold one of the texts in UTF-8, UTF-16, base64 or hexadecimal. A file that goes
 * while it is looked at held nothing for long.
 */
export function filesWith(folders: readonly string[], texts: readonly string[]): string[] {
	const needles = texts.flatMap(formsOf)
	return [...new Set(folders.flatMap(filesBelow))].filter((file) => holds(file, needles)).sort()
}

function filesBelow(folder: string): string[] {
	const names = unlessGone(() => readdirSync(folder)) ?? []
	return names.flatMap((name) => {
		const path = unlessGone(() => realpathSync(join(folder, name)))
		const found = path === null ? null : unlessGone(() => statSync(path))
		if (path === null || found === null) return []
		if (found.isDirectory()) return filesBelow(path)
		return found.isFile() ? [path] : []
	})
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

function holds(file: string, needles: readonly Buffer[]): boolean {
	const overlap = Math.max(...needles.map(({ length }) => length)) - 1
	const descriptor = unlessGone(() => openSync(file, 'r'))
	if (descriptor === null) return false
	try {
		const piece = Buffer.alloc(overlap + pieceBytes)
		let kept = 0
		for (;;) {
			const read = readSync(descriptor, piece, kept, pieceBytes, null)
			if (read === 0) return false
			const filled = piece.subarray(0, kept + read)
			if (needles.some((needle) => filled.includes(needle))) return true
			kept = Math.min(overlap, filled.length)
			piece.copyWithin(0, filled.length - kept, filled.length)
		}
	} finally {
		closeSync(descriptor)
	}
}

function unlessGone<T>(look: () => T): T | null {
	try {
		return look()
	} catch (error) {
		if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null
		throw error
	}
}
