import { spawn } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseCredential } from '@mppkit/core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { paymentsQueue } from '../src/lib/queues.ts'
import { parseRecord, recordKey, type State } from '../src/lib/record.ts'
import { openCounter, TRADES, type Counter, type Point, type Trade, type TradeName } from './lib/counter.ts'
import { all, buy, persist } from './lib/harness.ts'

const SCRIPT = fileURLToPath(new URL('lib/mortal.ts', import.meta.url))
const LEASE_IS_OVER = 61_000
const DAY = 25 * 3_600_000

/** What the buyer ends with. */
type End =
  /** The handler starts, for him. */
  | 'content'
  /** The first answer again, from the record. */
  | 'kept'
  /** 402: he had the whole answer before. */
  | 'spent'
  /** 409 without Retry-After; the money is listed. */
  | 'owed'
  /** The money is back. */
  | 'refunded'
  /** No money ever moved, and no record of it is left. */
  | 'nothing'

/** Per point of death: what the same credential gets, and what becomes of the payment if nobody asks again. */
type Fate = [point: Point, retry: End, abandoned: End]

const FATES: Record<TradeName, Fate[]> = {
  parse: [
    ['looked-up', 'content', 'nothing'],
    ['verified', 'content', 'nothing'],
    ['claimed', 'content', 'nothing'],
    ['proof-claimed', 'content', 'nothing'],
    ['broadcast-sent', 'content', 'nothing'],
    ['broadcast-acked', 'content', 'owed'],
    ['settled', 'content', 'owed'],
    ['handler-started', 'content', 'owed'],
    ['first-byte', 'content', 'owed'],
    ['last-byte', 'content', 'owed'],
    ['delivered', 'spent', 'spent'],
  ],
  settle: [
    ['looked-up', 'content', 'nothing'],
    ['verified', 'content', 'nothing'],
    ['claimed', 'content', 'nothing'],
    ['proof-claimed', 'content', 'nothing'],
    ['key-claimed', 'content', 'nothing'],
    ['noted', 'content', 'nothing'],
    ['broadcast-sent', 'content', 'nothing'],
    ['broadcast-acked', 'content', 'owed'],
    ['settled', 'content', 'owed'],
    ['handler-started', 'content', 'owed'],
    ['first-byte', 'content', 'owed'],
    ['kept', 'kept', 'spent'],
    ['last-byte', 'kept', 'spent'],
    ['delivered', 'kept', 'spent'],
  ],
  // One attempt, which answers 500: whoever dies in it may have handed over anything, so that money is listed, not returned.
  refund: [
    ['looked-up', 'refunded', 'nothing'],
    ['verified', 'refunded', 'nothing'],
    ['claimed', 'refunded', 'nothing'],
    ['proof-claimed', 'refunded', 'nothing'],
    ['broadcast-sent', 'refunded', 'nothing'],
    ['broadcast-acked', 'refunded', 'refunded'],
    ['settled', 'owed', 'owed'],
    ['handler-started', 'owed', 'owed'],
    ['first-byte', 'owed', 'owed'],
    ['last-byte', 'owed', 'owed'],
    ['delivered', 'refunded', 'refunded'],
    ['refund-noted', 'refunded', 'refunded'],
    ['refund-broadcast-sent', 'refunded', 'refunded'],
    ['refund-broadcast-acked', 'refunded', 'refunded'],
    ['refund-sent', 'refunded', 'refunded'],
  ],
  // The money has moved before the first request: without a record only the buyer can tell.
  push: [
    ['looked-up', 'content', 'nothing'],
    ['verified', 'content', 'nothing'],
    ['claimed', 'content', 'owed'],
    ['proof-claimed', 'content', 'owed'],
    ['settled', 'content', 'owed'],
    ['handler-started', 'content', 'owed'],
    ['first-byte', 'content', 'owed'],
    ['last-byte', 'content', 'owed'],
    ['delivered', 'spent', 'spent'],
  ],
}

const STATES: Record<End, State | undefined> = {
  content: 'delivered',
  kept: 'delivered',
  spent: 'delivered',
  owed: 'unclaimed',
  refunded: 'refunded',
  nothing: undefined,
}

const root = mkdtempSync(join(tmpdir(), 'mppkit-death-'))
afterAll(() => rmSync(root, { recursive: true, force: true }))

describe.each(Object.keys(TRADES) as TradeName[])(
  'rules 1 4 5 6 8, C6 C34: SIGKILL on the %s rail',
  (trade) => {
    const base = join(root, trade)
    const dead = new Map<Point, { folder: string; died: string }>()

    beforeAll(async () => {
      await prepare(base, trade)
      const points = FATES[trade].map(([point]) => point)
      const next = async (): Promise<void> => {
        for (let point = points.shift(); point !== undefined; point = points.shift()) {
          const folder = copy(base, join(root, `${trade}-${point}`))
          dead.set(point, { folder, died: await run(folder, trade, point) })
        }
      }
      await Promise.all([next(), next()])
    }, 120_000)

    test.each(FATES[trade])(
      'at %s: the same credential ends as %s, silence as %s',
      async (point, retry, abandoned) => {
        const { folder, died } = dead.get(point)!
        expect(died).toBe('SIGKILL')
        await openedIn(copy(folder, `${folder}-retry`), trade, async (shop) => {
          shop.advance(LEASE_IS_OVER)
          await expectEnd(shop, trade, retry)
        })
        await openedIn(copy(folder, `${folder}-recover`), trade, async (shop) => {
          shop.advance(LEASE_IS_OVER)
          await shop.recover()
          await expectEnd(shop, trade, retry)
        })
        await openedIn(folder, trade, async (shop) => {
          shop.advance(LEASE_IS_OVER)
          await shop.recover()
          const started = shop.starts()
          await expectBooks(shop, trade, abandoned)
          expect(shop.starts()).toBe(started)
        })
      },
    )
  },
)

/** Retries like a client; then lets recovery and time do the rest, and audits. */
async function expectEnd(shop: Counter, trade: TradeName, end: End): Promise<void> {
  const before = shop.starts()
  const answer = await persist(
    shop.gate,
    shop.ask(),
    (ms) => shop.advance(ms),
    () => shop.handler(),
  )
  const started = shop.starts() - before
  switch (end) {
    case 'content':
      expect([answer.status, answer.body, started]).toEqual([200, 'content', 1])
      expect(answer.receipt?.challengeId).toBe(challengeOf(shop).id)
      break
    case 'kept':
      expect([answer.status, answer.body, started]).toEqual([200, 'content', 0])
      expect(answer.receipt?.challengeId).toBe(challengeOf(shop).id)
      break
    case 'spent':
      expect([answer.status, started]).toEqual([402, 0])
      break
    case 'owed':
      expect([answer.status, started]).toEqual([409, 0])
      break
    case 'refunded':
      // The attempt that fails, or the word that the money is on its way.
      expect(started === 1 ? [500] : [402, 409]).toContain(answer.status)
      break
    case 'nothing':
      throw new Error('a retry never ends with nothing')
  }
  if (end === 'content' || end === 'kept' || end === 'spent') {
    const { key }: Trade = TRADES[trade]
    const again = await persist(
      shop.gate,
      shop.ask(),
      (ms) => shop.advance(ms),
      () => shop.handler(),
    )
    expect([again.status, shop.starts() - before]).toEqual([key ? 200 : 402, started])
  }
  await expectBooks(shop, trade, end)
  if (end === 'refunded' || end === 'owed') {
    const again = await persist(
      shop.gate,
      shop.ask(),
      (ms) => shop.advance(ms),
      () => shop.handler(),
    )
    expect(again.status).toBe(end === 'owed' ? 409 : 402)
  }
}

/** Every debit is an answer, a refund, or listed; no second debit; nothing is left undecided. */
async function expectBooks(shop: Counter, trade: TradeName, end: End): Promise<void> {
  await shop.recover()
  shop.advance(DAY)
  await shop.recover()
  const { toy, attempts = 3 }: Trade = TRADES[trade]
  const debits = await movements(shop, 'alice', 'shop')
  const refunds = await movements(shop, 'shop', 'alice')
  const isPush = toy?.moves === 'before'
  expect([debits, refunds]).toEqual([end === 'nothing' && !isPush ? 0 : 1, end === 'refunded' ? 1 : 0])
  expect(await shop.ledger.balance('alice')).toBe(100_000n - 100n * BigInt(debits - refunds))
  expect(shop.starts()).toBeLessThanOrEqual(attempts)
  const challenge = challengeOf(shop)
  const listed = await all(shop.unclaimed())
  const record = await shop.store.get(recordKey(challenge.realm, quoteOf(challenge)))
  expect(listed.length).toBe(end === 'owed' ? 1 : 0)
  expect(await shop.store.due(paymentsQueue('api.example.com'), 10)).toEqual([])
  // A delivered record has done its duty after a quarter of an hour; by then it is gone.
  if (STATES[end] === 'unclaimed') expect(record && parseRecord(record).state).toBe('unclaimed')
  else if (STATES[end] === undefined) expect(record).toBeUndefined()
  else if (record) expect(parseRecord(record).state).toBe(STATES[end])
  expect(shop.errors).toEqual([])
}

async function movements(shop: Counter, from: string, to: string): Promise<number> {
  return (await shop.ledger.transfers()).filter((transfer) => transfer.from === from && transfer.to === to)
    .length
}

function challengeOf(shop: Counter) {
  return parseCredential(shop.ask().headers!['authorization']!.slice('Payment '.length)).challenge
}

function quoteOf({ opaque }: { opaque?: string }): string {
  return (JSON.parse(Buffer.from(opaque!, 'base64url').toString()) as { _n: string })._n
}

/** A funded buyer with a signed credential, on disk. */
async function prepare(folder: string, trade: TradeName): Promise<void> {
  copy(undefined, folder)
  await openedIn(folder, trade, async (shop) => {
    await shop.fund()
    const { key }: Trade = TRADES[trade]
    const ask = await buy(shop, shop.gate, key ? { headers: { 'idempotency-key': 'order-1' } } : {})
    writeFileSync(join(folder, 'ask'), JSON.stringify(ask))
  })
}

async function openedIn(
  folder: string,
  trade: TradeName,
  work: (shop: Counter) => Promise<void>,
): Promise<void> {
  const shop = openCounter(folder, trade)
  try {
    await work(shop)
  } finally {
    shop.close()
  }
}

function copy(from: string | undefined, to: string): string {
  if (from === undefined) mkdirSync(to)
  else cpSync(from, to, { recursive: true })
  return to
}

/** Resolves with the signal that ended the process, or with what it said instead. */
async function run(folder: string, trade: TradeName, point: Point): Promise<string> {
  const child = spawn(process.execPath, [SCRIPT, folder, trade, point, 'SIGKILL'], {
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  let said = ''
  child.stderr.on('data', (chunk: Buffer) => void (said += chunk.toString()))
  const signal = await new Promise<string | null>((resolve) =>
    child.on('close', (_code, name) => resolve(name)),
  )
  return signal ?? (said || `lived on: ${existsSync(join(folder, 'reply'))}`)
}
