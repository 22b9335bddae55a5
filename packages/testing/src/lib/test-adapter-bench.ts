import { createHmac } from 'node:crypto'
import {
  bindingInput,
  parseChallenges,
  parseReceipt,
  type Challenge,
  type Credential,
  type OnceMethod,
  type Receipt,
  type Store,
} from '@mppkit/core'
import { createGates, memoryStore, type Gate, type MppOptions, type PriceTerms } from '@mppkit/server'
import { expect } from 'vitest'
import type { App, AppRoute, Reply, Serve } from './adapter-app.ts'
import { createBuyer, type Buyer, type Exchange, type Got, type Raw } from './buyer.ts'
import type { Wire } from './buyer-wire.ts'
import { verifies } from './cite.ts'
import { createToyFaults, type ToyFaults } from './toy-faults.ts'
import { createToyLedger, type ToyLedger } from './toy-ledger.ts'
import { toyWallet, type ToyWallet } from './toy-wallet.ts'
import { toyMethod, type ToyMethod } from './toy-method.ts'

/** How an adapter is asked. */
export interface AdapterOptions {
  /** A payment rail to ask the questions with that do not need the toy rail's faults. Its prices are in whole units. */
  rail?: { method: OnceMethod<never>; pay(challenge: Challenge): Promise<string> }
  /** Where payments are recorded; default: in memory. Called once. */
  store?: () => Promise<Store>
  /** By key of the question: why this framework cannot meet it. Such questions run as expected failures. */
  expectedFailures?: Readonly<Record<string, string>>
  /** The gates' public origin, for a runtime that shows no socket. */
  origin?: string
}

/** Registers one question. `key` names it for `expectedFailures`. */
export type Ask = (
  key: string,
  ids: readonly string[],
  title: string,
  body: () => Promise<void>,
  timeout?: number,
) => void

/** A route of the app under test. */
export interface Asked {
  /** As a buyer asks for it, prefix and all. */
  target: string
  /** How often the handler was started. */
  starts: number
  /** What the handler does first; may wait, may throw. */
  onStart: (() => void | Promise<void>) | undefined
}

/** The protection space of the app under test. */
export const REALM = 'conformance.example'
/** A marker as well: it must never be seen in an answer. */
export const SECRET = 'conformance-secret-that-nobody-must-ever-see'
/** A secret that is rotated out; a marker like `SECRET`. */
export const OLD_SECRET = 'an-older-conformance-secret-nobody-may-see'

/** Gates that take a price with overrides for any rail. */
export interface BenchGates {
  charge(price: PriceTerms & Record<string, unknown>): Gate
  /** Looks at the payments that are due. */
  recover(): Promise<number>
  close(): void
}

/** Everything that the questions share: one app, one buyer, one ledger. */
export interface Bench {
  ask: Ask
  /** Adds a route; its price is asked by the gates under test unless `gates` says otherwise. */
  route: (path: string, reply: Reply, options?: RouteOptions) => Asked
  /** Gates like the ones under test, with other options. */
  gates: (options?: Partial<MppOptions>) => BenchGates
  /** Gates on the toy rail, whatever rail is under test. */
  toyGates: BenchGates
  toy: ToyMethod
  faults: ToyFaults
  ledger: ToyLedger
  /** A buyer with money. */
  alice: ToyWallet
  store: WatchedStore
  /** Errors that reached the framework's error handler. */
  errors: unknown[]
  /** Faults of rail and store, as the gates reported them. */
  reports: unknown[]
  /** Only while the questions are asked. */
  buyer: () => Buyer
  send: (raw: Raw) => Promise<Got>
  open: (raw: Raw) => Exchange
  connect: () => Promise<Wire>
  /** Asks without a credential, expects 402, and gives the challenges. */
  quote: (raw: Raw | Asked) => Promise<Challenge[]>
  /** Pays a challenge on the rail under test. */
  sign: (challenge: Challenge) => Promise<string>
  /** Asks, pays the first challenge, and asks again with the credential. */
  pay: (raw: Raw | Asked) => Promise<Got>
  /** Asks, and gives the credential that pays. */
  credential: (raw: Raw | Asked) => Promise<string>
  /** Sends the same request until the answer is no 409 or 503 with Retry-After. */
  insist: (raw: Raw) => Promise<Got>
  start: (serve: Serve) => Promise<void>
  stop: () => Promise<void>
}

/** What is unusual about a route. */
export interface RouteOptions extends Partial<Omit<AppRoute, 'path' | 'reply' | 'gates'>> {
  price?: PriceTerms & Record<string, unknown>
  with?: BenchGates
  gates?: Gate[]
}

/** Makes the app, its buyer and everything behind it; nothing runs before `start`. */
export function createBench(options: AdapterOptions): Bench {
  const { rail, expectedFailures = {} } = options
  const asked = new Set<string>()
  const routes: AppRoute[] = []
  const made: BenchGates[] = []
  const errors: unknown[] = []
  const reports: unknown[] = []
  const store = watchedStore()
  const ledger = createToyLedger()
  const faults = createToyFaults()
  const toy = toyMethod({ ledger, recipient: 'shop', faults })
  const alice = toyWallet({ ledger, account: 'alice' })
  let served: { buyer: Buyer; close(): Promise<void> } | undefined

  function gates(changes: Partial<MppOptions> = {}): BenchGates {
    const onError = (error: unknown): void => void reports.push(error)
    const own = createGates({
      realm: REALM,
      secret: SECRET,
      methods: [rail?.method ?? toy],
      store,
      onError,
      ...(options.origin !== undefined && { origin: options.origin }),
      ...changes,
    }) as BenchGates
    made.push(own)
    return own
  }

  const main = gates()
  const toyGates = rail ? gates({ methods: [toy] }) : main

  const bench: Bench = {
    gates,
    toyGates,
    toy,
    faults,
    ledger,
    alice,
    store,
    errors,
    reports,

    ask(key, ids, title, body, timeout) {
      if (asked.has(key)) throw new Error(`two questions are called ${key}`)
      asked.add(key)
      const fails = expectedFailures[key]
      verifies(ids, `${title} [${key}]`, body, { fails, ...(timeout !== undefined && { timeout }) })
    },

    route(path, reply, { price = { amount: '1' }, with: own = main, gates: given, ...rest } = {}) {
      const asked: Asked = { target: (rest.prefix ?? '') + path, starts: 0, onStart: undefined }
      routes.push({
        verb: 'get',
        path,
        reply,
        gates: given ?? [own.charge(price)],
        async started() {
          asked.starts += 1
          await asked.onStart?.()
        },
        ...rest,
      })
      return asked
    },

    buyer() {
      if (!served) throw new Error('the app is not being served')
      return served.buyer
    },
    send: (raw) => bench.buyer().send(raw),
    open: (raw) => bench.buyer().open(raw),
    connect: () => bench.buyer().connect(),

    async quote(raw) {
      const got = await bench.send(rawOf(raw))
      expect(brief(got)).toMatch(/^402 /)
      return challengesOf(got)
    },
    sign: (challenge) =>
      rail && challenge.method === rail.method.name ? rail.pay(challenge) : alice.pay(challenge),
    async credential(raw) {
      const [challenge] = await bench.quote(raw)
      return bench.sign(challenge!)
    },
    async pay(raw) {
      return bench.send(withCredential(rawOf(raw), await bench.credential(raw)))
    },
    async insist(raw) {
      for (let tries = 0; ; tries += 1) {
        const got = await bench.send(raw)
        if (![409, 503].includes(got.status) || got.get('retry-after') === null || tries === 100) return got
        await pause(50)
      }
    },

    async start(serve) {
      const unasked = Object.keys(expectedFailures).filter((key) => !asked.has(key))
      if (unasked.length > 0) throw new Error(`expectedFailures names no question: ${unasked.join(', ')}`)
      await ledger.fund('alice', 1_000_000_000n)
      store.use((await options.store?.()) ?? memoryStore())
      const app: App = { routes, onError: (error) => void errors.push(error) }
      const server = await serve(app)
      served = { buyer: createBuyer(server.url), close: () => server.close() }
    },
    async stop() {
      faults.clear()
      await served?.close()
      for (const own of made) own.close()
      await store.close?.()
    },
  }
  return bench
}

/** A store whose use can be counted, and that can be made to fail. */
export interface WatchedStore extends Store {
  /** Everything that was to be written. */
  readonly written: string[]
  /** While true, nothing can be reached. */
  down: boolean
  use(store: Store): void
}

function watchedStore(): WatchedStore {
  let inner: Store | undefined
  const written: string[] = []
  const reach = (): Store => {
    if (watched.down || !inner) throw new Error('the store is down')
    return inner
  }
  const watched: WatchedStore = {
    written,
    down: false,
    use: (store) => void (inner = store),
    get: async (key) => reach().get(key),
    async swap(key, expect, next) {
      written.push(next === 'delete' ? `${key} deleted` : `${key} ${next.value}`)
      return reach().swap(key, expect, next)
    },
    due: async (...page) => reach().due(...page),
    close: async () => inner?.close?.(),
  }
  return watched
}

/** Signs changed parameters anew, as only the holder of the secret can. */
export function reissue(challenge: Challenge, changes: Partial<Challenge>, secret = SECRET): Challenge {
  const changed = { ...challenge, ...changes }
  return { ...changed, id: createHmac('sha256', secret).update(bindingInput(changed)).digest('base64url') }
}

/** A request for a route, or as it is given. */
export function rawOf(raw: Raw | Asked): Raw {
  return 'starts' in raw ? { target: raw.target } : raw
}

/** The request with one more credential line. */
export function withCredential(raw: Raw | Asked, credential: string, header = 'Authorization'): Raw {
  const own = rawOf(raw)
  return { ...own, headers: [...(own.headers ?? []), [header, credential]] }
}

/** All challenges of an answer; none of them may be unusable. */
export function challengesOf(got: Got): Challenge[] {
  const { challenges, rejected } = parseChallenges(got.all('www-authenticate'))
  expect(rejected).toEqual([])
  return challenges
}

/** For messages: the status and the beginning of the body. */
export function brief(got: Got): string {
  return `${got.status} ${got.text.slice(0, 300)}`
}

/** The last part of the problem's type, after checking the shape of the body. */
export function problemOf(got: Got): string {
  expect(got.get('content-type')).toMatch(/^application\/problem\+json/)
  const problem = got.json()
  expect(problem).toMatchObject({
    type: expect.any(String),
    title: expect.any(String),
    detail: expect.any(String),
  })
  expect(problem.status).toBe(got.status)
  return problem.type.split('/').at(-1)
}

/** Expects a refusal that invites a new payment, and gives the fresh challenge. */
export function expectRefusal(got: Got, ...codes: string[]): Challenge {
  expect(brief(got)).toMatch(/^402 /)
  if (codes.length > 0) expect(codes).toContain(problemOf(got))
  expect(got.get('payment-receipt')).toBeNull()
  const [challenge] = challengesOf(got)
  expect(challenge).toBeDefined()
  return challenge!
}

/** Expects the paid content with its receipt. */
export function expectPaid(got: Got): Receipt {
  expect(brief(got)).toMatch(/^2\d\d /)
  const field = got.get('payment-receipt')
  expect(field).not.toBeNull()
  return parseReceipt(field!)
}

/** Encodes a credential, or what shall be taken for one. */
export function token(credential: Credential | object): string {
  return `Payment ${Buffer.from(JSON.stringify(credential)).toString('base64url')}`
}

/** What `token` has encoded. */
export function untoken(authorization: string): {
  challenge: Challenge
  payload: Record<string, unknown>
  source?: string
} {
  return JSON.parse(Buffer.from(authorization.slice('Payment '.length), 'base64url').toString())
}

/** A barrier that a test opens. */
export function barrier(): { opened: Promise<void>; open: () => void } {
  let open = (): void => {}
  const opened = new Promise<void>((resolve) => (open = resolve))
  return { opened, open }
}

/** Waits so many milliseconds. */
export function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds))
}

/** Waits until something is so. */
export async function until(condition: () => boolean | Promise<boolean>, what: string): Promise<void> {
  for (let tries = 0; tries < 200; tries += 1) {
    if (await condition()) return
    await pause(25)
  }
  throw new Error(`waited five seconds in vain: ${what}`)
}

/** One gate in front of several. */
export function switching(choose: () => Gate): Gate {
  return Object.assign((request: Parameters<Gate>[0]) => choose()(request), { offers: choose().offers })
}

/** Text as bytes. */
export function text(value: string): Uint8Array {
  return new TextEncoder().encode(value)
}

/** Resolves when a signal fires. */
export function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
}
