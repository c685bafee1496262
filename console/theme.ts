import { signal } from '@preact/signals'

export type Theme = 'system' | 'light' | 'dark'

/** What the person chose; `system` follows the device. A choice of colours is no secret, so it may outlive the tab. */
export const theme = signal<Theme>(kept())

export function applyTheme(chosen: Theme = theme.peek()): void {
	theme.value = chosen
	if (chosen === 'system') delete document.documentElement.dataset.theme
	else document.documentElement.dataset.theme = chosen
	localStorage.setItem('freehold-theme', chosen)
}

function kept(): Theme {
	const text = localStorage.getItem('freehold-theme')
	return text === 'light' || text === 'dark' ? text : 'system'
}
