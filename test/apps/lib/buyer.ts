import { createClient, type Client } from '@mppkit/client'
import { decodeRequest, parseChallenges, type JsonObject } from '@mppkit/core'
import { createToyLedger, toyWallet } from '@mppkit/testing/toy'
import type { App } from '../../../apps/lib/run.ts'

export type Name = 'alice' | 'bob'

/** A buyer that pays an app on its rail. */
export function buyerOf({ rail }: Pick<App, 'rail'>, name: Name = 'alice'): Client {
  const limits = (['usd', 'eur'] as const).map((currency) => ({
    currency: rail.currency(currency),
    perRequest: '1000',
  }))
  return createClient({ methods: [rail.wallet(name)], policy: { limits } })
}

/** What a 402 asks for; undefined: it asks for nothing. */
export function askedOf(response: Response): JsonObject | undefined {
  const challenge = challengeOf(response)
  return challenge && decodeRequest(challenge.request)
}

/** Asks for the price, and gives the headers that pay it on the toy rail: once, however often they are sent. */
export async function pay(url: string, init: RequestInit = {}, name: Name = 'alice'): Promise<Headers> {
  const response = await fetch(url, init)
  // Read, not cancelled: Next, in the same process, makes two of each body.
  await response.text()
  const challenge = challengeOf(response)
  if (!challenge) throw new Error(`${url} answered ${response.status} without a challenge`)
  const headers = new Headers(init.headers)
  headers.set('authorization', await toyWallet({ ledger: createToyLedger(), account: name }).pay(challenge))
  return headers
}

/** A request with a JSON body. */
export function posted(body: unknown, headers: Record<string, string> = {}): RequestInit {
  return {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
  }
}

/** Repeats a call while it is answered with 409 and Retry-After: the buyer is told to wait. */
export async function insist(call: () => Promise<Response>): Promise<Response> {
  for (let tries = 0; ; tries++) {
    const response = await call()
    if (tries === 100 || response.status !== 409 || !response.headers.has('retry-after')) return response
    await response.text()
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

function challengeOf(response: Response) {
  return parseChallenges(response.headers.get('www-authenticate') ?? '').challenges[0]
}
