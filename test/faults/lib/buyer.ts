import {
  decodeRequest,
  formatCredential,
  parseChallenges,
  type Challenge,
  type JsonObject,
} from '@mppkit/core'
import { exchange, type Answered } from './exchange.ts'
import type { Got, JournalLine } from './lines.ts'
import type { Plan } from './plan.ts'
import { filesOf, note, type Settings } from './settings.ts'
import type { Purse, Wallets } from './wallets.ts'

/** What buyers share: the way to the shop, and their purses. */
export interface Street {
  settings: Settings
  /** Of the proxy. */
  port: number
  wallets: Wallets
  random(): number
  /** Proofs that were sent, for thieves. */
  seen: Map<string, JsonObject>
}

/** A signed payment, ready to be sent any number of times. */
export interface Offer {
  purse: Purse
  challenge: Challenge
  authorization: string
  payload: JsonObject
}

export type Shelf = 'usual' | 'brief' | 'long'

/** Milliseconds after which a buyer gives up. */
export const PATIENCE = 150_000

/** Milliseconds for which a request carries what kills its seller. */
const DEADLY = 15_000

/** Pays once, and sends the same credential until the answer is final. Resolves with how it ended. */
export async function buy(street: Street, plan: Plan, ice?: string): Promise<string> {
  const skewed = plan.fault?.kind === 'skew'
  const target = targetOf(plan, skewed ? 'long' : 'usual')
  const [here, there] = street.random() < 0.5 ? ['fast', 'slow'] : ['slow', 'fast']
  const offer = await sign(street, plan, await quote(street, plan, target, skewed ? here : 'any'))
  if (!offer) return 'asked in vain'
  if (offer.purse.send) await insist(() => offer.purse.send!())
  return persist(street, plan, target, offer, ice ?? (skewed ? there : 'any'))
}

export function targetOf({ call, shape, does }: Plan, shelf: Shelf): string {
  return `/${shelf}/${call}?shape=${shape}&does=${does}`
}

/** The challenge of the rail that this buyer pays on; undefined: nobody asked for money, however often he came. */
export async function quote(
  street: Street,
  plan: Plan,
  target: string,
  to: string,
): Promise<Challenge | undefined> {
  for (let tries = 0; tries < 60; tries++) {
    const answer = await exchange(street.port, target, { 'x-to': to })
    const { challenges } = parseChallenges(answer.headers.get('www-authenticate') ?? '')
    const challenge = challenges.find(({ method }) => method === plan.rail)
    if (answer.status === 402 && challenge) return challenge
    write(street, { t: 'got', call: plan.call, ...plain(answer) })
    await pause(250)
  }
  return undefined
}

/** Signs, and journals it before anything can move. */
export async function sign(
  street: Street,
  { call, rail }: Plan,
  challenge: Challenge | undefined,
): Promise<Offer | undefined> {
  if (!challenge) return undefined
  const purse = await street.wallets.prepare(rail, call, challenge)
  write(street, {
    t: 'pay',
    call,
    rail,
    quote: quoteOf(challenge),
    challenge: challenge.id,
    debit: purse.debit,
  })
  const { payload, source } = purse
  return { purse, challenge, payload, authorization: formatCredential({ challenge, payload, source }) }
}

/** Sends a signed payment until its answer is final. */
export async function persist(
  street: Street,
  plan: Plan,
  target: string,
  offer: Offer,
  first: string,
): Promise<string> {
  const end = Date.now() + PATIENCE
  street.seen.set(plan.rail, offer.payload)
  const until = Date.now() + DEADLY
  let failures = 0
  let wait = 700
  for (let tries = 1; Date.now() < end; tries++) {
    const got = await attempt(street, plan, target, offer, { tries, to: tries === 1 ? first : 'any', until })
    if (got.status >= 200 && got.status < 300 && got.complete) return 'held'
    const isBroken = got.status === 0 || !got.complete
    if (plan.leaves && (isBroken || got.status === 503)) return 'left'
    if (isBroken) await pause(100 + street.random() * 300)
    else if (got.retry && (got.status === 409 || got.status === 503))
      await pause((wait = Math.min(wait * 1.25, 4000)) + street.random() * 400)
    else if (got.status === 409) return 'told that it is final'
    else if (got.status === 402) return 'refused'
    else if (got.status !== 500 || ++failures > 4) return `answered ${got.status}`
    else await pause(50)
  }
  return 'gave up'
}

async function attempt(
  street: Street,
  plan: Plan,
  target: string,
  offer: Offer,
  { tries, to, until }: { tries: number; to: string; until: number },
): Promise<Got> {
  const { fault } = plan
  const headers = headersOf(plan, offer)
  // Who was held up by the fault of another for so long brings no fault of his own any more: else a run would never end.
  if (fault?.kind === 'kill' && Date.now() > until) delete headers['x-fault']
  if (tries > 1 || fault?.kind !== 'wire') return send(street, plan, target, { ...headers, 'x-to': to })
  if (fault.wire !== 'concurrent') {
    const bound = {
      'cut-request': 60,
      'cut-answer': plan.shape === 'small' ? 700 : 5000,
      delay: 900,
      duplicate: 0,
    }
    const wire = `${fault.wire}=${Math.floor(street.random() * bound[fault.wire])}`
    return send(street, plan, target, { ...headers, 'x-to': to, 'x-wire': wire })
  }
  const both = await Promise.all([1, 2].map(() => send(street, plan, target, { ...headers, 'x-to': to })))
  return (
    both.find(({ status, complete }) => status === 200 && complete) ??
    both.find(({ retry }) => retry) ??
    both[0]!
  )
}

export function headersOf({ call, key, fault }: Plan, { authorization }: Offer): Record<string, string> {
  return {
    authorization,
    ...(key && { 'idempotency-key': `key-${call}` }),
    ...(fault && 'point' in fault && { 'x-fault': `${fault.kind}@${fault.point}` }),
  }
}

/** One exchange, written down. */
export async function send(
  street: Street,
  { call }: Plan,
  target: string,
  headers: Record<string, string>,
): Promise<Answered> {
  // A frozen seller keeps the connection open: whoever meets one comes back through another.
  const answer = await exchange(street.port, target, headers, 6000)
  write(street, { t: 'got', call, ...plain(answer) })
  return answer
}

export function write({ settings }: Street, line: JournalLine): void {
  note(filesOf(settings.folder).journal, { ...line, at: Date.now() })
}

function plain(answer: Answered): Got {
  const { headers, body, ...got } = answer
  return { ...got, paid: headers.has('payment-receipt'), bytes: body.length }
}

/** The payment's id, as the challenge names it. */
export function quoteOf({ opaque = '' }: Challenge): string {
  return (JSON.parse(Buffer.from(opaque, 'base64url').toString()) as { _n: string })._n
}

export function requestOf(challenge: Challenge): JsonObject {
  return decodeRequest(challenge.request)
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}

async function insist(work: () => Promise<void>): Promise<void> {
  for (let tries = 0; ; tries++) {
    try {
      return await work()
    } catch (error) {
      if (tries === 10) throw error
      await pause(200)
    }
  }
}
