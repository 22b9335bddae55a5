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
import { must, refusal, type Refusal } from './refusal.ts'

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
  /** By which a challenge is known to be paid: ids are unique only within an origin. */
  key: string
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
  /** Milliseconds by which its clock is ahead of ours; 0 if they agree. */
  skew: number
}

/** The most milliseconds by which a server may move our clock: a signature could outlive its offer by them. */
const maxSkew = 60_000

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

/** Why the challenge can no longer be answered, by the clock of the server. */
export function expiry({ expires }: Challenge, now: number): Refusal | undefined {
  if (expires === undefined || (parseTime(expires) ?? 0) > now) return undefined
  return refusal('expired', `expired at ${expires}`)
}

/** The header that carries the credential; undefined for one that we do not send. */
export function credentialHeader(challenge: Challenge): string | undefined {
  const name = challenge.header ?? 'Authorization'
  return /^(payment-)?authorization$/i.test(name) ? name : undefined
}

function isLoopback(url: URL): boolean {
  return /^(localhost|127(\.\d+){3}|\[::1\])$/.test(url.hostname)
}

/** One challenge as an offer; without `terms` if it is not to be paid. */
export async function readOffer(challenge: Challenge, site: Site, judgement: Judgement): Promise<Candidate> {
  const { id, realm, method, intent, expires, description } = challenge
  const { methods, rules, now } = judgement
  const { origin } = site.url
  const base = { origin, realm, method, intent, expires, description }
  const offer: Offer = { ...base, recipients: [], request: {}, allowed: false }
  const candidate: Candidate = { key: `${origin} ${id}`, challenge, offer }
  try {
    const request = (offer.request = decodeRequest(challenge.request))
    const { amount, currency, recipient } = request
    if (typeof currency === 'string') offer.currency = currency
    if (typeof recipient === 'string') offer.recipients = [recipient]
    must(intent !== 'charge' || parseBaseUnits(amount) !== undefined, 'amount is no string of base units')
    const fitting = methods.filter((one) => one.name === method && one.intent === intent)
    const payer = fitting.find((one) => one.supports?.(challenge, request) ?? true)
    if (payer) {
      const cost = payer.cost(challenge, request)
      describe(offer, cost)
      offer.reason =
        siteRefusal(site, rules) ??
        (await challengeRefusal(challenge, site.call, now)) ??
        judge(rules, offer, cost) ??
        proofRefusal(site, realm, cost, rules)
      offer.allowed = !offer.reason
      if (offer.allowed) candidate.terms = { method: payer, cost, limit: rules.limits.get(offer.currency!)! }
    } else offer.reason = unsupported(challenge, request, fitting)
  } catch (cause) {
    offer.reason = refusal('invalid', 'the request breaks the rules of its method', cause)
  }
  return candidate
}

/** Why none of the methods can pay, as far as the first that should can tell. */
function unsupported(challenge: Challenge, request: JsonObject, [first]: ClientMethod[]): Refusal {
  const detail = `no method can pay this ${challenge.method}/${challenge.intent}`
  try {
    const network = first?.cost(challenge, request).network
    return refusal('unsupported', network ? `${detail} on ${network}` : detail)
  } catch (cause) {
    return refusal('unsupported', detail, cause)
  }
}

function describe(offer: Offer, { most, recipients, network }: Cost): void {
  const { amount, decimals, currency } = most
  must(typeof amount === 'bigint' && amount >= 0n && isDecimals(decimals), 'the cost is no amount')
  offer.amount = formatAmount(amount, decimals)
  offer.currency = currency.toLowerCase()
  offer.recipients = [...recipients]
  offer.network = network
}

/** What forbids answering this challenge with this call. */
async function challengeRefusal(challenge: Challenge, call: Call, now: number): Promise<Refusal | undefined> {
  const { digest } = challenge
  const header = credentialHeader(challenge)
  const expired = expiry(challenge, now)
  if (expired) return expired
  if (!header) return refusal('header', `no credential goes into ${challenge.header}`)
  if (call.headers.has(header))
    return refusal('header', `the credential would replace the ${header} of the call`)
  if (digest !== undefined && !(await verifyDigest(digest, call.body ?? new Uint8Array())))
    return refusal('digest', 'digest is not that of the body')
  return undefined
}

/** What forbids paying here, whatever is offered. */
function siteRefusal({ call, url, moved, skew }: Site, rules: Rules): Refusal | undefined {
  if (url.protocol !== 'https:' && !isLoopback(url)) return refusal('insecure', `${url.origin} has no TLS`)
  if (url.origin !== new URL(call.url).origin && !rules.origins?.includes(url.origin))
    return refusal('redirected', `redirected to ${url.origin}, not in policy.origins`)
  if (call.method === 'HEAD') return refusal('request', 'a HEAD buys nothing')
  if (moved && call.method !== 'GET')
    return refusal('redirected', `a ${call.method} was redirected; send it to ${url.href}`)
  if (call.stream) return refusal('request', 'the body is larger than maxBody')
  if (Math.abs(skew) > maxSkew)
    return refusal('clock', `the clocks differ by ${Math.round(skew / 1000)} s; set the wrong one`)
  return undefined
}

/** No limit stops what costs nothing; but a proof of identity for another realm would open the doors there to the one who asks. */
function proofRefusal({ url }: Site, realm: string, { most }: Cost, rules: Rules): Refusal | undefined {
  // Origin and realm are listed where there are lists: the rules were asked already.
  if (most.amount || rules.origins || rules.realms || rules.approve || isLoopback(url)) return undefined
  if ([url.host, url.hostname].includes(realm.toLowerCase())) return undefined
  return refusal(
    'realm',
    `${url.host} asks for a proof for ${realm}; allow it by policy.realms, origins or approve`,
  )
}
