import { defineConfig } from 'vite'

/** `dev/assets.ts` builds this; the Worker serves its page at /console and its files at /console-files. */
export default defineConfig({
	root: import.meta.dirname,
	base: '/console-files/',
	oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
	build: {
		assetsDir: '',
		target: 'es2022',
		// An image in the text of a style sheet or script would need a policy that allows it.
		assetsInlineLimit: 0,
		modulePreload: { polyfill: false },
		sourcemap: false,
		emptyOutDir: true,
	},
})
