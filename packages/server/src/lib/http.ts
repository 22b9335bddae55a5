import {
  computeDigest,
  decodeOpaque,
  decodeRequest,
  formatReceipt,
  formatTime,
  encodeBase64url,
  parseAcceptPayment,
  parseCredential,
  parseTime,
  PaymentError,
  rankOffers,
  readAuthorization,
  type Binding,
  type Credential,
  type Entry,
  type OnceMethod,
} from '@mppkit/core'
import { problemBody, refusal } from './answer.ts'
import { createCors, type Cors } from './cors.ts'
import type { Attempt, FaultPoint, Lifecycle, Verdict } from './lifecycle.ts'
import type { Limiter } from './limits.ts'
import type { CompiledPrice, Rail } from './price.ts'
import { issuedAt, newQuote } from './quote.ts'
import type { Run } from './run.ts'
import { hash } from './runtime.ts'
import { BodyError, type Answer, type Decision, type Gate, type Grant, type Incoming, type Kept, type Opening } from './seam.ts'
import { scopeOf, targetFault } from './target.ts'
import type { Peer } from './trust.ts'

export interface HttpOptions {
  realm: string
  binding: Binding
  lifecycle: Lifecycle
  /** Counts refused credentials per remote; undefined: no limit. */
  limiter: Limiter | undefined
  methods: readonly OnceMethod<never>[]
  /** Lower case. */
  credentialHeader: 'authorization' | 'payment-authorization'
  peerOf(request: Incoming): Peer
  /** Why this transport may not carry payments; throws for the programmer. */
  transportFault(peer: Peer): string | undefined
  cors: Cors | undefined
  now(): number
  probe?: ((point: FaultPoint) => void | Promise<void>) | undefined
}

/** A price as the function or constant said it for one request. */
interface Asked {
  amount: string | undefined
  /** `_h`: the headers that the price depends on. */
  bound: string | undefined
}

const LONGEST_FIELD = 65_536
const KEPT_BYTES = 65_536
const EXPOSED = 'WWW-Authenticate, Payment-Receipt, Retry-After'
const RETRY: [string, string] = ['retry-after', '1']
const REQUIRED = problemBody('payment-required', 'This resource must be paid for.', 402)

/** Translates between HTTP and the lifecycle for one price. */
export function createHttpGate(options: HttpOptions, price: CompiledPrice): Gate {
  const { realm, binding, lifecycle, limiter, methods, credentialHeader, now, probe } = options
  const { rails, amount, lifetime, bindBody, maxBody } = price
  const otherHeader = credentialHeader === 'authorization' ? 'payment-authorization' : 'authorization'
  const headerTail = credentialHeader === 'authorization' ? '' : ', header="Payment-Authorization"'
  const fixed: [string, string][] = [
    ['cache-control', 'no-store'],
    ['content-type', 'application/problem+json'],
    ['access-control-expose-headers', EXPOSED],
  ]
  if (credentialHeader !== 'authorization') fixed.push(['vary', 'Payment-Authorization'])
  const cors = createCors(options.cors, EXPOSED)
  const ranked = new Map<string, readonly Rail[]>()
  let second = 0
  let expiry = ''

  return Object.assign(open, { offers: rails })

  async function open(request: Incoming): Promise<Opening> {
    const opening = await decide(request)
    if (opening.kind === 'respond') cors?.extend(request, opening.answer)
    return opening
  }

  async function decide(request: Incoming): Promise<Opening> {
    const fault = targetFault(request.target)
    if (fault !== undefined) return respond(refusal(400, fault))
    const peer = options.peerOf(request)
    const refused = options.transportFault(peer)
    if (refused !== undefined) return respond(refusal(403, refused))
    if (request.method === 'OPTIONS') return respond({ status: 204, headers: [['cache-control', 'no-store']], body: null })
    const scoped = scopeOf(request.method, request.target)
    const scope = typeof scoped === 'string' ? scoped : await scoped
    const field = request.headers.get(credentialHeader)
    const stray = request.headers.get(otherHeader)
    if (field === null && stray === null) return ask(request, scope)
    try {
      const token = tokenOf(field, stray)
      if (token === undefined) return await ask(request, scope)
      if (token instanceof PaymentError) return await ask(request, scope, token)
      if (typeof token !== 'string') return respond(token)
      const seconds = peer.remote === undefined ? 0 : (limiter?.blocked(peer.remote) ?? 0)
      if (seconds > 0) return respond(refusal(429, 'Too many refused credentials.', [['retry-after', String(seconds)]]))
      if (request.method === 'HEAD') return respond(refusal(409, 'HEAD does not take a payment; send the credential with GET.'))
      if (typeof amount === 'function') return await openComputed(request, scope, token, peer)
      return { kind: 'admit', admit: () => admit(request, scope, token, peer) }
    } catch (error) {
      return respond(bodyFault(error))
    }
  }

  /** A price that depends on the request may ask for nothing, or refuse, before a credential is looked at. */
  async function openComputed(request: Incoming, scope: string, token: string, peer: Peer): Promise<Opening> {
    let attempt: Attempt
    try {
      attempt = await judge(request, scope, token, peer)
    } catch (error) {
      if (error instanceof PaymentError) return ask(request, scope, error)
      throw error
    }
    let entry: Entry | undefined
    try {
      entry = await lifecycle.lookUp(attempt.quote)
    } catch {
      // The lifecycle looks again, and reports.
      return { kind: 'admit', admit: () => settleAttempt(request, scope, attempt) }
    }
    const moved = attempt.parsed.moved ?? attempt.method.moves === 'before'
    if (!entry && !moved) {
      const asked = await askedBy(request)
      if (asked === undefined) return { kind: 'pass' }
      if ('status' in asked) return respond(asked)
    }
    return { kind: 'admit', admit: () => settleAttempt(request, scope, { ...attempt, entry }) }
  }

  /** One token, nothing, or why not. */
  function tokenOf(field: string | null, stray: string | null): string | undefined | Answer | PaymentError {
    if ((field?.length ?? 0) > LONGEST_FIELD || (stray?.length ?? 0) > LONGEST_FIELD) return refusal(431, 'The credential is longer than 64 KB.')
    if (stray !== null) {
      const { tokens, malformed } = readAuthorization(stray)
      if (tokens.length > 0 || malformed !== undefined) return refusal(400, `Send the payment credential in ${credentialHeader} only.`)
    }
    const { tokens, malformed } = readAuthorization(field)
    if (tokens.length > 1) return refusal(400, 'Send exactly one payment credential.')
    if (malformed !== undefined) return new PaymentError('malformed-credential', malformed)
    return tokens[0]
  }

  async function admit(request: Incoming, scope: string, token: string, peer: Peer): Promise<Decision> {
    let decision: Decision
    try {
      decision = await settleAttempt(request, scope, await judge(request, scope, token, peer))
    } catch (error) {
      if (error instanceof PaymentError) decision = await askAgain(request, scope, error)
      else decision = respond(bodyFault(error))
    }
    if (decision.kind === 'respond') cors?.extend(request, decision.answer)
    return decision
  }

  /** `inspect`, counting what is refused: to look at a forged proof may be dear. */
  async function judge(request: Incoming, scope: string, token: string, peer: Peer): Promise<Attempt> {
    try {
      return await inspect(request, scope, token, peer)
    } catch (error) {
      if (error instanceof PaymentError && peer.remote !== undefined) limiter?.count(peer.remote)
      throw error
    }
  }

  /** Everything about a credential that can be judged without asking anyone. Throws `PaymentError`. */
  async function inspect(request: Incoming, scope: string, token: string, peer: Peer): Promise<Attempt> {
    const credential = parseCredential(token)
    const { challenge } = credential
    const valid = binding.verify(challenge)
    if (!(typeof valid === 'boolean' ? valid : await valid)) invalid('This challenge was not issued here.')
    const { quote, issued, expires } = await readScope(credential, request, scope)
    const digest = bindBody ? await digestOf(request) : undefined
    if (digest !== challenge.digest) throw new PaymentError('verification-failed', 'The request body is not the one that was quoted.')
    const rail = rails.find(({ method, intent }) => method === challenge.method && intent === challenge.intent)
    const method = rail?.rail ?? methods.find(({ name, intent }) => name === challenge.method && intent === challenge.intent)
    if (!method) throw new PaymentError('method-unsupported', `This server no longer takes ${challenge.method}.`)
    const quoted = rail?.constant
    const decoded = quoted && quoted.text === challenge.request ? quoted.request : decodeRequest(challenge.request)
    const parsing = method.parse(credential.payload, challenge, decoded)
    const parsed = parsing instanceof Promise ? await parsing : parsing
    const idempotencyKey = request.headers.get('idempotency-key') ?? undefined
    if (idempotencyKey !== undefined && (idempotencyKey === '' || idempotencyKey.length > 255))
      throw new PaymentError('malformed-credential', 'The Idempotency-Key must have 1 to 255 characters.')
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
      idempotencyKey,
      remote: peer.remote,
      attempts: price.attempts,
      within: price.within,
      terms: () => rail !== undefined && rail.stands(challenge.request, decoded),
    }
  }

  async function readScope({ challenge }: Credential, request: Incoming, scope: string): Promise<{ quote: string; issued: number; expires: number }> {
    if (challenge.realm !== realm) invalid('This challenge belongs to another realm.')
    const opaque = challenge.opaque === undefined ? {} : decodeOpaque(challenge.opaque)
    const { _n: quote, _s: bound, _h: headers } = opaque
    const issued = quote === undefined ? undefined : issuedAt(quote)
    const expires = challenge.expires === undefined ? undefined : parseTime(challenge.expires)
    if (quote === undefined || issued === undefined || expires === undefined) return invalid('This challenge was not issued here.')
    if (bound !== scope) invalid('This challenge was issued for another request.')
    if (headers !== undefined && headers !== (await boundHeaders(request, headers.split(',').map((item) => item.slice(0, item.indexOf('='))))))
      invalid('This challenge was issued for other request headers.')
    return { quote, issued, expires }
  }

  async function settleAttempt(request: Incoming, scope: string, attempt: Attempt): Promise<Decision> {
    const verdict = await lifecycle.admit(attempt)
    if (verdict.kind === 'granted') return { kind: 'proceed', grant: grantOf(request, verdict.run) }
    if (verdict.kind === 'refused') return askAgain(request, scope, new PaymentError(verdict.code, verdict.detail))
    return respond(answerTo(verdict))
  }

  function grantOf(request: Incoming, run: Run): Grant {
    const receipt = formatReceipt(run.payment.receipt)
    const shared = cors?.headers(request) ?? []
    return {
      payment: run.payment,
      headers(status) {
        if (status < 200) return []
        if (probe) void probe('first-byte')
        if (status >= 300) return [['cache-control', 'no-store'], ...shared]
        return [['payment-receipt', receipt], ['cache-control', 'private'], ...shared]
      },
      keeps: run.keeps ? KEPT_BYTES : 0,
      keep: (answer) => run.keep({ ...answer, headers: answer.headers.filter(([name]) => !PASSING.has(name.toLowerCase())) }),
      async finish(outcome) {
        await run.finish(outcome)
        lifecycle.recovery.soon(request.waitUntil)
      },
    }
  }

  /** A refused credential is answered with what the route asks now. */
  async function askAgain(request: Incoming, scope: string, error: PaymentError): Promise<Decision> {
    const opening = await ask(request, scope, error)
    if (opening.kind === 'respond') return opening
    // The route is free now, but this credential was refused for something else.
    return respond(refusal(409, error.detail))
  }

  /** The 402: what the route asks of this request. */
  async function ask(request: Incoming, scope: string, error?: PaymentError): Promise<Opening> {
    try {
      const asked = typeof amount === 'function' ? await askedBy(request) : CONSTANT
      if (asked === undefined) return { kind: 'pass' }
      if ('status' in asked) return respond(asked)
      const digest = bindBody && mayHaveBody(request) ? await digestOf(request) : undefined
      return respond(await challengeFor(request, scope, asked, digest, error))
    } catch (reason) {
      return respond(bodyFault(reason))
    }
  }

  async function challengeFor(request: Incoming, scope: string, asked: Asked, digest: string | undefined, error?: PaymentError): Promise<Answer> {
    const seconds = Math.floor(now() / 1000)
    if (seconds !== second) {
      second = seconds
      expiry = formatTime(seconds + lifetime)
    }
    const expires = expiry
    const bound = asked.bound === undefined ? '' : `"_h":${JSON.stringify(asked.bound)},`
    const opaque = encodeBase64url(`{${price.metaBefore}${bound}"_n":"${newQuote(seconds)}","_s":${JSON.stringify(scope)}${price.metaAfter}}`)
    const slots = `${expires}|${digest ?? ''}|${opaque}`
    const tail = `${expires}"${digest === undefined ? '' : `, digest="${digest}"`}, opaque="${opaque}"${headerTail}`
    const headers: [string, string][] = []
    let first = ''
    for (const rail of ordered(request.headers.get('accept-payment'))) {
      const quoted = asked.amount === undefined ? rail.constant : rail.quoteFor(asked.amount)
      if (!quoted) continue
      const signed = binding.sign(quoted.slots + slots)
      const id = typeof signed === 'string' ? signed : await signed
      first ||= id
      headers.push(['www-authenticate', `Payment id="${id}${quoted.field}${tail}`])
    }
    for (const header of fixed) headers.push(header)
    if (asked.bound !== undefined) headers.push(['vary', asked.bound.replace(/=[^,]*/g, '')])
    const status = error?.code === 'method-unsupported' ? 400 : 402
    const body = error ? problemBody(error.code, error.detail, status)(first) : REQUIRED(first)
    return { status, headers, body }
  }

  function ordered(accept: string | null): readonly Rail[] {
    if (accept === null || rails.length === 1) return rails
    let order = ranked.get(accept)
    if (!order) {
      const ranges = parseAcceptPayment(accept)
      order = ranges ? rankOffers(rails, ranges) : rails
      if (order.length === 0) order = rails
      if (ranked.size >= 256) ranked.clear()
      ranked.set(accept, order)
    }
    return order
  }

  /** What a price function says: undefined asks for nothing. */
  async function askedBy(request: Incoming): Promise<Asked | Answer | undefined> {
    if (typeof amount !== 'function') return CONSTANT
    const names = new Set<string>()
    const said = await amount({
      method: request.method === 'HEAD' ? 'GET' : request.method,
      target: request.target,
      header(name) {
        names.add(name.toLowerCase())
        return request.headers.get(name.toLowerCase())
      },
      body: () => request.body?.(maxBody) ?? Promise.resolve(new Uint8Array(0)),
    })
    if (said === null) return undefined
    if (typeof said === 'object') return checkedAnswer(said)
    if (typeof said !== 'string') throw new TypeError('mppkit: amount() must return a decimal string, null or an answer')
    return { amount: said, bound: names.size === 0 ? undefined : await boundHeaders(request, [...names].sort()) }
  }

  function digestOf(request: Incoming): Promise<string | undefined> {
    if (!mayHaveBody(request) || !request.body) return Promise.resolve(undefined)
    return request.body(maxBody).then((bytes) => (bytes.length === 0 ? undefined : computeDigest(bytes)))
  }
}

const CONSTANT: Asked = { amount: undefined, bound: undefined }

/** Per connection or per moment; not part of an answer that is given again. */
const PASSING = new Set(['date', 'connection', 'keep-alive', 'transfer-encoding', 'content-length', 'upgrade', 'trailer', 'proxy-connection', 'te'])

function respond(answer: Answer): { kind: 'respond'; answer: Answer } {
  return { kind: 'respond', answer }
}

function invalid(detail: string): never {
  throw new PaymentError('invalid-challenge', detail)
}

function mayHaveBody({ method, headers, body }: Incoming): boolean {
  if (!body) return false
  if (method !== 'GET' && method !== 'HEAD') return true
  return headers.get('transfer-encoding') !== null || (headers.get('content-length') ?? '0') !== '0'
}

async function boundHeaders(request: Incoming, names: readonly string[]): Promise<string> {
  const pairs = []
  for (const name of names) {
    const value = request.headers.get(name)
    pairs.push(`${name}=${value === null ? '' : await hash(value)}`)
  }
  return pairs.join(',')
}

const REFUSALS = new Set([401, 403, 404, 409, 422])

function checkedAnswer(answer: Answer): Answer {
  if (!REFUSALS.has(answer.status)) throw new TypeError(`mppkit: amount() answered ${String(answer.status)}; it may refuse with ${[...REFUSALS].join(', ')}`)
  const headers = answer.headers ?? []
  const cached = headers.some(([name]) => name.toLowerCase() === 'cache-control')
  return { status: answer.status, headers: cached ? [...headers] : [...headers, ['cache-control', 'no-store']], body: answer.body ?? null }
}

const BODY_STATUS = { 'too-large': 413, 'too-slow': 408, broken: 400 } as const

/** A body that cannot be had is the client's fault, or, if a parser ate it, the programmer's. */
function bodyFault(error: unknown): Answer {
  if (!(error instanceof BodyError) || error.reason === 'consumed') throw error
  return refusal(BODY_STATUS[error.reason], error.message)
}

function answerTo(verdict: Exclude<Verdict, { kind: 'granted' | 'refused' }>): Answer {
  switch (verdict.kind) {
    case 'kept':
      return replayed(verdict.answer)
    case 'conflict':
      return refusal(409, verdict.detail, verdict.retry ? [RETRY] : [])
    case 'unavailable':
      return refusal(503, verdict.detail, [RETRY])
  }
}

function replayed(answer: Kept): Answer {
  return { status: answer.status, headers: answer.headers, body: answer.body }
}

