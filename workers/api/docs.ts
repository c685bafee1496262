import { refuse } from '../../core/refusal.ts'
import { respond, respondJson } from './respond.ts'
import { publicRoute, type Route } from './route.ts'
import { assetParams, css, html, index, javascript } from './schemas.ts'

const tag = 'About'

/** Swagger UI and its files come from here: nothing is loaded from any other origin, and no script is inline. */
const docsPolicy =
	"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"

const page = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Freehold API</title>
<link rel="stylesheet" href="/docs/assets/swagger-ui.css">
</head>
<body>
<div id="swagger-ui"></div>
<noscript>The description of the API is at <a href="/openapi.json">/openapi.json</a>.</noscript>
<script src="/docs/assets/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script>
</body>
</html>
`

const start = `SwaggerUIBundle({ url: '/openapi.json', dom_id: '#swagger-ui', deepLinking: true, persistAuthorization: false, validatorUrl: null })
`

/** The files of `swagger-ui-dist` that the page uses. */
const assetTypes: Record<string, string> = {
	'swagger-ui.css': 'text/css; charset=utf-8',
	'swagger-ui-bundle.js': 'text/javascript; charset=utf-8',
}

/** The files change with a deployment only. */
const assetCache = 'public, max-age=3600'

export const docsRoutes: readonly Route[] = [
	publicRoute(
		{
			method: 'get',
			path: '/',
			tag,
			summary: 'Where to go from here',
			answers: {
				200: {
					description: 'Name, version and links',
					schema: index,
					example: { name: 'Freehold', version: '0.1.0', docs: '/docs', openapi: '/openapi.json' },
				},
			},
			refusals: [],
		},
		async (call) => {
			const { version } = call.ports.config
			return respondJson(
				call,
				200,
				JSON.stringify({ name: 'Freehold', version, docs: '/docs', openapi: '/openapi.json' }),
			)
		},
	),
	publicRoute(
		{
			method: 'get',
			path: '/docs',
			tag,
			summary: 'The OpenAPI document as a page',
			answers: { 200: { description: 'The page', schema: html, media: 'text/html' } },
			refusals: [],
		},
		async (call) =>
			respond(call, 200, page, { 'Content-Type': 'text/html; charset=utf-8', 'Content-Security-Policy': docsPolicy }),
	),
	publicRoute(
		{
			method: 'get',
			path: '/docs/start.js',
			tag,
			summary: 'The script that starts the page',
			answers: { 200: { description: 'The script', schema: javascript, media: 'text/javascript' } },
			refusals: [],
		},
		async (call) => respond(call, 200, start, { 'Content-Type': 'text/javascript; charset=utf-8' }),
	),
	publicRoute(
		{
			method: 'get',
			path: '/docs/assets/{file}',
			tag,
			summary: 'A file of the page',
			params: assetParams,
			answers: {
				200: {
					description: 'The file',
					schema: javascript,
					media: 'text/javascript',
					alternative: { media: 'text/css', schema: css, example: '.swagger-ui { color: black }' },
				},
			},
			refusals: ['not_found'],
		},
		async (call) => {
			const file = call.c.req.param('file') ?? ''
			const type = Object.hasOwn(assetTypes, file) ? assetTypes[file] : undefined
			if (type === undefined || !call.ports.assets) return refuse('not_found', 'there is no such file')
			const found = await call.ports.assets.fetch(new Request(`https://assets/${file}`))
			if (!found.ok) return refuse('not_found', 'there is no such file')
			return respond(call, 200, found.body, { 'Content-Type': type, 'Cache-Control': assetCache })
		},
	),
]
