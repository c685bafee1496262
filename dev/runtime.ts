import { mkdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { freePort, isFree } from './port.ts'
import { endGroup, projectDir, type StartedProcess, startProcess } from './processes.ts'

/** `wrangler` serves the source and rebuilds it on every change; `direct` serves one build, with nothing before workerd. */
export type RuntimeKind = 'wrangler' | 'direct'

export interface Runtime {
	url: string
	/** Leads the process group in which everything of the runtime runs, workerd included. */
	pid: number
	/** Settles when the runtime has ended, asked or not. */
	ended: Promise<void>
	stop(): Promise<void>
}

export interface RuntimeOptions {
	kind: RuntimeKind
	/** The wrangler.toml to run. */
	config: string
	/** 0 for a free one. */
	port: number
	envFile: string
	stateDir: string
	logFile: string
	recordFile: string
	/** For what the tools around the runtime want to write. */
	dataDir: string
	/** Milliseconds between two rings of the cron trigger; 0 for never. */
	cronMs: number
	direct: DirectOptions
}

/** What only the direct runtime can do. */
export interface DirectOptions {
	/** Keeps the objects of tenants in memory; otherwise each goes ten seconds after its last request. */
	keepsObjects?: boolean
	/** Where workerd's inspector listens; nowhere when absent. */
	inspectorPort?: number
	/** What the heap of each isolate may hold, in megabytes; workerd ends when one needs more. */
	heapMegabytesMax?: number
}

const startMsMax = 120_000

/** Starts the Worker on 127.0.0.1 and returns when `GET /openapi.json` answers. @throws with the end of the log when it never does */
export async function startRuntime(options: RuntimeOptions): Promise<Runtime> {
	const { config, logFile, recordFile } = options
	const port = options.port === 0 ? await freePort() : options.port
	if (!(await isFree(port))) throw new Error(`port ${port} is taken by another program; choose another one`)
	const logStart = statSync(logFile, { throwIfNoEntry: false })?.size ?? 0
	const { command, args } = options.kind === 'wrangler' ? wranglerCommand(options, port) : directCommand(options, port)
	const { heapMegabytesMax } = options.direct
	const env = {
		...quiet(options.dataDir),
		...(heapMegabytesMax !== undefined && { MINIFLARE_WORKERD_V8_FLAGS: `--max-heap-size=${heapMegabytesMax}` }),
	}
	const started = await startProcess({
		command,
		args,
		cwd: dirname(config),
		env,
		logFile,
		recordFile,
		endSignal: 'SIGTERM',
	})
	const url = `http://127.0.0.1:${port}`
	// The direct runtime fires its own.
	const cron =
		options.kind === 'wrangler' && options.cronMs > 0 ? setInterval(() => void fireCron(url), options.cronMs) : null
	const stop = async () => {
		if (cron !== null) clearInterval(cron)
		await endGroup(started.pid, 'SIGTERM')
		rmSync(recordFile, { force: true })
	}
	if (!(await answers(started, url))) {
		await stop()
		throw new Error(
			`the Worker did not start; ${logFile} ends with\n${readFileSync(logFile).subarray(logStart).toString().slice(-2_000)}`,
		)
	}
	// What the trigger keeps up to date is there from the start.
	if (cron !== null) void fireCron(url)
	const { child } = started
	const ended = new Promise<void>((resolve) => {
		if (child.exitCode !== null || child.signalCode !== null) resolve()
		else child.once('exit', () => resolve())
	})
	return { url, pid: started.pid, ended, stop }
}

/** `wrangler dev` fires no cron trigger by itself. A run that fails is in the Worker's log. */
async function fireCron(url: string): Promise<void> {
	try {
		const answer = await fetch(`${url}/cdn-cgi/local/scheduled`, { method: 'POST' })
		await answer.arrayBuffer()
	} catch {
		// While the Worker is being rebuilt nothing can be fired; the next one will be.
	}
}

function wranglerCommand(
	{ config, envFile, stateDir }: RuntimeOptions,
	port: number,
): { command: string; args: string[] } {
	const place = ['--ip', '127.0.0.1', '--port', String(port), '--inspector-port', '0', '--persist-to', stateDir]
	const args = ['dev', '--config', config, '--env-file', envFile, ...place, '--show-interactive-dev-session=false']
	return { command: join(projectDir, 'node_modules', '.bin', 'wrangler'), args }
}

function directCommand(
	{ config, envFile, stateDir, dataDir, cronMs, direct }: RuntimeOptions,
	port: number,
): { command: string; args: string[] } {
	const place = [
		'--port',
		String(port),
		'--persist-to',
		stateDir,
		'--build-to',
		join(dataDir, 'build'),
		'--cron-ms',
		String(cronMs),
		...(direct.keepsObjects ? ['--keep', 'TENANT_SHARD'] : []),
		...(direct.inspectorPort === undefined ? [] : ['--inspector-port', String(direct.inspectorPort)]),
	]
	return {
		command: process.execPath,
		args: [join(projectDir, 'dev', 'direct.ts'), '--config', config, '--env-file', envFile, ...place],
	}
}

/** Nothing leaves the machine, no request is written down beside our own log, and two stacks do not find each other. */
function quiet(dataDir: string): Record<string, string> {
	const own = join(dataDir, 'wrangler')
	mkdirSync(own, { recursive: true, mode: 0o700 })
	return {
		CLOUDFLARE_CF_FETCH_ENABLED: 'false',
		WRANGLER_SEND_METRICS: 'false',
		WRANGLER_SEND_ERROR_REPORTS: 'false',
		WRANGLER_HIDE_BANNER: 'true',
		X_LOCAL_OBSERVABILITY: 'false',
		X_LOCAL_EXPLORER: 'false',
		WRANGLER_LOG_PATH: join(own, 'logs'),
		WRANGLER_REGISTRY_PATH: join(own, 'registry'),
		WRANGLER_CACHE_DIR: join(own, 'cache'),
		NO_COLOR: '1',
	}
}

async function answers({ child }: StartedProcess, url: string): Promise<boolean> {
	const deadline = Date.now() + startMsMax
	while (child.exitCode === null && child.signalCode === null && Date.now() < deadline) {
		try {
			const response = await fetch(`${url}/openapi.json`, { signal: AbortSignal.timeout(5_000) })
			await response.arrayBuffer()
			if (response.ok) return true
		} catch {
			// Not listening yet.
		}
		await new Promise((resolve) => setTimeout(resolve, 50))
	}
	return false
}
