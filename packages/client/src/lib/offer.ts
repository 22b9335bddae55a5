import {
  decodeRequest,
  formatAmount,
  parseBaseUnits,
  parseChallenges,
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
  amount?: string
  currency?: string
  /** Everyone who is paid, first the main recipient. */
  recipients: string[]
  network?: string
  /** RFC 3339. */
  expires?: string
  /** Written by the asker, for people; nothing may be decided by it. */
  description?: string
  /** The request of the challenge as it was sent, amounts in base units. */
  request: JsonObject
  allowed: boolean
  /** Present if not allowed. */
  reason?: Refusal
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

/** Every challenge of a 402 as an offer, in the server's order. */
export async function readOffers(
  field: string | null,
  site: Site,
  judgement: Judgement,
): Promise<Candidate[]> {
  return await Promise.all(
    parseChallenges(field ?? '').challenges.map((challenge) => readOffer(challenge, site, judgement)),
  )
}

/** Allowed ones first, by preference (`tempo` or `tempo/charge`), then by price within a currency, then as the server has them. */
export function rank(candidates: Candidate[], preferences: readonly string[]): Candidate[] {
  const allowed = candidates.filter((candidate) => candidate.terms)
  const preference = ({ offer: { method, intent } }: Candidate) => {
    const index = preferences.findIndex((name) => name === method || name === `${method}/${intent}`)
    return index < 0 ? preferences.length : index
  }
  const currencies = allowed.map((candidate) => candidate.offer.currency)
  allowed.sort((a, b) => {
    const [x, y] = [a.terms!.cost.most, b.terms!.cost.most]
    const price = x.amount * 10n ** BigInt(y.decimals) - y.amount * 10n ** BigInt(x.decimals)
    return (
      preference(a) - preference(b) ||
      currencies.indexOf(a.offer.currency) - currencies.indexOf(b.offer.currency) ||
      (price < 0n ? -1 : price > 0n ? 1 : 0)
    )
  })
  return [...allowed, ...candidates.filter((candidate) => !candidate.terms)]
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
  const { realm, method: name, intent, expires, description } = challenge
  const offer: Offer = {
    origin: site.url.origin,
    realm,
    method: name,
    intent,
    recipients: [],
    request: {},
    allowed: false,
  }
  if (expires !== undefined) offer.expires = expires
  if (description !== undefined) offer.description = description
  const refuse = (code: RefusalCode, detail: string, cause?: unknown): Candidate => {
    offer.reason = cause === undefined ? { code, detail } : { code, detail, cause }
    return { offer, challenge }
  }

  let method: ClientMethod | undefined
  let cost: Cost
  try {
    const request = (offer.request = decodeRequest(challenge.request))
    if (typeof request['currency'] === 'string') offer.currency = request['currency']
    if (typeof request['recipient'] === 'string') offer.recipients = [request['recipient']]
    if (intent === 'charge' && parseBaseUnits(request['amount']) === undefined)
      return refuse('invalid', 'amount is no string of base units')
    method = judgement.methods.find(
      (one) => one.name === name && one.intent === intent && (one.supports?.(challenge, request) ?? true),
    )
    if (!method) return refuse('unsupported', `no method for ${name}/${intent} that can pay this`)
    cost = method.cost(challenge, request)
    const { amount, decimals, currency } = cost.most
    if (typeof amount !== 'bigint' || amount < 0n || !isDecimals(decimals) || !currency)
      return refuse('invalid', `${name} cannot tell what this costs`)
    offer.amount = formatAmount(amount, decimals)
    offer.currency = currency.toLowerCase()
    offer.recipients = [...cost.recipients]
    if (cost.network !== undefined) offer.network = cost.network
  } catch (cause) {
    return refuse('invalid', `the request of ${name}/${intent} breaks its rules`, cause)
  }

  const barred = siteRefusal(site, judgement.rules)
  if (barred) return refuse(barred.code, barred.detail)
  if (isExpired(challenge, judgement.now)) return refuse('expired', `expired at ${expires}`)
  const header = credentialHeader(challenge)
  if (!header) return refuse('header', `credentials are not sent in ${challenge.header}`)
  if (site.call.headers.has(header))
    return refuse(
      'header',
      `the call has its own ${header}, which the credential would replace; the login needs another header`,
    )
  if (
    challenge.digest !== undefined &&
    !(await verifyDigest(challenge.digest, site.call.body ?? new Uint8Array()))
  )
    return refuse('digest', 'digest is not that of the body of the call')
  const refused = judge(judgement.rules, offer, cost)
  if (refused) return refuse(refused.code, refused.detail)
  offer.allowed = true
  return { offer, challenge, terms: { method, cost, limit: judgement.rules.limits.get(offer.currency)! } }
}

/** What forbids paying here, whatever is offered. */
function siteRefusal({ call, url, moved }: Site, rules: Rules): Refusal | undefined {
  if (!isSecure(url))
    return { code: 'insecure', detail: `${url.origin} has no TLS; only loopback may go without` }
  if (url.origin !== new URL(call.url).origin && !rules.origins?.includes(url.origin))
    return { code: 'redirected', detail: `redirected to ${url.origin}, which policy.origins does not list` }
  if (moved && call.method !== 'GET' && call.method !== 'HEAD')
    return {
      code: 'redirected',
      detail: `a ${call.method} was redirected; send it to ${url.origin}${url.pathname} directly`,
    }
  if (call.method === 'HEAD') return { code: 'request', detail: 'a HEAD buys nothing; pay for the GET' }
  if (call.stream)
    return { code: 'request', detail: 'the body is larger than maxBody and cannot be sent again' }
  return undefined
}
