import { encodeBase64url, type ClientContext, type ClientMethod, parseChallenges } from '@mppkit/core'
import { memoryBudget, type Hold } from './budget.ts'
import { carriesCredential, discard, dispatch, isForeign, readCall, type Call, type Fetch } from './call.ts'
import { prepare, refusalOf } from './consent.ts'
import { placeOf, rank, readOffer, type Candidate, type Offer, type Site, type Terms } from './offer.ts'
import { reasons, type Payment, type PaymentEvent } from './outcome.ts'
import { pay, type Means, type Ticket } from './pay.ts'
import { checkPolicy, type Policy } from './policy.ts'
import { busy, patchFetch, unpatched } from './polyfill.ts'
import { must, refusal, type Refusal } from './refusal.ts'

export interface ClientOptions {
  /** The rails that this client can pay on, best first. */
  methods: readonly ClientMethod[]
  policy: Policy
  /** Default: the global fetch. */
  fetch?: Fetch
  /** Unix milliseconds. */
  now?(): number
  /** `tempo` or `tempo/charge`, best first, before the order of `methods`. */
  preferences?: readonly string[]
  /** Called once for each call that was answered with 402. What it throws becomes an unhandled rejection. */
  onPayment?(event: PaymentEvent): void
  /** Bytes of a streamed body, Blob or FormData that are held so that it can be sent again. Default 1 MiB. */
  maxBody?: number
  /** Seconds that a paid call may wait in all, to be repeated after 409, 503 or a cut connection. Default 60. */
  maxWait?: number
}

export interface Client {
  /** Like the global fetch, but pays a 402 within the policy, at most once per call. */
  fetch: Fetch
  /** What a call would cost, best offer first. Pays nothing; but a call that is free is made, and then there are no offers. */
  quote: (input: RequestInfo | URL, init?: RequestInit) => Promise<Offer[]>
  /** Sends a payment of unknown outcome again. Takes the arguments of the call that it was for; throws `TypeError` if they do not fit. */
  resume: (payment: Payment, input: RequestInfo | URL, init?: RequestInit) => Promise<Response>
  /**
   * Replaces the global fetch until the returned function is called. Calls that begin while a method signs, sends or looks for a payment may be its own:
   * they are made, but their 402 comes back unpaid, with the reason `busy`. For calls that go on beside payments, use `fetch`.
   */
  polyfill: () => () => void
}

/** What a 402 asks for. */
interface Survey {
  fetch: Fetch
  response: Response
  site: Site
  candidates: Candidate[]
  context: ClientContext
}

/** What is free. */
interface Gift {
  response: Response
  site?: never
  candidates?: never
}

/** How many ids of paid challenges are remembered, so that none is paid twice. */
const memory = 10_000

/** A buyer. Throws `TypeError`, with the remedy, for options that are not safe to pay with. */
export function createClient(options: ClientOptions): Client {
  const { methods, maxBody = 2 ** 20, maxWait = 60 } = options
  must(
    Array.isArray(methods) && methods.length && methods.every((one) => typeof one?.prepare === 'function'),
    'createClient needs methods: [tempo.charge({ account })]',
  )
  must(
    maxBody >= 0 && maxWait >= 0 && maxWait <= 86_400,
    'maxBody must be bytes, maxWait seconds, at most a day',
  )
  const now = () => options.now?.() ?? Date.now()
  const rules = checkPolicy(options.policy)
  const budget = memoryBudget(now)
  const names = methods.map(({ name, intent }) => `${name}/${intent}`)
  const preferences = [...(options.preferences ?? []), ...names]
  const accept = acceptPayment(names, preferences)
  const spent = new Set<string>()
  const means: Means = { accept, maxWait: maxWait * 1000, emit }

  return {
    fetch: (input, init) => request(unpatched(options.fetch), input, init),
    quote,
    resume,
    polyfill: () =>
      patchFetch((fetch) => (input, init) => request(options.fetch ?? fetch, input, init, busy())),
  }

  /** The call, paid if it has to be; not if it is `refused` already. */
  async function request(
    fetch: Fetch,
    input: RequestInfo | URL,
    init?: RequestInit,
    refused?: Refusal,
  ): Promise<Response> {
    if (carriesCredential(input, init)) return await fetch(input, init)
    const survey = await ask(fetch, input, init)
    const { response, site } = survey
    if (!site) return response
    const ticket = refused ?? (await choose(survey))
    const reason = 'code' in ticket ? ticket : await pay(ticket, means)
    if (!('code' in reason)) return reason
    emit({ type: 'refused', origin: site.url.origin, reason, offers: survey.candidates.map(offerOf) })
    reasons.set(response, reason)
    return response
  }

  async function quote(input: RequestInfo | URL, init?: RequestInit): Promise<Offer[]> {
    must(!carriesCredential(input, init), 'quote() takes no credential')
    const { response, site, candidates } = await ask(unpatched(options.fetch), input, init)
    await discard(response)
    if (!site) return []
    for (const { key, offer, terms } of candidates) {
      const reason = terms && (spent.has(key) ? again : await budget.check(terms.limit, terms.cost.most))
      if (reason) Object.assign(offer, { allowed: false, reason })
    }
    return rank(candidates, preferences).map(offerOf)
  }

  async function resume(payment: Payment, input: RequestInfo | URL, init?: RequestInit): Promise<Response> {
    const call = await readCall(input, init, maxBody)
    const site: Site = { call, url: new URL(call.url), moved: false, skew: 0 }
    must(payment?.origin === site.url.origin, `the payment is not for ${site.url.origin}`)
    // Expiry ends an offer, not the claim of one who may have paid.
    const { key, offer, terms } = await readOffer(payment.challenge, site, { methods, rules, now: -Infinity })
    must(terms, `not resumed: ${offer.reason?.detail}`)
    // A payment of this process is in its budget already.
    const hold = spent.has(key) ? undefined : await claim(key, terms)
    if (hold && 'code' in hold) throw new TypeError(`not resumed: ${hold.detail}`)
    const fetch = unpatched(options.fetch)
    const context = { now, signal: call.signal }
    const outcome = await pay({ fetch, call, offer, method: terms.method, payment, hold, context }, means)
    if ('code' in outcome) throw new Error(outcome.detail, { cause: outcome.cause })
    return outcome
  }

  /** Makes the call without paying. A 402 comes back with what it asks for. */
  async function ask(fetch: Fetch, input: RequestInfo | URL, init?: RequestInit): Promise<Survey | Gift> {
    const call = await readCall(input, init, maxBody)
    const headers = new Headers(call.headers)
    if (!headers.has('accept-payment') && !isForeign(call.url)) headers.set('accept-payment', accept)
    const response = await dispatch(fetch, call, headers, call.redirect)
    if (response.status !== 402) return { response }
    const url = new URL(response.url || call.url)
    const ahead = Date.parse(response.headers.get('date') ?? '') - now()
    const skew = Math.abs(ahead) > 5000 ? ahead : 0
    const site: Site = { call, url, moved: response.redirected || url.href !== call.url, skew }
    const context = { now: () => now() + skew, signal: call.signal }
    const judgement = { methods, rules, now: context.now() }
    const { challenges } = parseChallenges(response.headers.get('www-authenticate') ?? '')
    const candidates = await Promise.all(challenges.map((challenge) => readOffer(challenge, site, judgement)))
    return { fetch, response, site, candidates, context }
  }

  /** The best offer that policy, budget and human allow, signed; or why there is none. */
  async function choose(survey: Survey): Promise<Ticket | Refusal> {
    const ranked = rank(survey.candidates, preferences)
    for (const candidate of ranked) {
      if (!candidate.terms) continue
      const ticket = await take(survey, candidate, candidate.terms)
      if (!('code' in ticket)) return ticket
      Object.assign(candidate.offer, { allowed: false, reason: ticket })
      // A human is asked once, and a wallet that failed is not tried in another way.
      if (['denied', 'failed', 'expired'].includes(ticket.code)) return ticket
    }
    const reasons = ranked.map((candidate) => candidate.offer.reason!)
    return (
      reasons.find((reason) => reason.code !== 'unsupported') ??
      reasons[0] ??
      refusal('no-challenge', 'no Payment challenge that can be read')
    )
  }

  async function take(
    { fetch, response, site, context }: Survey,
    { key, challenge, offer }: Candidate,
    terms: Terms,
  ): Promise<Ticket | Refusal> {
    const { method } = terms
    const hold = await claim(key, terms)
    if ('code' in hold) return hold
    let ticket: Ticket | undefined
    try {
      const prepared =
        (await refusalOf(rules, offer, context.signal)) ?? (await prepare(method, challenge, offer, context))
      if ('code' in prepared) return prepared
      const call = callAt(site)
      const idempotencyKey =
        call.headers.get('idempotency-key') ?? encodeBase64url(crypto.getRandomValues(new Uint8Array(16)))
      const payment = { ...prepared, origin: offer.origin, idempotencyKey }
      return (ticket = { fetch, call, response, offer, method, payment, hold, context })
    } finally {
      // Nothing has moved: all is as if the call had never been.
      if (!ticket) {
        spent.delete(key)
        await hold.release()
      }
    }
  }

  /** Sets the money aside, for a challenge that was not taken before. */
  async function claim(key: string, { cost, limit }: Terms): Promise<Hold | Refusal> {
    if (spent.has(key)) return again
    spent.add(key)
    const [oldest] = spent
    if (spent.size > memory) spent.delete(oldest!)
    const hold = await budget.reserve(limit, cost.most)
    if ('code' in hold) spent.delete(key)
    return hold
  }

  function emit(event: PaymentEvent): void {
    try {
      options.onPayment?.(event)
    } catch (error) {
      // A listener must not get between a payment and its answer, nor fail in silence.
      void Promise.reject(error)
    }
  }
}

const again = refusal('spent', 'this challenge was paid before')

/** The call as it goes to where the money was asked for. */
function callAt({ call, url }: Site): Call {
  const headers = new Headers(call.headers)
  if (url.origin !== new URL(call.url).origin)
    for (const name of ['authorization', 'cookie', 'proxy-authorization', 'host']) headers.delete(name)
  // A cache must not answer in place of the seller.
  const rest: RequestInit = call.rest.cache ? { ...call.rest, cache: 'no-store' } : call.rest
  return { ...call, url: url.href, headers, rest }
}

function offerOf({ offer }: Candidate): Offer {
  return offer
}

/** All that the client can pay with, weighted by preference. */
function acceptPayment(names: string[], preferences: readonly string[]): string {
  const unique = [...new Set(names)].toSorted((a, b) => placeOf(a, preferences) - placeOf(b, preferences))
  const weight = (index: number) => (1 - index / unique.length).toFixed(3)
  return unique.map((name, index) => (index ? `${name};q=${weight(index)}` : name)).join(', ')
}
