import {
  decodeOpaque,
  decodeRequest,
  parseCredential,
  parseTime,
  PaymentError,
  readAuthorization,
  type Binding,
  type Challenge,
  type Credential,
  type OnceMethod,
} from '@mppkit/core'
import { refusal } from './answer.ts'
import { boundHeaders, digestOf, priceMark } from './asking.ts'
import type { Attempt } from './attempt.ts'
import type { Limiter } from './limits.ts'
import type { CompiledPrice } from './price.ts'
import { issuedAt } from './quote.ts'
import type { Answer, Incoming } from './seam.ts'
import type { Peer } from './trust.ts'

const LONGEST_FIELD = 65_536

interface JudgeOptions {
  realm: string
  binding: Binding
  methods: readonly OnceMethod<never>[]
  limiter: Limiter | undefined
}

/** Judges everything about a credential that can be judged without asking anyone. Throws `PaymentError` and `BodyError`. */
export type Judge = (request: Incoming, scope: string, token: string, peer: Peer) => Promise<Attempt>

/** One token, nothing, or why not. */
export function tokenOf(
  field: string | null,
  stray: string | null,
  credentialHeader: string,
): string | undefined | Answer | PaymentError {
  if ((field?.length ?? 0) > LONGEST_FIELD || (stray?.length ?? 0) > LONGEST_FIELD)
    return refusal(431, 'The credential is longer than 64 KB.')
  if (stray !== null) {
    const { tokens, malformed } = readAuthorization(stray)
    if (tokens.length > 0 || malformed !== undefined)
      return refusal(400, `Send the payment credential in ${credentialHeader} only.`)
  }
  const { tokens, malformed } = readAuthorization(field)
  if (tokens.length > 1) return refusal(400, 'Send exactly one payment credential.')
  if (malformed !== undefined) return new PaymentError('malformed-credential', malformed)
  return tokens[0]
}

export function createJudge({ realm, binding, methods, limiter }: JudgeOptions, price: CompiledPrice): Judge {
  const { rails } = price

  return async (request, scope, token, peer) => {
    const credential = parseCredential(token)
    const valid = binding.verify(credential.challenge)
    if (!(typeof valid === 'boolean' ? valid : await valid)) invalid('This challenge was not issued here.')
    if (limiter === undefined || peer.remote === undefined) return inspect(credential, request, scope, peer)
    // Only those who hold a challenge of ours are counted, and stopped: to look at their proofs may be dear, and junk is cheap.
    const seconds = limiter.blocked(peer.remote)
    if (seconds > 0) throw new Limited(seconds)
    try {
      return await inspect(credential, request, scope, peer)
    } catch (error) {
      if (error instanceof PaymentError || error instanceof Elsewhere) limiter.count(peer.remote)
      throw error
    }
  }

  async function inspect(
    credential: Credential,
    request: Incoming,
    scope: string,
    peer: Peer,
  ): Promise<Attempt> {
    const { challenge } = credential
    const { quote, issued, expires, mark, other } = await readScope(challenge, request, scope)
    const fault = other ?? (await otherBody(challenge, request))
    const rail = rails.find(
      ({ method, intent }) => method === challenge.method && intent === challenge.intent,
    )
    const method =
      rail?.rail ??
      methods.find(({ name, intent }) => name === challenge.method && intent === challenge.intent)
    // What has been paid by it may be on record: then this is no moment to ask for more.
    if (!method)
      throw new Elsewhere(
        new PaymentError('method-unsupported', `This server no longer takes ${challenge.method}.`),
        quote,
        false,
        'It may have been paid by it before: ask the seller, and do not pay again.',
      )
    const quoted = rail?.constant
    const decoded =
      quoted && quoted.text === challenge.request ? quoted.request : decodeRequest(challenge.request)
    const parsing = method.parse(credential.payload, challenge, decoded)
    const parsed = parsing instanceof Promise ? await parsing : parsing
    if (fault) throw new Elsewhere(fault, quote, parsed.moved ?? method.moves === 'before')
    const isOurs = typeof price.amount !== 'function' || mark === (await priceMark(price))
    const idempotencyKey = request.headers.get('idempotency-key') ?? undefined
    return {
      challenge,
      request: decoded,
      source: credential.source,
      method,
      parsed,
      quote,
      issued,
      expires,
      scope,
      safe: request.method === 'GET',
      idempotencyKey,
      remote: peer.remote,
      attempts: price.attempts,
      within: price.within,
      terms: () => isOurs && rail !== undefined && rail.stands(challenge.request, decoded),
    }
  }

  async function otherBody(challenge: Challenge, request: Incoming): Promise<PaymentError | undefined> {
    if ((await digestOf(request, price)) === challenge.digest) return undefined
    return new PaymentError('verification-failed', 'The request body is not the one that was quoted.')
  }

  async function readScope(challenge: Challenge, request: Incoming, scope: string): Promise<Scoped> {
    if (challenge.realm !== realm) invalid('This challenge belongs to another realm.')
    const opaque = challenge.opaque === undefined ? {} : decodeOpaque(challenge.opaque)
    const { _g: mark, _n: quote, _s: bound, _h: headers } = opaque
    const issued = quote === undefined ? undefined : issuedAt(quote)
    const expires = challenge.expires === undefined ? undefined : parseTime(challenge.expires)
    if (quote === undefined || issued === undefined || expires === undefined)
      return invalid('This challenge was not issued here.')
    const elsewhere = (detail: string) => ({
      quote,
      issued,
      expires,
      mark,
      other: new PaymentError('invalid-challenge', detail),
    })
    if (bound !== scope) return elsewhere('This challenge was issued for another request.')
    if (
      headers !== undefined &&
      headers !==
        (await boundHeaders(
          request,
          headers.split(',').map((item) => item.slice(0, item.indexOf('='))),
        ))
    )
      return elsewhere('This challenge was issued for other request headers.')
    return { quote, issued, expires, mark }
  }
}

/** What our own words in a challenge say. */
interface Scoped {
  quote: string
  issued: number
  expires: number
  /** Which computed price has quoted. */
  mark: string | undefined
  /** Why it is not for this request. */
  other?: PaymentError
}

function invalid(detail: string): never {
  throw new PaymentError('invalid-challenge', detail)
}

/** A credential of ours that was quoted for another request than this, or for a rail that is gone. */
export class Elsewhere extends Error {
  readonly fault: PaymentError
  readonly quote: string
  /** It says that the money has moved already. */
  readonly moved: boolean
  /** What its holder can do, where a 402 would invite a second payment. */
  readonly remedy: string

  constructor(
    fault: PaymentError,
    quote: string,
    moved: boolean,
    remedy = 'Send it with the request that it was quoted for.',
  ) {
    super(fault.detail)
    this.remedy = remedy
    this.fault = fault
    this.quote = quote
    this.moved = moved
  }
}

/** Too many credentials from this remote were refused. */
export class Limited extends Error {
  readonly seconds: number

  constructor(seconds: number) {
    super('too many refused credentials')
    this.seconds = seconds
  }
}
