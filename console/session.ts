/**
 * Whose token the console works with. The token is in memory, and in the tab's own storage if its owner wished so: never where
 * another tab or a later visit would find it.
 */
import { computed, signal } from '@preact/signals'
import type { Operator } from './shapes.ts'

const storageKey = 'freehold-operator-token'

export const token = signal<string | null>(null)
export const operator = signal<Operator | null>(null)
/** Why nobody is signed in, when there is something to say. */
export const farewell = signal<string | null>(null)
/** True until it is known whether the tab has kept a token. */
export const resuming = signal(true)

/** Whether what changes or destroys is shown at all; the API decides whether it is allowed. */
export const isAdmin = computed(() => operator.value?.scope === 'admin')

/** Makes this tab remember the token until it is closed. */
export function keepForTab(secret: string): void {
	sessionStorage.setItem(storageKey, secret)
}

export function keptInTab(): string | null {
	return sessionStorage.getItem(storageKey)
}

export function end(reason: string | null): void {
	sessionStorage.removeItem(storageKey)
	token.value = null
	operator.value = null
	farewell.value = reason
}
