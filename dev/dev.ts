/** `npm run dev`: the whole system on this machine until Ctrl-C. */
import { randomBytes } from 'node:crypto'
import { parseArgs } from 'node:util'
import { runCommand, UsageError } from './command.ts'
import { startStack } from './stack.ts'

const usage = `Usage: npm run dev -- [--port PORT] [--data-dir DIR]

Starts Freehold on this machine: the Worker, Postgres and the local Neon endpoint. Ctrl-C stops everything.

  --port PORT     of the API, 8787 when absent; 0 for a free one
  --data-dir DIR  keeps all data, secrets and logs, .data/dev when absent; remove it to start anew
  --help          this text

From the environment: OPERATOR_TOKEN (else one is made and kept), and DATABASE_URL, DATABASE_URL_<REGION>,
DATABASE_READ_URL, DATABASE_READ_URL_<REGION> to use Neon instead of the local Postgres.`

async function main(args: string[]): Promise<void> {
	const { values } = parseArgs({ args, options: { port: { type: 'string' }, 'data-dir': { type: 'string' } } })
	const port = parsePort(values.port ?? '8787')
	const stack = await startStack({
		dataDir: values['data-dir'] ?? '.data/dev',
		port,
		cronMs: 60_000,
		log: (line) => console.log(`  ${line}`),
	})
	const url = stack.url.replace('127.0.0.1', 'localhost')
	console.log(`\nFreehold is ready: ${url}\n`)
	console.log(firstSteps(url, stack.operatorToken))
	console.log(`\nThe API is described at ${url}/docs, the log is in ${stack.logFile}. Ctrl-C stops everything.`)
	await stack.runtime.ended
	await stack.stop()
	throw new Error(`the Worker ended unexpectedly; see ${stack.logFile}`)
}

function parsePort(text: string): number {
	const port = Number(text)
	if (!/^\d+$/.test(text) || port > 65_535) throw new UsageError('--port must be a number from 0 to 65535')
	return port
}

/** Lines to paste into a shell. The slug differs from start to start, because slugs are unique. */
function firstSteps(url: string, token: string): string {
	const json = `-H 'Content-Type: application/json'`
	const slug = `acme-${randomBytes(3).toString('hex')}`
	const schema = {
		type: 'object',
		properties: { title: { type: 'string' }, email: { type: 'string', 'x-personal': true } },
	}
	return [
		'# Create a tenant, as the operator, and keep its key',
		`export OPERATOR_TOKEN='${token}'`,
		`export API_KEY=$(curl -s ${url}/v1/tenants -H "Authorization: Bearer $OPERATOR_TOKEN" ${json} \\`,
		`  -d '{"slug":"${slug}","name":"Acme"}' | sed -E 's/.*"secret":"([^"]+)".*/\\1/'); echo "$API_KEY"`,
		'# As the tenant: a collection, and a record in it',
		`curl -s -X PUT ${url}/v1/collections/notes -H "Authorization: Bearer $API_KEY" ${json} \\`,
		`  -d '${JSON.stringify({ schema })}'; echo`,
		`curl -s ${url}/v1/collections/notes/records -H "Authorization: Bearer $API_KEY" ${json} \\`,
		`  -d '{"title":"Hello","email":"ada@example.com"}'; echo`,
		'# As the operator: the records of all tenants, without their personal fields, a moment later',
		`sleep 2; curl -s '${url}/v1/view/records?collection=notes' -H "Authorization: Bearer $OPERATOR_TOKEN"; echo`,
	].join('\n')
}

await runCommand(main, usage)
