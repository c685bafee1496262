import { signal } from '@preact/signals'

/** One sentence about what was just done; read aloud, and gone after a while. */
export const toast = signal<string | null>(null)

let timer: ReturnType<typeof setTimeout> | undefined

export function say(sentence: string): void {
	toast.value = sentence
	clearTimeout(timer)
	timer = setTimeout(() => {
		toast.value = null
	}, 6_000)
}

/** @param what in the words of the confirmation */
export async function copy(text: string, what: string): Promise<void> {
	try {
		await navigator.clipboard.writeText(text)
		say(`Copied ${what}.`)
	} catch {
		say(`The browser does not let the console copy ${what}; select and copy it by hand.`)
	}
}
