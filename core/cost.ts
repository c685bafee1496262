import { prices, queueOperationsPerMessage } from './prices.ts'

/** What the platform bills of a tenant, as far as it is metered: the time in which its objects work is not. */
export interface Metered {
	/** Each is a request of the Worker and one of an object. */
	requests: number
	rowsWritten: number
	rowsRead: number
	messages: number
}

/** Dollars at list price, without the amounts that a plan includes. */
export function costOf({ requests, rowsWritten, rowsRead, messages }: Metered): number {
	return (
		requests * (prices.workerRequest + prices.objectRequest) +
		rowsWritten * prices.rowWritten +
		rowsRead * prices.rowRead +
		messages * queueOperationsPerMessage * prices.queueOperation
	)
}
