import {
  decodeRequest,
  formatAmount,
  parseBaseUnits,
  parseTime,
  verifyDigest,
  type Challenge,
  type ClientMethod,
  type Cost,
  type JsonObject,
} from '@mppkit/core'
import type { Call } from './call.ts'
import { isDecimals, judge, type Limit, type Rules } from './policy.ts'

/** Why nothing is paid; stable, for programs. */
export type RefusalCode =
  | 'no-challenge'
  | 'unsupported'
  | 'invalid'
  | 'expired'
  | 'insecure'
  | 'redirected'
  | 'request'
  | 'header'
  | 'digest'
  | 'origin'
  | 'realm'
  | 'method'
  | 'network'
  | 'currency'
  | 'recipient'
  | 'limit'
  | 'budget'
  | 'spent'
  | 'denied'
  | 'failed'
  | 'rejected'

/** Why nothing is paid. `detail` is for people. */
export interface Refusal {
  code: RefusalCode
  detail: string
  cause?: unknown
}

/** One way to pay for a call, in terms that can be shown and judged. */
export interface Offer {
  /** Who asks: the origin that answered. */
  origin: string
  /** What the asker calls itself. */
  realm: string
  method: string
  intent: string
  /** The most that can leave the wallet, in whole units; missing if no method of the client can tell. */
  amount?: string | undefined
  currency?: string | undefined
  /** Everyone who is paid, first the main recipient. */
  recipients: string[]
  network?: string | undefined
  /** RFC 3339. */
  expires?: string | undefined
  /** Written by the asker, for people; nothing may be decided by it. */
  description?: string | undefined
  /** The request of the challenge as it was sent, amounts in base units. */
  request: JsonObject
  allowed: boolean
  /** Present if not allowed. */
  reason?: Refusal | undefined
}

/** An offer with what is needed to pay it. */
export interface Candidate {
  offer: Offer
  challenge: Challenge
  /** Present if the policy allows the offer. */
  terms?: Terms
}

export interface Terms {
  method: ClientMethod
  cost: Cost
  limit: Limit
}

export interface Judgement {
  methods: readonly ClientMethod[]
  rules: Rules
  /** Unix milliseconds by the clock of the server. */
  now: number
}

/** A 402 and the call that it answers. */
export interface Site {
  call: Call
  /** The URL that answered. */
  url: URL
  /** Whether another URL than that of the call answered. */
  moved: boolean
}

const loopback = /^(localhost|127(\.\d+){3}|\[::1\])$/

/** Allowed ones first, by preference, then by price within a currency, then as the server has them. */
export function rank(candidates: Candidate[], preferences: readonly string[]): Candidate[] {
  const currencies = candidates.map((candidate) => candidate.offer.currency)
  return candidates.toSorted((a, b) => {
    const [x, y] = [a.offer, b.offer]
    const [price, other] = [a.terms?.cost.most.amount ?? 0n, b.terms?.cost.most.amount ?? 0n]
    return (
      Number(y.allowed) - Number(x.allowed) ||
      placeOf(`${x.method}/${x.intent}`, preferences) - placeOf(`${y.method}/${y.intent}`, preferences) ||
      currencies.indexOf(x.currency) - currencies.indexOf(y.currency) ||
      (price < other ? -1 : Number(price > other))
    )
  })
}

/** Where `tempo/charge` stands among preferences, which are like it or `tempo`. */
export function placeOf(name: string, preferences: readonly string[]): number {
  return preferences.findIndex((one) => one === name || one === name.split('/')[0])
}

/** Whether the challenge can no longer be answered, by the clock of the server. */
export function isExpired(challenge: Challenge, now: number): boolean {
  return challenge.expires !== undefined && !((parseTime(challenge.expires) ?? 0) > now)
}

/** The header that carries the credential; undefined for one that we do not send. */
export function credentialHeader(challenge: Challenge): string | undefined {
  const name = challenge.header ?? 'Authorization'
  return /^(payment-)?authorization$/i.test(name) ? name : undefined
}

/** Whether a credential may be sent there. */
export function isSecure(url: URL): boolean {
  return url.protocol === 'https:' || (url.protocol === 'http:' && loopback.test(url.hostname))
}

/** One challenge as an offer; without `terms` if it is not to be paid. */
export async function readOffer(challenge: Challenge, site: Site, judgement: Judgement): Promise<Candidate> {
  const { realm, method, intent, expires, description } = challenge
  const { rules } = judgement
  const offer: Offer = {
    origin: site.url.origin,
    realm,
    method,
    intent,
    expires,
    description,
    recipients: [],
    request: {},
    allowed: false,
  }
  let reason: Refusal | undefined
  let payer: { method: ClientMethod; cost: Cost } | undefined
  try {
    payer = readCost(challenge, offer, judgement.methods)
    reason = payer
      ? (siteRefusal(site, rules) ??
        (await challengeRefusal(challenge, site.call, judgement.now)) ??
        judge(rules, offer, payer.cost))
      : { code: 'unsupported', detail: `no method can pay this ${method}/${intent}` }
  } catch (cause) {
    reason = { code: 'invalid', detail: 'the request breaks the rules of its method', cause }
  }
  offer.reason = reason
  if (reason || !payer) return { challenge, offer }
  offer.allowed = true
  return { challenge, offer, terms: { ...payer, limit: rules.limits.get(offer.currency!)! } }
}

/** Who can pay, and the most that it costs; writes what is known into the offer. Throws for a request that breaks the rules. */
function readCost(
  challenge: Challenge,
  offer: Offer,
  methods: readonly ClientMethod[],
): { method: ClientMethod; cost: Cost } | undefined {
  const request = (offer.request = decodeRequest(challenge.request))
  if (typeof request['currency'] === 'string') offer.currency = request['currency']
  if (typeof request['recipient'] === 'string') offer.recipients = [request['recipient']]
  if (offer.intent === 'charge' && parseBaseUnits(request['amount']) === undefined)
    throw new TypeError('amount is no string of base units')
  const method = methods.find(
    (one) =>
      one.name === offer.method &&
      one.intent === offer.intent &&
      (one.supports?.(challenge, request) ?? true),
  )
  if (!method) return undefined
  const cost = method.cost(challenge, request)
  const { amount, decimals, currency } = cost.most
  if (typeof amount !== 'bigint' || amount < 0n || !isDecimals(decimals))
    throw new TypeError('the cost is no amount')
  offer.amount = formatAmount(amount, decimals)
  offer.currency = currency.toLowerCase()
  offer.recipients = [...cost.recipients]
  offer.network = cost.network
  return { method, cost }
}

/** What forbids answering this challenge with this call. */
async function challengeRefusal(challenge: Challenge, call: Call, now: number): Promise<Refusal | undefined> {
  const { expires, digest } = challenge
  const header = credentialHeader(challenge)
  if (isExpired(challenge, now)) return { code: 'expired', detail: `expired at ${expires}` }
  if (!header) return { code: 'header', detail: `no credential goes into ${challenge.header}` }
  if (call.headers.has(header))
    return { code: 'header', detail: `the credential would replace the ${header} of the call` }
  if (digest !== undefined && !(await verifyDigest(digest, call.body ?? new Uint8Array())))
    return { code: 'digest', detail: 'digest is not that of the body' }
  return undefined
}

/** What forbids paying here, whatever is offered. */
function siteRefusal({ call, url, moved }: Site, rules: Rules): Refusal | undefined {
  if (!isSecure(url)) return { code: 'insecure', detail: `${url.origin} has no TLS` }
  if (url.origin !== new URL(call.url).origin && !rules.origins?.includes(url.origin))
    return { code: 'redirected', detail: `redirected to ${url.origin}, not in policy.origins` }
  if (call.method === 'HEAD') return { code: 'request', detail: 'a HEAD buys nothing' }
  if (moved && call.method !== 'GET')
    return { code: 'redirected', detail: `a ${call.method} was redirected; send it to ${url.href}` }
  if (call.stream) return { code: 'request', detail: 'the body is larger than maxBody' }
  return undefined
}
