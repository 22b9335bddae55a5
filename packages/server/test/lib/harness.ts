import { parseChallenges, parseReceipt, type Challenge, type Receipt, type Store } from '@mppkit/core'
import {
  createGates,
  memoryStore,
  type Answer,
  type Gate,
  type Grant,
  type Incoming,
  type MppOptions,
  type Price,
} from '@mppkit/server'
import { createToyFaults } from '@mppkit/testing/toy'
import { createToyLedger, type ToyLedger } from '@mppkit/testing/toy'
import { toyWallet } from '@mppkit/testing/toy'
import { toyMethod, type ToyOptions } from '@mppkit/testing/toy'

export const SECRET = 'a-secret-of-at-least-thirty-two-bytes!!'

/** A clock that only moves when told to; starts at the real time. */
export function fakeClock(): { now(): number; advance(ms: number): void } {
  let offset = 0
  const start = Date.now()
  return { now: () => start + offset, advance: (ms) => void (offset += ms) }
}

export interface SellerOptions extends Partial<Omit<MppOptions, 'methods'>> {
  toy?: Partial<ToyOptions>
  ledger?: ToyLedger
  more?: MppOptions['methods']
}

/** A server on the toy rail, with a funded buyer, a clock and a switchboard of faults. */
export function seller({ toy: toyOptions, ledger: given, more = [], ...options }: SellerOptions = {}) {
  const clock = fakeClock()
  const now = options.now ?? clock.now
  const ledger = given ?? createToyLedger({ now })
  const faults = createToyFaults()
  const moves = toyOptions?.moves ?? 'settle'
  const toy = toyMethod({ ledger, recipient: 'shop', faults, ...toyOptions })
  const wallet = toyWallet({ ledger, account: 'alice', moves })
  const store: Store = options.store ?? memoryStore({ now })
  const errors: unknown[] = []
  const settings = {
    realm: 'api.example.com',
    secret: SECRET,
    store,
    now,
    onError: (error: unknown) => void errors.push(error),
  }
  const gates = createGates({ ...settings, ...options, methods: [toy, ...more] })
  return {
    ...gates,
    gates,
    clock,
    ledger,
    faults,
    toy,
    wallet,
    store,
    errors,
    fund: () => ledger.fund('alice', 100_000n),
  }
}

export interface Ask {
  method?: string
  target?: string
  headers?: Record<string, string>
  body?: string | Uint8Array
  /** In place of `body`: how the adapter reads it. */
  read?: NonNullable<Incoming['body']>
  transport?: Incoming['transport']
  remote?: string
}

export function incoming({
  method = 'GET',
  target = '/photo',
  headers = {},
  body,
  read,
  transport = 'loopback',
  remote,
}: Ask = {}): Incoming {
  const bytes = typeof body === 'string' ? new TextEncoder().encode(body) : body
  const lower = new Map(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]))
  return {
    method,
    target,
    headers: { get: (name) => lower.get(name) ?? null },
    transport,
    remote,
    ...(bytes && { body: () => Promise.resolve(bytes) }),
    ...(read && { body: read }),
  }
}

export interface Reply {
  status: number
  headers: [string, string][]
  header(name: string): string | undefined
  body: string
  challenges: Challenge[]
  receipt?: Receipt
  problem: { type?: string; detail?: string; status?: number; challengeId?: string }
  passed?: boolean
}

export interface Handled {
  status?: number
  body?: string
  /** The handler's own. */
  headers?: [string, string][]
  reached?: 'nothing' | 'some' | 'all'
  /** Never reports its end, like a process that died. */
  vanish?: boolean
}

/** What an adapter does, without a framework: asks the gate, runs the handler, reports the end. */
export async function drive(
  gate: Gate,
  ask: Ask = {},
  handler: (grant?: Grant) => Handled | Promise<Handled> = () => ({}),
): Promise<Reply> {
  const opening = await gate(incoming(ask))
  if (opening.kind === 'pass') {
    const { status = 200, body = 'content' } = await handler()
    return { ...reply(status, [], body), passed: true }
  }
  if (opening.kind === 'respond') return answered(opening.answer)
  const decision = await opening.admit()
  if (decision.kind === 'respond') return answered(decision.answer)
  const { grant } = decision
  const {
    status = 200,
    body = 'content',
    reached = 'all',
    vanish = false,
    headers: own = [],
  } = await handler(grant)
  if (vanish) return reply(status, [], body)
  const headers = [...own, ...grant.headers(status)]
  if (body.length <= grant.keeps) await grant.keep({ status, headers, body })
  await grant.finish({ status, reached })
  return reply(status, headers, body)
}

function answered({ status, headers, body }: Answer): Reply {
  return reply(
    status,
    headers,
    body === null ? '' : typeof body === 'string' ? body : new TextDecoder().decode(body as Uint8Array),
  )
}

function reply(status: number, headers: [string, string][], body: string): Reply {
  const header = (name: string): string | undefined => {
    const values = headers.filter(([candidate]) => candidate === name).map(([, value]) => value)
    return values.length === 0 ? undefined : values.join(', ')
  }
  const receipt = header('payment-receipt')
  const isProblem = header('content-type') === 'application/problem+json'
  return {
    status,
    headers,
    header,
    body,
    challenges: parseChallenges(header('www-authenticate') ?? '').challenges,
    ...(receipt && { receipt: parseReceipt(receipt) }),
    problem: isProblem ? JSON.parse(body) : {},
  }
}

export type Seller = ReturnType<typeof seller>

/** Gets a challenge and signs it: the ask to send when paying. */
export async function buy(shop: Seller, gate: Gate, ask: Ask = {}): Promise<Ask> {
  const { challenges } = await drive(gate, ask)
  const challenge = challenges[0]
  if (!challenge) throw new Error('the gate asked for nothing')
  return { ...ask, headers: { ...ask.headers, authorization: await shop.wallet.pay(challenge) } }
}

export const PRICE: Price = { amount: '1.00' }

/** A seller, a gate, and a credential that pays for what it sells. */
export async function onSale(options: SellerOptions): Promise<{ shop: Seller; gate: Gate; ask: Ask }> {
  const shop = seller(options)
  await shop.fund()
  const gate = shop.charge(PRICE)
  return { shop, gate, ask: await buy(shop, gate) }
}

/** Sends the same credential for as long as the answer asks for that; `wait` lets time pass. */
export async function persist(
  gate: Gate,
  ask: Ask,
  wait: (ms: number) => unknown,
  handler?: (grant?: Grant) => Handled | Promise<Handled>,
): Promise<Reply> {
  for (let tries = 0; tries < 100; tries++) {
    const answer = await drive(gate, ask, handler)
    if (answer.header('retry-after') === undefined) return answer
    await wait(1_000)
  }
  throw new Error('a hundred retries, and still no answer')
}

export async function all<Item>(items: AsyncIterable<Item>): Promise<Item[]> {
  const list: Item[] = []
  for await (const item of items) list.push(item)
  return list
}
