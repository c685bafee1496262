import { z } from 'zod'
import { webhookRequestMsMax } from '../../core/limits.ts'

/** The network as webhooks meet it: names over HTTPS, and one request whose answer is only a status. */

type Fetch = (url: string, init: RequestInit) => Promise<Response>

const resolver = 'https://cloudflare-dns.com/dns-query'
const ipv4 = { name: 'A', number: 1 }
const ipv6 = { name: 'AAAA', number: 28 }

/** A Worker cannot ask the resolver of its own machine. Status 0 is success, 3 a name that does not exist (RFC 1035, 4.1.1). */
const answer = z.object({
	Status: z.int(),
	Answer: z.array(z.object({ type: z.int(), data: z.string() })).optional(),
})

/**
 * Every IPv4 and IPv6 address that the name has now, by DNS over HTTPS.
 * @throws when the resolver does not answer, or not with an answer
 */
export async function resolveHost(host: string, fetch: Fetch): Promise<string[]> {
	const found = await Promise.all(
		[ipv4, ipv6].map(async ({ name, number }) => {
			const query = new URLSearchParams({ name: host, type: name })
			const signal = AbortSignal.timeout(webhookRequestMsMax)
			const response = await fetch(`${resolver}?${query}`, { headers: { Accept: 'application/dns-json' }, signal })
			const { Status: status, Answer: records = [] } = answer.parse(await response.json())
			if (status !== 0 && status !== 3) throw new Error('the resolver failed')
			return records.filter(({ type }) => type === number).map(({ data }) => data)
		}),
	)
	return found.flat()
}

/**
 * The status of the answer. What its body says is nobody's business here.
 * @throws an error named `TimeoutError` when no answer came in time
 */
export async function postMessage(
	url: URL,
	headers: Record<string, string>,
	body: string,
	fetch: Fetch,
): Promise<number> {
	const signal = AbortSignal.timeout(webhookRequestMsMax)
	const response = await fetch(url.href, { method: 'POST', headers, body, redirect: 'manual', signal })
	await response.body?.cancel()
	return response.status
}
