import { useCallback, useEffect, useRef, useState } from 'preact/hooks'
import type { ZodMiniType } from 'zod/mini'
import { ask, Refused } from './api.ts'

/** What a call answered last. A later failure leaves the value, so that a page does not empty itself. */
export interface Loaded<T> {
	path: string
	value: T | null
	next: string | null
	failure: Refused | null
	/** Milliseconds since 1970. */
	loadedAt: number | null
	reload(): void
}

/** The longest wait after failures, which double the interval. */
const waitMsMax = 60_000

/**
 * Asks again and again while the page is looked at.
 * @param everyMs null to ask once
 */
export function useCall<T>(shape: ZodMiniType<T>, path: string, everyMs: number | null = null): Loaded<T> {
	const [state, setState] = useState<Omit<Loaded<T>, 'reload'>>(() => nothing(path))
	const again = useRef(() => {})
	const shapeNow = useRef(shape)
	useEffect(() => {
		const polling = startPolling(shapeNow.current, path, everyMs, (change) =>
			setState((before) => ({ ...(before.path === path ? before : nothing<T>(path)), ...change })),
		)
		again.current = polling.now
		return polling.stop
	}, [path, everyMs])
	const reload = useCallback(() => again.current(), [])
	// For one moment after a change of the path the old answer would stand under the new name.
	return { ...(state.path === path ? state : nothing<T>(path)), reload }
}

function nothing<T>(path: string): Omit<Loaded<T>, 'reload'> {
	return { path, value: null, next: null, failure: null, loadedAt: null }
}

function startPolling<T>(
	shape: ZodMiniType<T>,
	path: string,
	everyMs: number | null,
	tell: (change: Partial<Loaded<T>>) => void,
): { now(): void; stop(): void } {
	const ending = new AbortController()
	let timer: ReturnType<typeof setTimeout> | undefined
	let failures = 0
	let asking = false
	// Set when somebody asks during a call: what that call answers may be older than the wish.
	let again = false
	const later = () => {
		clearTimeout(timer)
		if (again) timer = setTimeout(now, 0)
		else if (everyMs !== null) timer = setTimeout(now, Math.min(waitMsMax, everyMs * 2 ** failures))
	}
	const now = async () => {
		again = asking
		if (asking || document.hidden) return
		asking = true
		try {
			const { value, next } = await ask(shape, path, { signal: ending.signal })
			failures = 0
			tell({ value, next, failure: null, loadedAt: Date.now() })
		} catch (error) {
			if (ending.signal.aborted) return
			if (!(error instanceof Refused)) throw error
			failures += 1
			tell({ failure: error })
		} finally {
			asking = false
			if (!ending.signal.aborted) later()
		}
	}
	const onVisible = () => void now()
	document.addEventListener('visibilitychange', onVisible)
	void now()
	return {
		now: () => void now(),
		stop: () => {
			ending.abort()
			clearTimeout(timer)
			document.removeEventListener('visibilitychange', onVisible)
		},
	}
}
