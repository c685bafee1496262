/** What the person asked for makes no sense; the command ends with status 2 and shows how it is used. */
export class UsageError extends Error {}

/** Runs a command: `--help` prints the usage, wrong use ends with status 2, a failure with one sentence and status 1. */
export async function runCommand(main: (args: string[]) => Promise<void>, usage: string): Promise<void> {
	const args = process.argv.slice(2)
	if (args.includes('--help') || args.includes('-h')) {
		console.log(usage)
		return
	}
	try {
		await main(args)
	} catch (error) {
		const wrongUse = error instanceof UsageError || isParseError(error)
		console.error(`error: ${messageOf(error)}`)
		if (wrongUse) console.error(`\n${usage}`)
		process.exitCode = wrongUse ? 2 : 1
	}
}

function messageOf(error: unknown): string {
	// A refused connection to a name with several addresses has its messages inside.
	if (error instanceof AggregateError && error.message === '') return error.errors.map(messageOf).join(', ')
	return error instanceof Error ? error.message : String(error)
}

function isParseError(error: unknown): boolean {
	return error instanceof Error && 'code' in error && String(error.code).startsWith('ERR_PARSE_ARGS')
}
