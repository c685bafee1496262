/**
 * Serves one build of the Worker by Miniflare with nothing between the socket and workerd, in a process of its own:
 * `wrangler dev` puts two proxies in between, which take most of the time of a request and restart at will.
 */
import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { dirname, join, resolve, sep } from 'node:path'
import { parseArgs } from 'node:util'
import { convertV4MiniflareOptions, Miniflare, type Request, Response } from 'miniflare'
import { unstable_getMiniflareWorkerOptions, unstable_getVarsForDev, unstable_readConfig } from 'wrangler'
import { environment, projectDir } from './processes.ts'

const { values } = parseArgs({
	options: {
		config: { type: 'string', default: 'wrangler.toml' },
		'env-file': { type: 'string', default: '.env' },
		port: { type: 'string', default: '0' },
		'persist-to': { type: 'string', default: '.wrangler/state' },
		'build-to': { type: 'string', default: 'dist/worker' },
		'cron-ms': { type: 'string', default: '0' },
		/** The binding whose objects are never evicted; workerd closes any other ten seconds after its last request. */
		keep: { type: 'string', default: '' },
		/** Of workerd's inspector. */
		'inspector-port': { type: 'string' },
	},
})
const { config, keep, 'inspector-port': inspectorPort } = values
const buildDir = values['build-to']

build()
const miniflare = new Miniflare(
	convertV4MiniflareOptions({
		workers: [workerOptions()],
		host: '127.0.0.1',
		port: 0,
		cf: false,
		logRequests: false,
		// The same place as wrangler's, so that one data folder serves both.
		resourcePersistencePath: join(values['persist-to'], 'v3'),
		telemetry: { enabled: false },
		...(inspectorPort !== undefined && { inspectorPort: Number(inspectorPort) }),
	}),
)
for (const signal of ['SIGINT', 'SIGTERM']) {
	process.on(signal, () => {
		miniflare.dispose().then(
			() => process.exit(0),
			() => process.exit(1),
		)
	})
}
await miniflare.ready
const cronMs = Number(values['cron-ms'])
if (cronMs > 0) {
	setInterval(() => void fireCron(), cronMs)
	// What the trigger keeps up to date is there from the start.
	void fireCron()
}

/** The local runtime fires no cron trigger by itself. A run that fails is in the Worker's log. */
async function fireCron(): Promise<void> {
	try {
		const worker = await miniflare.getWorker()
		await worker.scheduled({ cron: '* * * * *', scheduledTime: new Date() })
	} catch {
		// While workerd is being replaced nothing can be fired; the next one will be.
	}
}

function build(): void {
	const wrangler = join(projectDir, 'node_modules', '.bin', 'wrangler')
	const args = ['deploy', '--dry-run', '--config', config, '--outdir', buildDir]
	const { status } = spawnSync(wrangler, args, { cwd: dirname(config), env: environment(), stdio: 'inherit' })
	if (status !== 0) process.exit(status ?? 1)
}

function workerOptions() {
	const { workerOptions: options } = unstable_getMiniflareWorkerOptions(config)
	const vars = unstable_getVarsForDev(config, [values['env-file']], {}, undefined, true)
	const secrets = Object.fromEntries(Object.entries(vars).map(([name, { value }]) => [name, value]))
	// The router for assets is a Worker of its own in front of ours, which locally costs more than most requests; on the
	// platform it is not ours to pay. Our Worker asks for files by itself, and gets them from their folder.
	const { assets: _assets, ...served } = options
	const { name = 'worker', assets } = unstable_readConfig({ config })
	return {
		...served,
		// Names the folders of the objects.
		name,
		serviceBindings: Object.assign(
			{},
			options.serviceBindings,
			assets?.binding && { [assets.binding]: serveFile(assets) },
		),
		bindings: Object.assign({}, options.bindings, secrets),
		durableObjects: Object.fromEntries(
			Object.entries(options.durableObjects ?? {}).map(([name, object]) => [
				name,
				typeof object === 'string' ? object : { ...object, unsafePreventEviction: name === keep },
			]),
		),
		modules: builtModules(),
		modulesRoot: buildDir,
		unsafeDirectSockets: [{ host: '127.0.0.1', port: Number(values.port) }],
	}
}

/** Answers with a file of the folder, as the platform does for a Worker that asks; the caller says what it is. */
function serveFile({ directory = '' }: { directory?: string | undefined }) {
	const root = resolve(dirname(config), directory)
	return async (request: Request): Promise<Response> => {
		const file = join(root, new URL(request.url).pathname)
		const present = file.startsWith(root + sep) && statSync(file, { throwIfNoEntry: false })?.isFile()
		return present ? new Response(readFileSync(file)) : new Response(null, { status: 404 })
	}
}

/** The entry comes first; wrangler leaves everything that the bundle imports beside it. */
function builtModules() {
	const files = readdirSync(buildDir).filter((file) => /\.(js|sql|wasm)$/.test(file))
	const types = { js: 'ESModule', sql: 'Text', wasm: 'CompiledWasm' } as const
	return files
		.toSorted((a, b) => Number(b === 'main.js') - Number(a === 'main.js'))
		.map((file) => ({
			type: types[file.slice(file.lastIndexOf('.') + 1) as keyof typeof types],
			path: join(buildDir, file),
		}))
}
