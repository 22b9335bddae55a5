import { createBinding, type OnceMethod, type Store } from '@mppkit/core'
import type { Cors } from './cors.ts'
import { createHttpGate, type HttpOptions } from './http.ts'
import { createSealer } from './keep.ts'
import type { FaultPoint } from './attempt.ts'
import { createLifecycle } from './lifecycle.ts'
import { createLimiter } from './limits.ts'
import { memoryStore } from './memory-store.ts'
import { writeOpenApi, type Api, type Described } from './openapi.ts'
import { createOperator, type Operator, type PaymentEvent } from './operator.ts'
import { checkPage, type PageOption } from './page.ts'
import { compilePrice, type Price, type PriceTerms } from './price.ts'
import { hash } from './runtime.ts'
import type { Gate, Incoming } from './seam.ts'
import { createShadowGate, logShadow, SHADOW_WARNING, type ShadowEvent } from './shadow.ts'
import { createCheck, type Standing } from './startup.ts'
import { createPeerReader, type Peer, type TrustProxy } from './trust.ts'

export interface MppOptions<Methods extends readonly OnceMethod<never>[] = readonly OnceMethod<never>[]> {
  /** The protection space, shown to buyers: printable ASCII without `|`. */
  realm: string
  /** At least 32 bytes; a list rotates: all verify, the first signs. Keep an old one for as long as `redeem.within`. */
  secret: string | readonly string[] | undefined
  /** The rails, in the order in which they are offered. */
  methods: Methods
  /** Where payments are recorded. May be left out on loopback only. */
  store?: Store
  /** The public origin, e.g. `https://api.example.com`. With https the operator vouches for TLS in front. */
  origin?: string | undefined
  /** The number of proxies in front, or their addresses (CIDR), whose `X-Forwarded-Proto` and `-For` are read. */
  trustProxy?: TrustProxy
  /** The request header that carries credentials. Default `Authorization`. */
  header?: 'Authorization' | 'Payment-Authorization'
  /** Lets scripts of other origins pay: `'*'`, or a list of origins. */
  cors?: Cors
  /** Refused credentials per remote address. Default `{ verify: '20/min' }`; never on loopback. */
  limits?: { verify?: string | false }
  /** Faults of the rail, of the store, and of recovery. `payment` where one is concerned. Default: `console.error` of the message. */
  onError?: (error: unknown, payment?: { id: string; challengeId: string }) => void
  /** What the operator should hear of: money that nobody got anything for, and refunds. Told at least once, also after a crash. */
  onEvent?: (event: PaymentEvent) => void | Promise<void>
  /** Shows a page in place of the problem to whoever opens a paid address in a browser. Default false; prices may differ. */
  page?: PageOption
  /**
   * False: shadow mode. Every request is let in unpaid, and `onShadow` hears what it would have been asked. Everything
   * else is checked as ever, so that going live is leaving this out. Default true.
   */
  enforce?: boolean
  /** What a gate would have done, for each request while `enforce` is false. Default: a line with `console.log`. */
  onShadow?: (event: ShadowEvent) => void | Promise<void>
  /** Unix milliseconds; for tests. */
  now?: () => number
  /** Called at each named point of a payment; for tests. */
  probe?: (point: FaultPoint) => void | Promise<void>
}

export interface Gates<
  Methods extends readonly OnceMethod<never>[] = readonly OnceMethod<never>[],
> extends Operator {
  /** One payment per request. Throws `TypeError` for a price that cannot be asked. */
  charge(price: Price<Methods>): Gate
  /** Describes the API, for `/openapi.json` and `/llms.txt`, by the gates that guard it. Throws `TypeError` with the remedy. */
  openapi(api: Api<Gate>): Described
  /** Looks after up to 100 payments that requests left behind; for a cron where no process lives long. Resolves with their number. */
  recover(): Promise<number>
  /**
   * Looks, before there is traffic, whether payments can be taken: the store answers, and other servers of this realm
   * on it have a secret in common with this one; unless `secrets: 'replaced'` says that all old ones are to be forgotten.
   * Resolves with what two servers can be compared by. Rejects with the remedy.
   */
  check(options?: { secrets?: 'replaced' }): Promise<Standing>
  /**
   * For a graceful shutdown: takes no more credentials (503, they stay good for other servers) and waits for what has
   * been paid here to be delivered. Resolves with the payments that were still at work after `timeout` milliseconds
   * (default 30 000); another server, or this one after its restart, goes on with them.
   */
  drain(options?: { timeout?: number }): Promise<number>
  /** Stops the timer of recovery. Does not close the store. */
  close(): void
}

/**
 * Checks the options and makes gates.
 * @throws TypeError that names the remedy, for every option that cannot work
 */
export function createGates<const Methods extends readonly OnceMethod<never>[]>(
  options: MppOptions<Methods>,
): Gates<Methods> {
  checkOptions(options)
  const { realm, methods, now = Date.now, probe, limits = {} } = options
  const onError = options.onError ? guarded(options.onError) : logError
  checkRealm(realm)
  checkMethods(methods)
  const secrets = typeof options.secret === 'string' ? [options.secret] : (options.secret ?? [])
  const binding = createBinding(secrets)
  const origin = parseOrigin(options.origin)
  const store = storeFor(options.store, origin)
  if (origin && !origin.loopback && secrets.some((secret) => secret.startsWith(EXAMPLE)))
    fail('the secret is that of an example, which everybody knows. Make one: openssl rand -base64 32')
  checkCors(options.cors)
  checkPage(options.page)
  const { header = 'Authorization' } = options
  if (header !== 'Authorization' && header !== 'Payment-Authorization')
    fail('header must be "Authorization" or "Payment-Authorization"')
  const limiter = limits.verify === false ? undefined : createLimiter(limits.verify ?? '20/min', now)
  let longest = 0
  const lifecycle = createLifecycle({
    realm,
    store,
    methods,
    now,
    onError,
    onEvent: options.onEvent,
    limiter,
    hash,
    longest: () => longest,
    ...createSealer(secrets),
    probe,
  })
  const http: HttpOptions = {
    realm,
    binding,
    lifecycle,
    limiter,
    methods,
    credentialHeader: header.toLowerCase() as HttpOptions['credentialHeader'],
    peerOf: peerReader(options.trustProxy, origin, onError),
    transportFault: (peer) => transportFault(peer, origin),
    cors: options.cors,
    origin: options.origin?.replace(/\/$/, ''),
    page: options.page,
    now,
    probe,
  }
  const isShadow = options.enforce === false
  if (isShadow) console.warn(SHADOW_WARNING)
  const made = new WeakSet<Gate>()
  return {
    charge(price) {
      const compiled = compilePrice(price as PriceTerms & Record<string, unknown>, methods, 'charge', realm)
      longest = Math.max(longest, compiled.lifetime)
      const gate = isShadow
        ? createShadowGate({ ...http, onError, onShadow: options.onShadow ?? logShadow }, compiled)
        : createHttpGate(http, compiled)
      made.add(gate)
      return gate
    },
    openapi: (api) => writeOpenApi(api, (gate) => (made.has(gate) ? gate : undefined), options),
    recover: () => lifecycle.recovery.look(100),
    ...createOperator({ realm, store, now, onError }, lifecycle),
    check: createCheck({ realm, store, secrets }),
    async drain({ timeout = 30_000 } = {}) {
      if (!(timeout >= 0 && timeout <= LONGEST_TIMER))
        fail(`drain: timeout is ${String(timeout)}; write milliseconds, e.g. { timeout: 30_000 }`)
      const { recovery, traffic } = lifecycle
      recovery.stop()
      const end = performance.now() + timeout
      const left = await traffic.drain(timeout)
      // Only now: who left last may have begun to return money.
      await recovery.rest(Math.max(end - performance.now(), 0))
      return left
    },
    close: () => lifecycle.recovery.stop(),
  }
}

/** How the secrets of our examples begin; with one of them anybody could sign challenges. */
const EXAMPLE = 'for-this-example-only'

/** Milliseconds; what is longer ends at once. */
const LONGEST_TIMER = 0x7fffffff

const KNOWN = [
  'realm',
  'secret',
  'methods',
  'store',
  'origin',
  'trustProxy',
  'header',
  'cors',
  'limits',
  'onError',
  'onEvent',
  'page',
  'enforce',
  'onShadow',
  'now',
  'probe',
]

function checkOptions(options: object): void {
  if (typeof options !== 'object' || options === null)
    fail('createMpp needs options: createMpp({ realm, secret, methods: [tempo.charge({ recipient })] })')
  for (const name of Object.keys(options))
    if (!KNOWN.includes(name)) fail(`createMpp has no option "${name}"; it knows ${KNOWN.join(', ')}`)
  const { onError, onEvent, onShadow, now, probe, enforce } = options as Record<string, unknown>
  for (const [name, value] of Object.entries({ onError, onEvent, onShadow, now, probe }))
    if (value !== undefined && typeof value !== 'function') fail(`${name} must be a function`)
  // Not "0" or undefined out of an environment: who gives the goods away must say so.
  if (enforce !== undefined && typeof enforce !== 'boolean') fail('enforce must be true or false')
}

/**
 * Behind a proxy that is not named, every client has the proxy's address: nobody must be locked out for another. And
 * behind one on this machine the socket says "loopback" of requests from anywhere: the operator is told.
 */
function peerReader(
  trust: TrustProxy | undefined,
  origin: Origin | undefined,
  onError: (error: unknown) => void,
): (request: Incoming) => Peer {
  const read = createPeerReader(trust)
  if (trust !== undefined) return read
  let told = origin !== undefined
  return (request) => {
    const peer = read(request)
    if (
      !told &&
      peer.transport === 'loopback' &&
      FORWARDED.some((name) => request.headers.get(name) !== null)
    ) {
      told = true
      onError(new TypeError(`mppkit: ${BEHIND_PROXY}`))
    }
    return origin?.https && peer.transport !== 'tls' ? { ...peer, remote: undefined } : peer
  }
}

const BEHIND_PROXY =
  'a request came through a proxy on this machine, so the server can be reached from beyond loopback; give createMpp ' +
  'its public origin, e.g. origin: "https://api.example.com", and a store that survives a restart'

function checkRealm(realm: unknown): void {
  if (typeof realm !== 'string' || !/^[\x20-\x7b\x7d\x7e]{1,200}$/.test(realm))
    fail('realm must be 1 to 200 printable ASCII characters without "|", e.g. "api.example.com"')
}

function checkMethods(methods: readonly OnceMethod<never>[]): void {
  if (!Array.isArray(methods) || methods.length === 0)
    fail('methods is empty; give at least one, e.g. [tempo.charge({ recipient })]')
  const seen = new Set<string>()
  for (const { name, intent, quote, settle } of methods) {
    if (typeof quote !== 'function' || typeof settle !== 'function')
      fail(
        'methods holds something that is no rail of a seller; write e.g. tempo.charge({ recipient }) from "@mppkit/tempo/server"',
      )
    if (!/^[a-z]+$/.test(name)) fail(`a method is named ${JSON.stringify(name)}; names are letters a to z`)
    if (seen.has(`${name}/${intent}`)) fail(`methods holds ${name}/${intent} twice`)
    seen.add(`${name}/${intent}`)
  }
  const modes = new Set(methods.map(({ mode }) => mode).filter((mode) => mode !== undefined))
  if (modes.size > 1) {
    const test = methods.filter(({ mode }) => mode === 'test').map(({ name }) => name)
    fail(
      `methods mixes live rails with test ones (${test.join(', ')}); a buyer would pay with play money. Make two servers`,
    )
  }
}

function checkCors(cors: unknown): void {
  if (cors === undefined || cors === '*') return
  if (!Array.isArray(cors)) fail('cors must be "*" or a list of origins, e.g. ["https://app.example.com"]')
  for (const origin of cors) {
    if (typeof origin !== 'string' || !/^[a-z][a-z0-9+.-]*:\/\/[^/?#@\sA-Z]+$/.test(origin))
      fail(
        `cors holds ${JSON.stringify(origin)}; write origins as browsers send them, e.g. "https://app.example.com"`,
      )
  }
}

interface Origin {
  https: boolean
  loopback: boolean
}

function parseOrigin(text: string | undefined): Origin | undefined {
  if (text === undefined) return undefined
  // "localhost:3000" is a URL, too: one whose scheme is "localhost".
  if (typeof text !== 'string' || !/^https?:\/\//i.test(text) || !URL.canParse(text))
    return fail(`origin is ${JSON.stringify(text)}; write it like "https://api.example.com"`)
  const url = new URL(text)
  if (url.origin !== text.replace(/\/$/, '').toLowerCase())
    fail(`origin is ${JSON.stringify(text)}; leave out path, query and user: ${JSON.stringify(url.origin)}`)
  const loopback =
    /^(localhost|127(\.\d+){3}|\[::1\])$/.test(url.hostname) || url.hostname.endsWith('.localhost')
  if (url.protocol !== 'https:' && !(url.protocol === 'http:' && loopback))
    fail('origin must be https beyond loopback: credentials are as good as money')
  return { https: url.protocol === 'https:', loopback }
}

function storeFor(store: Store | undefined, origin: Origin | undefined): Store {
  for (const name of ['get', 'swap', 'due'] as const)
    if (store !== undefined && typeof store?.[name] !== 'function')
      fail(`store has no ${name}(); write e.g. store: sqliteStore({ path: "payments.db" })`)
  const remote = origin !== undefined && !origin.loopback
  if (remote && (store === undefined || store.volatile))
    fail(
      'a server beyond loopback needs a store that survives a restart, or a restart forgets who has paid: e.g. store: sqliteStore({ path: "payments.db" })',
    )
  return store ?? memoryStore()
}

const FORWARDED = ['x-forwarded-for', 'x-forwarded-proto', 'forwarded']
const PLAIN = 'Payments are taken over TLS only.'

function transportFault({ transport, forwarded }: Peer, origin: Origin | undefined): string | undefined {
  if (transport === 'tls' || transport === 'loopback') return undefined
  if (transport === 'unknown') {
    if (origin === undefined)
      throw new TypeError(
        'mppkit: this runtime does not show how a request arrived; give createMpp the public origin, e.g. origin: "https://api.example.com"',
      )
    return undefined
  }
  // Plain http from a proxy that ends TLS is what an https origin vouches for; a trusted hop that says http is not.
  return origin?.https && !forwarded ? undefined : PLAIN
}

/** A listener that fails has failed alone: the payment goes on. */
function guarded(onError: NonNullable<MppOptions['onError']>): NonNullable<MppOptions['onError']> {
  return (error, payment) => {
    try {
      onError(error, payment)
    } catch (fault) {
      logError(fault, payment)
    }
  }
}

function logError(error: unknown, payment?: { id: string }): void {
  const what = error instanceof Error ? `${error.name}: ${error.message}` : String(error)
  console.error(`mppkit: ${payment ? `payment ${payment.id}: ` : ''}${what}`)
}

function fail(message: string): never {
  throw new TypeError(`mppkit: ${message}`)
}
