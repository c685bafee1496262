import { ask, Refused } from './api.ts'
import { farewell, keepForTab, keptInTab, operator, resuming, token } from './session.ts'
import { operator as operatorShape } from './shapes.ts'

/** @throws Refused when the token is not one of an operator that may read */
export async function enter(secret: string, keep: boolean): Promise<void> {
	token.value = secret
	try {
		operator.value = (await ask(operatorShape, '/v1/operator')).value
	} catch (error) {
		token.value = null
		throw error
	}
	farewell.value = null
	if (keep) keepForTab(secret)
}

/** Goes on with the token that this tab was asked to keep. */
export async function resume(): Promise<void> {
	const kept = keptInTab()
	try {
		if (kept !== null) await enter(kept, true)
	} catch (error) {
		farewell.value = error instanceof Refused ? error.message : 'Sign in again.'
	}
	resuming.value = false
}
