import type { ComponentChildren } from 'preact'
import { useEffect, useRef } from 'preact/hooks'

let first = true

/** Names the window, and takes a keyboard's focus to the top of what was opened. */
export function Page({
	title,
	actions,
	children,
}: {
	title: string
	actions?: ComponentChildren
	children: ComponentChildren
}) {
	const heading = useRef<HTMLHeadingElement>(null)
	useEffect(() => {
		document.title = `${title} · Freehold`
	}, [title])
	useEffect(() => {
		if (!first) heading.current?.focus({ preventScroll: true })
		first = false
	}, [])
	return (
		<>
			<header class="page">
				<h1 ref={heading} tabIndex={-1}>
					{title}
				</h1>
				{actions && <div class="actions">{actions}</div>}
			</header>
			{children}
		</>
	)
}
