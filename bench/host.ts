/** Serves one contestant in a process of its own, so that what serves it is one process tree whose CPU time can be read. */
import { contestants, isContestant } from './contestants/all.ts'

const [name = '', dataDir = '', options = '{}'] = process.argv.slice(2)
if (!isContestant(name)) throw new Error(`there is no contestant ${name}`)
const { stop, refuseDatabase, ...address } = await contestants[name].serve(dataDir, JSON.parse(options))
let ending = false
process.on('message', (message) => {
	if (message === 'refuse') refuseDatabase?.(true)
	if (message === 'serve') refuseDatabase?.(false)
	if (message === 'stop') end()
})
// Whoever started this process is gone, or is asked to go together with it.
process.on('disconnect', end)
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, end)
// It may have gone while the contestant was starting.
if (process.connected) process.send?.(address)
else end()

function end(): void {
	if (ending) return
	ending = true
	stop().finally(() => process.exit(0))
}
