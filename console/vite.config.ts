import { defineConfig } from 'vite'

/** `dev/assets.ts` builds this; the Worker serves it at /console. */
export default defineConfig({
	root: import.meta.dirname,
	base: '/console/',
	oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
	build: {
		target: 'es2022',
		// An image in the text of a style sheet or script would need a policy that allows it.
		assetsInlineLimit: 0,
		modulePreload: { polyfill: false },
		sourcemap: false,
		emptyOutDir: true,
	},
})
