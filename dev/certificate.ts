/** `npm run certificate`: checks the certificate of an erasure, without trusting whoever handed it over. */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { isDeepStrictEqual, parseArgs } from 'node:util'
import { z } from 'zod'
import { keySet, verifyCertificate } from '../core/certificate.ts'
import { runCommand, UsageError } from './command.ts'
import { projectDir } from './processes.ts'

const usage = `Usage: npm run certificate -- verify FILE [--keys FILE|URL]

Says whether FILE is a certificate of erasure that this deployment has signed, unchanged, and prints what it says.
FILE is the answer of GET /v1/erasures/{id}, or the text of its certificate_jws. Ends with status 1 when it is not genuine.

  --keys FILE|URL  the public keys, as GET /.well-known/jwks.json serves them; those of the running npm run dev when absent
  --help           this text`

async function main(args: string[]): Promise<void> {
	const { values, positionals } = parseArgs({ args, allowPositionals: true, options: { keys: { type: 'string' } } })
	const [command, file, ...others] = positionals
	if (command !== 'verify' || file === undefined || others.length > 0) throw new UsageError('say: verify FILE')
	const { jws, shown } = readFile(file)
	const { keys } = keySet.parse(JSON.parse(await readKeys(values.keys)))
	const verified = await verifyCertificate(jws, keys)
	if (!verified.ok) throw new Error(`not genuine: ${verified.refusal.detail}`)
	const said = JSON.parse(verified.value)
	if (shown !== undefined && !isDeepStrictEqual(shown, said)) {
		throw new Error('not genuine: the certificate in the file says something else than what was signed')
	}
	console.log(JSON.stringify(said, null, 2))
	console.log(`\nGenuine: signed with Ed25519, and unchanged since. No recoverable copy exists after ${said.horizon}.`)
}

const answer = z.object({ certificate: z.unknown(), certificate_jws: z.string().nullable() })

/** The signed text, and what the file claims that it says. */
function readFile(file: string): { jws: string; shown?: unknown } {
	if (!existsSync(file)) throw new UsageError(`there is no file ${file}`)
	const text = readFileSync(file, 'utf8').trim()
	if (!text.startsWith('{')) return { jws: text }
	const { certificate, certificate_jws: jws } = answer.parse(JSON.parse(text))
	if (jws === null) throw new Error('this erasure is not certified yet')
	return { jws, shown: certificate }
}

async function readKeys(place: string | undefined): Promise<string> {
	if (place === undefined) {
		const stack = join(projectDir, '.data', 'dev', 'stack.json')
		if (!existsSync(stack)) throw new UsageError('npm run dev is not running here: say where the keys are with --keys')
		const { url } = z.object({ url: z.string() }).parse(JSON.parse(readFileSync(stack, 'utf8')))
		return readKeys(`${url}/.well-known/jwks.json`)
	}
	if (!/^https?:/.test(place)) return readFileSync(place, 'utf8')
	const response = await fetch(place)
	if (!response.ok) throw new Error(`${place} answered ${response.status}`)
	return response.text()
}

await runCommand(main, usage)
