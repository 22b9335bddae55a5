import { createClient, limits, paymentOf } from '@mppkit/client'
import type { ClientMethod } from '@mppkit/core'
import { PATIENCE, pause, quoteOf, send, targetOf, write, type Street } from './buyer.ts'
import type { Plan } from './plan.ts'

/** Buys through `@mppkit/client`, whose fetch is shown the same wire as everyone's; journals what it signs, and what comes back. */
export async function buyWithClient(street: Street, plan: Plan): Promise<string> {
  const { call, rail } = plan
  const wallet = street.wallets.methodOf(rail, call)
  const method: ClientMethod = {
    ...wallet,
    async prepare(challenge, request, context) {
      const prepared = await wallet.prepare(challenge, request, context)
      const debit = street.wallets.debitOf(rail, call, prepared)
      write(street, { t: 'pay', call, rail, quote: quoteOf(challenge), challenge: challenge.id, debit })
      return prepared
    },
  }
  const currency = rail === 'tempo' ? '0x20c0000000000000000000000000000000000000' : 'usd'
  const client = createClient({
    methods: [method],
    policy: { limits: limits({ currency, perRequest: '2.00', total: '2.00' }) },
    fetch: (input, init) => throughTheWire(street, plan, input, init),
  })
  const url = `http://127.0.0.1:${street.port}${targetOf(plan, 'usual')}`
  let outcome: unknown
  for (const end = Date.now() + PATIENCE; Date.now() < end;) {
    try {
      const payment = paymentOf(outcome)
      const response: Response = payment ? await client.resume(payment, url) : await client.fetch(url)
      outcome = response
      if (response.ok) return 'held'
      if (response.status === 402) return 'refused'
      if (response.status === 409 && !response.headers.has('retry-after')) return 'told that it is final'
    } catch (error) {
      // Before anything was signed there is nothing to go on with: the call is made again.
      outcome = paymentOf(error) ? error : outcome
    }
    await pause(200 + street.random() * 300)
  }
  return 'gave up'
}

async function throughTheWire(
  street: Street,
  plan: Plan,
  input: RequestInfo | URL,
  init?: RequestInit,
): Promise<Response> {
  const url = new URL(input instanceof Request ? input.url : input)
  const headers = Object.fromEntries(new Headers(init?.headers).entries())
  const answer = await send(street, plan, url.pathname + url.search, { ...headers, 'x-to': 'any' })
  if (answer.fault !== undefined) throw new TypeError('fetch failed', { cause: new Error(answer.fault) })
  return new Response(new Uint8Array(answer.body), { status: answer.status, headers: answer.headers })
}
