import { parseChallenges, type Challenge } from '@mppkit/core'
import { fetchOf, type TestedApp } from './tested-app.ts'

/** Who pays: a wallet of the toy rail, or whatever answers a challenge of its method. */
export interface Payer {
  /** Of the method. */
  name: string
  /** Gives the value of an `Authorization` field. */
  pay(challenge: Challenge): Promise<string>
}

/** Which challenge was answered to get an answer. */
const paid = new WeakMap<object, Challenge>()

/**
 * A fetch for tests that pays what an app asks, without a port: asks, answers the 402 once, and gives what the app then
 * says. What costs nothing is not paid; a second 402 is returned.
 *
 * Paths stand for `http://localhost`. Only Express, Fastify and servers of Node see a request as one from this machine;
 * elsewhere give `createMpp` an `origin`, e.g. `http://localhost`.
 * @throws TypeError for an app of no known kind
 * @throws Error when the app takes no payment of this payer's method
 */
export function payAs(
  app: TestedApp,
  payer: Payer,
): (input: string | URL | Request, init?: RequestInit) => Promise<Response> {
  const ask = fetchOf(app)
  return async (input, init) => {
    const request = new Request(input instanceof Request ? input : new URL(input, 'http://localhost'), init)
    const body = request.body ? new Uint8Array(await request.arrayBuffer()) : undefined
    const again = (headers: Headers): Request => {
      const { url, method, signal } = request
      return new Request(url, { method, headers, signal, ...(body && { body: body as BodyInit }) })
    }
    const first = await ask(again(request.headers))
    if (first.status !== 402) return first
    const challenge = choose(first, payer)
    const headers = new Headers(request.headers)
    // Beside a token for another scheme, if there is one.
    headers.append(challenge.header ?? 'authorization', await payer.pay(challenge))
    const answer = await ask(again(headers))
    paid.set(answer, challenge)
    return answer
  }
}

/** The challenge that `payAs` has answered for this answer; undefined: none. */
export function paidFor(answer: object): Challenge | undefined {
  return paid.get(answer)
}

function choose(answer: Response, { name }: Payer): Challenge {
  const { challenges } = parseChallenges(answer.headers.get('www-authenticate') ?? '')
  const challenge = challenges.find(({ method, intent }) => method === name && intent === 'charge')
  if (challenge) return challenge
  const offers = challenges.map(({ method, intent }) => `${method}/${intent}`).join(', ') || 'nothing'
  throw new Error(`payAs pays with ${name}/charge, but the 402 offers ${offers}`)
}
