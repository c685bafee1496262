import { refuse } from '../../core/refusal.ts'
import type { Call, Handled } from './call.ts'
import { respond } from './respond.ts'
import { publicRoute, type Route } from './route.ts'
import { assetParams, consolePageParams, consoleThingParams, css, html, javascript } from './schemas.ts'

const tag = 'About'

/** The page talks to this origin only, and nothing in it is inline. */
const policy =
	"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'"

/** The names of the files hold a hash of what is in them. */
const fileCache = 'public, max-age=31536000, immutable'
const typeByEnding: Record<string, string> = {
	js: 'text/javascript; charset=utf-8',
	css: 'text/css; charset=utf-8',
	svg: 'image/svg+xml',
}

const page = { description: 'The page', schema: html, media: 'text/html' }

/** Every address of the console is one page: which part of it is shown, its script decides. */
export const consoleRoutes: readonly Route[] = [
	publicRoute(
		{
			method: 'get',
			// Not below /console, where it could be a page as well.
			path: '/console-files/{file}',
			tag,
			summary: 'A file of the console',
			params: assetParams,
			answers: {
				200: {
					description: 'The file',
					schema: javascript,
					media: 'text/javascript',
					alternative: { media: 'text/css', schema: css, example: 'body { margin: 0 }' },
				},
			},
			refusals: ['not_found'],
		},
		async (call) => {
			const file = call.c.req.param('file') ?? ''
			const [, ending = ''] = /^[A-Za-z0-9_-]+\.([a-z]+)$/.exec(file) ?? []
			const type = Object.hasOwn(typeByEnding, ending) ? typeByEnding[ending] : undefined
			const found = type === undefined ? undefined : await readFile(call, file)
			if (type === undefined || !found?.ok) return refuse('not_found', 'there is no such file')
			return respond(call, 200, found.body, { 'Content-Type': type, 'Cache-Control': fileCache })
		},
	),
	publicRoute(
		{
			method: 'get',
			path: '/console',
			tag,
			summary: 'The console for operators, as a page',
			answers: { 200: page },
			refusals: ['not_found'],
		},
		respondPage,
	),
	publicRoute(
		{
			method: 'get',
			path: '/console/{page}',
			tag,
			summary: 'A page of the console',
			params: consolePageParams,
			answers: { 200: page },
			refusals: ['not_found'],
		},
		respondPage,
	),
	publicRoute(
		{
			method: 'get',
			path: '/console/{page}/{thing}',
			tag,
			summary: 'A page of the console about one thing',
			params: consoleThingParams,
			answers: { 200: page },
			refusals: ['not_found'],
		},
		respondPage,
	),
]

async function respondPage(call: Call): Handled {
	const found = await readFile(call, 'index.html')
	if (!found?.ok) return refuse('not_found', 'the console was not built')
	return respond(call, 200, found.body, {
		'Content-Type': 'text/html; charset=utf-8',
		'Content-Security-Policy': policy,
		'Cross-Origin-Opener-Policy': 'same-origin',
	})
}

/** From what `dev/assets.ts` has built; undefined where nothing was. */
async function readFile({ ports }: Call, name: string): Promise<Response | undefined> {
	return ports.assets?.fetch(new Request(`https://assets/console/${name}`))
}
