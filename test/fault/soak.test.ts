import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { describe } from './soak/report.ts'
import { soak } from './soak/soak.ts'

test('[D1] [J1] [I1] [U1] [V1] [V2] under kills, freezes and a view that fails in every way, nothing acknowledged is lost, nothing is done twice, and the view tells the truth', async () => {
	const dataDir = mkdtempSync(join(tmpdir(), 'freehold-soak-'))
	chmodSync(dataDir, 0o711)
	const seed = Number(process.env.SEED ?? Date.now() % 1_000_000)
	const report = await soak({ dataDir, seed, seconds: 60, secondsMax: 300, disk: false, log: () => {} })
	console.log(describe(report))
	const { verdict, violations, lacking, refusals, streamFaults } = report
	const found = { verdict, violations: violations.slice(0, 10), lacking, refusals, streamFaults }
	// What led to anything else lies in the folder, which is kept then.
	const nothing = { violations: [], lacking: [], refusals: {}, streamFaults: [] }
	expect({ dataDir, ...found }).toEqual({ dataDir, verdict: 'passed', ...nothing })
	rmSync(dataDir, { recursive: true, force: true })
}, 900_000)
