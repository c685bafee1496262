import type { Reporter, TestModule } from 'vitest/node'

/** Prints the one line that continuous integration reads, after everything else. */
export default class Summary implements Reporter {
	onTestRunEnd(modules: readonly TestModule[], errors: readonly unknown[]): void {
		let passed = 0
		let failed = errors.length
		for (const module of modules) {
			// A file that does not load has no tests; it counts as one that failed.
			if (module.errors().length > 0) failed++
			for (const test of module.children.allTests()) {
				if (test.result().state === 'passed') passed++
				else if (test.result().state === 'failed') failed++
			}
		}
		process.on('exit', () => process.stdout.write(`\n${passed} passed, ${failed} failed\n`))
	}
}
