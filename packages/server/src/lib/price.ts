import {
  canonicalize,
  encodeBase64url,
  quoteString,
  type JsonObject,
  type OnceMethod,
  type Terms,
} from '@mppkit/core'
import { checkPage, type PageOption } from './page.ts'
import type { Answer, Offer } from './seam.ts'

/** What a price function sees of a request. */
export interface PriceRequest {
  method: string
  /** Raw path and query. */
  target: string
  /** Reads a header, and binds the price to its value. */
  header(name: string): string | null
  /** The body, up to `maxBody`. */
  body(): Promise<Uint8Array>
}

/**
 * A decimal string in whole units; `'0'` asks for a proof of identity, `null` for nothing, an `Answer` (401, 403, 404, 409,
 * 422) refuses before money is asked for. Two functions that may price one target (a header chooses the route, mounted apps)
 * are told apart by their code and by `meta`: give them different `meta` if they come from one factory.
 */
export type Amount =
  | string
  | ((request: PriceRequest) => string | null | Answer | Promise<string | null | Answer>)

/** What a route asks. */
export interface PriceTerms {
  amount: Amount
  currency?: string
  recipient?: string
  description?: string
  /** Seconds that a challenge can be answered; at least 10. Default 300. */
  lifetime?: number
  externalId?: string
  /** Whether the request's body is bound to the payment. Default true. */
  bindBody?: boolean
  /** Bytes of a request body that are read for binding. Default 1 MiB. */
  maxBody?: number
  /** The seller's own strings: bound, but visible to the buyer. Names must not begin with `_`. */
  meta?: Readonly<Record<string, string>>
  /** How often (default 3) and for how long (default `'24h'`) a paid request that failed may be redeemed. */
  redeem?: { attempts?: number; within?: string }
  /** Whether a browser is shown a page in place of the problem, and what it says. Default: as `createMpp` has it. */
  page?: PageOption
}

type OverrideOf<M> = M extends OnceMethod<infer Override, infer _, infer __> ? Override : never

type Overrides<Method extends { name: string }> = {
  [M in Method as M['name']]?:
    | false
    | (Partial<Pick<Terms, 'currency' | 'recipient' | 'description' | 'externalId'>> & Partial<OverrideOf<M>>)
}

/** A price for a server with the given methods: overrides for one rail are keyed by its name; `false` withholds the rail. */
export type Price<Methods extends readonly { name: string }[] = readonly { name: string }[]> = PriceTerms &
  (string extends Methods[number]['name'] ? Record<string, unknown> : Overrides<Methods[number]>)

/** One rail of a compiled price. */
export interface Rail extends Offer {
  rail: OnceMethod<never>
  /** The quote of a constant amount. */
  constant?: Quoted
  quoteFor(amount: string): Quoted
  /** Whether a request that we once quoted still states this route's constant terms. */
  stands(text: string, request: JsonObject): boolean
}

export interface Quoted {
  request: JsonObject
  /** base64url of its canonical form, as on the wire. */
  text: string
  /** The first four slots of the binding, and all of the header field between id and expiry: made once. */
  slots: string
  field: string
}

export interface CompiledPrice {
  rails: Rail[]
  amount: Amount
  lifetime: number
  bindBody: boolean
  maxBody: number
  attempts: number
  /** Seconds. */
  within: number
  /** Canonical JSON members of `meta` that sort before and after our own, each ready to be put beside them. */
  metaBefore: string
  metaAfter: string
  /** `_g` of a computed price, once it has been asked for. */
  mark?: string
  page?: PageOption | undefined
}

const KNOWN = new Set([
  'amount',
  'currency',
  'recipient',
  'description',
  'lifetime',
  'externalId',
  'bindBody',
  'maxBody',
  'meta',
  'redeem',
  'page',
])

/** Checks a price and makes everything of it that no request can change. Throws `TypeError` with the remedy. */
export function compilePrice(
  price: PriceTerms & Record<string, unknown>,
  methods: readonly OnceMethod<never>[],
  intent: string,
  realm: string,
): CompiledPrice {
  if (typeof price !== 'object' || price === null) fail('a price is an object, e.g. { amount: "0.01" }')
  const { amount, lifetime = 300, bindBody = true, maxBody = 1_048_576, meta = {}, redeem = {} } = price
  if (typeof amount !== 'string' && typeof amount !== 'function')
    fail('amount must be a decimal string like "0.01", or a function that returns one')
  if (!Number.isInteger(lifetime) || lifetime < 10)
    fail(`lifetime is ${String(lifetime)}; it must be whole seconds, at least 10`)
  if (lifetime > 2_592_000) fail('lifetime is in seconds, at most 30 days')
  if (typeof redeem !== 'object' || redeem === null)
    fail('redeem must be an object, e.g. { attempts: 3, within: "24h" }')
  checkPage(price.page)
  for (const name of Object.keys(redeem))
    if (name !== 'attempts' && name !== 'within')
      fail(`redeem has no "${name}"; it knows attempts and within`)
  if (!Number.isInteger(maxBody) || maxBody < 1) fail('maxBody must be a positive number of bytes')
  const attempts = redeem.attempts ?? 3
  if (!Number.isInteger(attempts) || attempts < 1) fail('redeem.attempts must be a whole number, at least 1')
  const offered = methods.filter((method) => method.intent === intent && price[method.name] !== false)
  for (const name of Object.keys(price)) {
    if (!KNOWN.has(name) && !methods.some((method) => method.name === name))
      fail(
        `a price has no "${name}"; it knows ${[...KNOWN].join(', ')} and the names of the methods (${methods.map((method) => method.name).join(', ')})`,
      )
  }
  if (offered.length === 0)
    fail(`no method offers "${intent}" here; give createMpp a method for it, or withhold fewer`)
  const rails = offered.map((method) =>
    compileRail(
      realm,
      method,
      termsFor(method, price, offered),
      typeof amount === 'string' ? amount : undefined,
    ),
  )
  const [metaBefore, metaAfter] = splitMeta(meta)
  return {
    rails,
    amount,
    lifetime,
    bindBody,
    maxBody,
    attempts,
    within: parseDuration(redeem.within ?? '24h'),
    metaBefore,
    metaAfter,
    page: price.page,
  }
}

function compileRail(
  realm: string,
  method: OnceMethod<never>,
  terms: Omit<Terms, 'amount'>,
  amount: string | undefined,
): Rail {
  const quote = (value: string | null): JsonObject => method.quote({ ...terms, amount: value } as never)
  const open = quote(null)
  const cache = new Map<string, Quoted>()
  const quoteFor = (value: string): Quoted => {
    let quoted = cache.get(value)
    if (!quoted) {
      const request = quote(value)
      const text = encodeBase64url(canonicalize(request))
      const { name, intent } = method
      quoted = {
        request,
        text,
        slots: `${realm}|${name}|${intent}|${text}|`,
        field: `", realm=${quoteString(realm)}, method="${name}", intent="${intent}", request="${text}", expires="`,
      }
      if (cache.size >= 256) cache.clear()
      cache.set(value, quoted)
    }
    return quoted
  }
  const constant = amount === undefined ? undefined : quoteFor(amount)
  return {
    method: method.name,
    intent: method.intent,
    request: constant?.request ?? open,
    rail: method,
    ...(constant && { constant }),
    ...(amount !== undefined && { amount }),
    quoteFor,
    stands(text, request) {
      if (constant) return text === constant.text || termsOf(constant.request) === termsOf(request)
      // A rail may leave out of a request for nothing what only money needs.
      const expected = request['amount'] === '0' ? quoteFor('0').request : open
      return termsOf({ ...expected, amount: null }) === termsOf({ ...request, amount: null })
    },
  }
}

/** What must not have changed between quote and payment; descriptions may. */
function termsOf({
  amount = null,
  currency = null,
  recipient = null,
  methodDetails = null,
}: JsonObject): string {
  return canonicalize([amount, currency, recipient, methodDetails])
}

/** A flat `currency` or `recipient` goes to the one rail that it can be meant for. */
function termsFor(
  method: OnceMethod<never>,
  price: PriceTerms & Record<string, unknown>,
  offered: readonly OnceMethod<never>[],
): Omit<Terms, 'amount'> {
  const terms: Record<string, unknown> = {}
  if (price.description !== undefined) terms['description'] = price.description
  if (price.externalId !== undefined) terms['externalId'] = price.externalId
  for (const field of ['currency', 'recipient'] as const) {
    const value = price[field]
    if (value === undefined) continue
    const meant = offered.filter(
      (rail) =>
        (price[rail.name] as Record<string, unknown> | undefined)?.[field] === undefined &&
        (offered.length === 1 || rail.takes(field, value)),
    )
    if (meant.length === 0)
      fail(
        `${field} ${JSON.stringify(value)} fits none of the methods offered (${names(offered)}); set it on one, e.g. ${example(offered[0], field)}`,
      )
    if (meant.length > 1)
      fail(
        `${field} ${JSON.stringify(value)} fits several methods (${names(meant)}); say which is meant, e.g. ${example(meant[0], field)}`,
      )
    if (meant[0] === method) terms[field] = value
  }
  const own = price[method.name]
  if (own !== undefined && (typeof own !== 'object' || own === null))
    fail(`${method.name} must be false or an object of overrides`)
  return { ...terms, ...(own as object | undefined) }
}

function names(methods: readonly OnceMethod<never>[]): string {
  return methods.map((method) => method.name).join(', ')
}

function example(method: OnceMethod<never> | undefined, field: string): string {
  return `${method?.name ?? 'method'}: { ${field}: … }`
}

function splitMeta(meta: Readonly<Record<string, string>>): [string, string] {
  const before: string[] = []
  const after: string[] = []
  for (const name of Object.keys(meta).sort()) {
    const value = meta[name]
    if (name === '' || name.startsWith('_'))
      fail(`meta has ${JSON.stringify(name)}; names that are empty or begin with "_" are reserved`)
    if (typeof value !== 'string') fail(`meta.${name} must be a string`)
    ;(name < '_' ? before : after).push(canonicalize({ [name]: value }).slice(1, -1))
  }
  return [before.map((member) => `${member},`).join(''), after.map((member) => `,${member}`).join('')]
}

function parseDuration(text: string): number {
  const match = /^([1-9]\d{0,6})(s|min|h|d)$/.exec(text)
  if (!match) return fail(`redeem.within is ${JSON.stringify(text)}; write it like '24h' (s, min, h or d)`)
  return Number(match[1]) * { s: 1, min: 60, h: 3600, d: 86_400 }[match[2] as 's' | 'min' | 'h' | 'd']
}

function fail(message: string): never {
  throw new TypeError(`mppkit: ${message}`)
}
