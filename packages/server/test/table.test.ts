import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Store } from '@mppkit/core'
import { memoryStore } from '@mppkit/server'
import { sqliteStore } from '@mppkit/sqlite'
import { afterEach, describe, expect, test } from 'vitest'
import { TABLE, type Action, type Relation, type Situation } from '../src/lib/table.ts'
import { buy, drive, fakeClock, PRICE, seller, type Ask, type Reply, type Seller } from './lib/harness.ts'
import type { Gate } from '@mppkit/server'

/** A payment that stands in some row of the table. */
interface Scene {
  shop: Seller
  gate: Gate
  /** The credential of the record. */
  ask: Ask
  end?(): void | Promise<void>
}

type Open = (now: () => number) => { store: Store; close(): void }

const KEY = { 'idempotency-key': 'order-1' }

async function scene(
  open: Store,
  clock: ReturnType<typeof fakeClock>,
  attempts = 3,
  canRefund = false,
): Promise<Scene> {
  const shop = seller({ store: open, now: clock.now, toy: { canRefund } })
  await shop.fund()
  const gate = shop.charge({ ...PRICE, redeem: { attempts } })
  return { shop, gate, ask: await buy(shop, gate, { headers: KEY }) }
}

/** How a payment gets into each row. */
const STAGE: Record<Situation, (store: Store, clock: ReturnType<typeof fakeClock>) => Promise<Scene>> = {
  async 'pending-leased'(store, clock) {
    const made = await scene(store, clock)
    made.shop.faults.next('settle', 'stall')
    const running = drive(made.gate, made.ask)
    await made.shop.faults.stalled()
    return {
      ...made,
      async end() {
        made.shop.faults.release()
        expect((await running).status).toBe(200)
      },
    }
  },
  async 'pending-free'(store, clock) {
    const made = await scene(store, clock)
    made.shop.faults.next('settle', 'unknown-before')
    expect((await drive(made.gate, made.ask)).status).toBe(503)
    return made
  },
  async 'settled-leased'(store, clock) {
    const made = await scene(store, clock)
    let release = (): void => {}
    let begun = (): void => {}
    const started = new Promise<void>((resolve) => (begun = resolve))
    const running = drive(made.gate, made.ask, async () => {
      begun()
      await new Promise<void>((resolve) => (release = resolve))
      return {}
    })
    await started
    return {
      ...made,
      async end() {
        release()
        expect((await running).status).toBe(200)
      },
    }
  },
  async 'settled-free'(store, clock) {
    const made = await scene(store, clock)
    expect((await drive(made.gate, made.ask, () => ({ status: 500, reached: 'all' }))).status).toBe(500)
    return made
  },
  async 'settled-spent'(store, clock) {
    const made = await scene(store, clock, 1)
    await drive(made.gate, made.ask, () => ({ vanish: true }))
    clock.advance(31_000)
    return made
  },
  async delivered(store, clock) {
    const made = await scene(store, clock)
    expect((await drive(made.gate, made.ask)).status).toBe(200)
    return made
  },
  async unclaimed(store, clock) {
    const made = await scene(store, clock, 1)
    expect((await drive(made.gate, made.ask, () => ({ status: 500, reached: 'all' }))).status).toBe(500)
    return made
  },
  async refunding(store, clock) {
    const made = await scene(store, clock, 1, true)
    made.shop.faults.next('refund', 'down', { times: 100 })
    expect((await drive(made.gate, made.ask, () => ({ status: 500, reached: 'all' }))).status).toBe(500)
    return made
  },
  async refunded(store, clock) {
    const made = await scene(store, clock, 1, true)
    expect((await drive(made.gate, made.ask, () => ({ status: 500, reached: 'all' }))).status).toBe(500)
    await made.shop.recover()
    expect(await made.shop.ledger.balance('alice')).toBe(100_000n)
    return made
  },
}

function expectAction(action: Action, answer: Reply, started: number): void {
  const retry = answer.header('retry-after')
  switch (action.kind) {
    case 'wait':
      expect([answer.status, retry, started]).toEqual([409, '1', 0])
      break
    case 'conflict':
      expect([answer.status, retry, started]).toEqual([409, undefined, 0])
      expect(answer.problem.detail).toContain(action.detail)
      break
    case 'refuse':
      expect([answer.status, started]).toEqual([402, 0])
      expect(answer.challenges).toHaveLength(1)
      break
    case 'replay':
      expect([answer.status, answer.body, started]).toEqual([200, 'content', 0])
      break
    case 'resume':
    case 'redeem':
      expect([answer.status, answer.body, started]).toEqual([200, 'content', 1])
      break
  }
}

const stores: Record<string, Open> = {
  memory: (now) => ({ store: memoryStore({ now }), close() {} }),
  sqlite(now) {
    const folder = mkdtempSync(join(tmpdir(), 'mppkit-table-'))
    const store = sqliteStore({ path: join(folder, 'payments.db'), now })
    return {
      store,
      close() {
        void store.close?.()
        rmSync(folder, { recursive: true, force: true })
      },
    }
  },
}

describe.each(Object.entries(stores))('the table on %s', (_name, open) => {
  let close = (): void => {}
  afterEach(() => close())

  const cells = (Object.keys(TABLE) as Situation[]).flatMap((situation) =>
    (['same', 'other'] as Relation[]).map((relation) => [situation, relation] as const),
  )

  test.each(cells)('%s, %s credential', async (situation, relation) => {
    const clock = fakeClock()
    const opened = open(clock.now)
    close = opened.close
    const { shop, gate, ask, end } = await STAGE[situation](opened.store, clock)
    const before = await shop.ledger.transfers()
    const action = TABLE[situation][relation]
    let asks = [ask]
    if (relation === 'other') {
      // Another credential for the quote; and another quote under the same Idempotency-Key.
      const challenge = (await drive(gate, { headers: KEY })).challenges[0]!
      const sameKey = { ...ask, headers: { ...KEY, authorization: await shop.wallet.pay(challenge) } }
      asks = [await otherFor(shop, ask), ...(situation === 'refunded' ? [] : [sameKey])]
    }
    for (const attempt of asks) {
      let started = 0
      const answer = await drive(gate, attempt, () => {
        started++
        return {}
      })
      expectAction(action, answer, started)
    }
    if (action.kind === 'resume') expect(await shop.ledger.balance('shop')).toBe(100n)
    else expect(await shop.ledger.transfers()).toEqual(before)
    await end?.()
    shop.close()
  })
})

/** A different, equally good proof for the same challenge. */
async function otherFor(shop: Seller, ask: Ask): Promise<Ask> {
  const { parseCredential } = await import('@mppkit/core')
  const credential = parseCredential(ask.headers!['authorization']!.slice('Payment '.length))
  return { ...ask, headers: { ...ask.headers, authorization: await shop.wallet.pay(credential.challenge) } }
}
