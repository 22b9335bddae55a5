import {
  computeDigest,
  encodeBase64url,
  formatTime,
  parseAcceptPayment,
  rankOffers,
  type Binding,
  type PaymentError,
} from '@mppkit/core'
import { bodyFault, problemBody } from './answer.ts'
import { PAGE_HEADERS, pageFor, wantsPage, writePage, type PageOption } from './page.ts'
import type { CompiledPrice, Quoted, Rail } from './price.ts'
import { newQuote } from './quote.ts'
import { hash } from './runtime.ts'
import type { Answer, Incoming, Opening } from './seam.ts'

/** A price as the function or constant said it for one request. */
interface Asked {
  amount: string | undefined
  /** `_g` and `_h`: which price this is, and the headers that it depends on; as members of `opaque`. */
  bound: string
  vary?: string
}

/** What scripts of other origins may read. */
export const EXPOSED = 'WWW-Authenticate, Payment-Receipt, Retry-After'

const REQUIRED = problemBody('payment-required', 'This resource must be paid for.', 402)

export interface Asking {
  /** The 402: what the route asks of this request, and why an earlier credential would not do. */
  ask(request: Incoming, scope: string, error?: PaymentError): Opening | Promise<Opening>
  /** What a price function says: undefined asks for nothing. */
  asked(request: Incoming): Promise<Asked | Answer | undefined>
}

interface AskingOptions {
  realm: string
  binding: Binding
  credentialHeader: 'authorization' | 'payment-authorization'
  /** Without a path; undefined: not known. */
  origin?: string | undefined
  page?: PageOption | undefined
  now(): number
}

/** Writes the challenges of one price. */
export function createAsking(options: AskingOptions, price: CompiledPrice): Asking {
  const { binding, credentialHeader, now } = options
  const { rails, amount, lifetime, maxBody } = price
  const headerTail = credentialHeader === 'authorization' ? '' : ', header="Payment-Authorization"'
  const fixed: [string, string][] = [
    ['cache-control', 'no-store'],
    ['content-type', 'application/problem+json'],
    ['access-control-expose-headers', EXPOSED],
  ]
  if (credentialHeader !== 'authorization') fixed.push(['vary', 'Payment-Authorization'])
  const page = pageFor(options.page, price.page)
  if (page) fixed.push(['vary', 'Accept'])
  const ranked = new Map<string, readonly Rail[]>()
  let second = 0
  let expiry = ''

  return { ask, asked: askedBy }

  // The unpaid request for a constant price waits for nobody: promises would be the dearest part of it.
  function ask(request: Incoming, scope: string, error?: PaymentError): Opening | Promise<Opening> {
    if (typeof amount === 'function' || (request.body && mayHaveBody(request)))
      return askWith(request, scope, error)
    const answer = challengeFor(request, scope, CONSTANT, undefined, error)
    return answer instanceof Promise ? answer.then(respond) : respond(answer)
  }

  async function askWith(request: Incoming, scope: string, error?: PaymentError): Promise<Opening> {
    try {
      const asked = await askedBy(request)
      if (asked === undefined) return { kind: 'pass' }
      if ('status' in asked) return respond(asked)
      const digest = await digestOf(request, price)
      return respond(await challengeFor(request, scope, asked, digest, error))
    } catch (reason) {
      return respond(bodyFault(reason))
    }
  }

  function challengeFor(
    request: Incoming,
    scope: string,
    asked: Asked,
    digest: string | undefined,
    error?: PaymentError,
  ): Answer | Promise<Answer> {
    const seconds = Math.floor(now() / 1000)
    if (seconds !== second) {
      second = seconds
      expiry = formatTime(seconds + lifetime)
    }
    const expires = expiry
    const opaque = encodeBase64url(
      `{${price.metaBefore}${asked.bound}"_n":"${newQuote(seconds)}","_s":${JSON.stringify(scope)}${price.metaAfter}}`,
    )
    const slots = `${expires}|${digest ?? ''}|${opaque}`
    const tail = `${expires}"${digest === undefined ? '' : `, digest="${digest}"`}, opaque="${opaque}"${headerTail}`
    const quotes: Quoted[] = []
    for (const rail of ordered(request.headers.get('accept-payment'))) {
      const quoted = asked.amount === undefined ? rail.constant : rail.quoteFor(asked.amount)
      if (quoted) quotes.push(quoted)
    }
    const ids = quotes.map((quoted) => binding.sign(quoted.slots + slots))
    const write = (signed: readonly string[]): Answer => {
      const headers = quotes.map((quoted, at): [string, string] => [
        'www-authenticate',
        `Payment id="${signed[at]}${quoted.field}${tail}`,
      ])
      headers.push(...fixed)
      if (asked.vary) headers.push(['vary', asked.vary])
      const status = error?.code === 'method-unsupported' ? 400 : 402
      if (page && wantsPage(request)) return pageOf(request, asked, expires, headers)
      const body = error ? problemBody(error.code, error.detail, status) : REQUIRED
      return { status, headers, body: body(signed[0] ?? '') }
    }
    if (ids.every((id) => typeof id === 'string')) return write(ids)
    return Promise.all(ids.map((id) => Promise.resolve(id))).then(write)
  }

  /** The same answer, for somebody who looks at it in a browser. */
  function pageOf(
    request: Incoming,
    { amount: said }: Asked,
    expires: string,
    headers: Answer['headers'],
  ): Answer {
    const offers = rails.map((rail) => ({
      method: rail.method,
      request: (said === undefined ? rail.constant : rail.quoteFor(said))?.request ?? {},
    }))
    const terms = {
      realm: options.realm,
      amount: said ?? (amount as string),
      offers,
      expires,
      url: `${options.origin ?? hostOf(request)}${request.target}`,
    }
    const kept = headers.filter(([name]) => name !== 'content-type' && name !== 'cache-control')
    return {
      status: 402,
      headers: [...kept, ...PAGE_HEADERS.map(([name, value]): [string, string] => [name, value])],
      body: writePage(page ?? {}, terms),
    }
  }

  function ordered(accept: string | null): readonly Rail[] {
    if (accept === null || rails.length === 1) return rails
    let order = ranked.get(accept)
    if (!order) {
      const ranges = parseAcceptPayment(accept)
      order = ranges ? rankOffers(rails, ranges) : rails
      if (order.length === 0) order = rails
      if (ranked.size >= 256) ranked.clear()
      // What is long is no client's habit, but somebody's use of our memory.
      if (accept.length <= 256) ranked.set(accept, order)
    }
    return order
  }

  async function askedBy(request: Incoming): Promise<Asked | Answer | undefined> {
    if (typeof amount !== 'function') return CONSTANT
    const names = new Set<string>()
    const said = await amount({
      method: request.method === 'HEAD' ? 'GET' : request.method,
      target: request.target,
      header(name) {
        if (name.toLowerCase() !== 'host') names.add(name.toLowerCase())
        return request.headers.get(name.toLowerCase())
      },
      body() {
        if (!price.bindBody)
          throw new TypeError(
            'mppkit: amount() reads the body, so it must be bound: leave out bindBody: false',
          )
        // The same bytes are another order for another parser.
        names.add('content-type').add('content-encoding')
        return request.body?.(maxBody) ?? Promise.resolve(new Uint8Array(0))
      },
    })
    if (said === null) return undefined
    if (typeof said === 'object') return checkedAnswer(said)
    if (typeof said !== 'string')
      throw new TypeError('mppkit: amount() must return a decimal string, null or an answer')
    // The host is always bound: a price that is worked out may differ between the hosts of one server.
    const headers = await boundHeaders(request, [...names, 'host'].sort())
    const bound = `"_g":"${await priceMark(price)}","_h":${JSON.stringify(headers)},`
    return { amount: said, bound, vary: [...names].join(', ') }
  }
}

/** Without an origin only the loopback is served; what its `Host` says is shown to nobody but who sent it. */
function hostOf({ headers }: Incoming): string {
  const host = headers.get('host') ?? ''
  return /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])(:\d{1,5})?$/.test(host) ? `http://${host}` : ''
}

const CONSTANT: Asked = { amount: undefined, bound: '' }

/** The digest that a challenge for this request carries; undefined where there is no body, or none is bound. Rejects with `BodyError`. */
export async function digestOf(
  request: Incoming,
  { bindBody, maxBody }: CompiledPrice,
): Promise<string | undefined> {
  if (!bindBody || !request.body || !mayHaveBody(request)) return undefined
  const bytes = await request.body(maxBody)
  return bytes.length === 0 ? undefined : computeDigest(bytes)
}

/**
 * `_g`: tells computed prices apart, of which two may answer one target: in a mounted app, or where a header chooses the
 * route. What a cheap one has quoted must not open a dear one. The same in every process that runs the same code.
 */
export async function priceMark(price: CompiledPrice): Promise<string> {
  const { amount, metaBefore, metaAfter } = price
  return (price.mark ??= (await hash(`${metaBefore}|${metaAfter}|${String(amount)}`)).slice(0, 16))
}

function mayHaveBody({ method, headers }: Incoming): boolean {
  if (method !== 'GET' && method !== 'HEAD') return true
  return headers.get('transfer-encoding') !== null || (headers.get('content-length') ?? '0') !== '0'
}

/** `_h`: names and hashed values of the headers that a price depends on. */
export async function boundHeaders(request: Incoming, names: readonly string[]): Promise<string> {
  const pairs = []
  for (const name of names) {
    const value = request.headers.get(name)
    pairs.push(`${name}=${value === null ? '' : await hash(value)}`)
  }
  return pairs.join(',')
}

const REFUSALS = new Set([401, 403, 404, 409, 422])

function checkedAnswer(answer: Answer): Answer {
  if (!REFUSALS.has(answer.status))
    throw new TypeError(
      `mppkit: amount() answered ${String(answer.status)}; it may refuse with ${[...REFUSALS].join(', ')}`,
    )
  const headers = answer.headers ?? []
  if (!Array.isArray(headers))
    throw new TypeError(
      'mppkit: amount() must answer { status, headers: [[name, value]], body }, not a Response',
    )
  const cached = headers.some(([name]) => name.toLowerCase() === 'cache-control')
  return {
    status: answer.status,
    headers: cached ? [...headers] : [...headers, ['cache-control', 'no-store']],
    body: answer.body ?? null,
  }
}

function respond(answer: Answer): Opening {
  return { kind: 'respond', answer }
}
