import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { formatCredential, parseCredential, type OnceMethod, type Store } from '@mppkit/core'
import { memoryStore } from '@mppkit/server'
import { sqliteStore } from '@mppkit/sqlite'
import { toyMethod } from '@mppkit/testing/toy'
import { toyWallet } from '@mppkit/testing/toy'
import { expect, test } from 'vitest'
import { proofKey } from '../src/lib/record.ts'
import { buy, drive, fakeClock, PRICE, seller, type Ask, type Reply } from './lib/harness.ts'
import { deferred } from './lib/points.ts'
import { counting } from './lib/stores.ts'

const KEY = { 'idempotency-key': 'order-1' }

function statuses(replies: Reply[]): Record<number, number> {
  const counts: Record<number, number> = {}
  for (const { status } of replies) counts[status] = (counts[status] ?? 0) + 1
  return counts
}

function credentialOf(ask: Ask) {
  return parseCredential(ask.headers!['authorization']!.slice('Payment '.length))
}

test('CORE-143 CORE-144, P5, rule 5: two instances, one sqlite file, 50 copies at once: one settlement, one 2xx', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'mppkit-crowd-'))
  const path = join(folder, 'payments.db')
  const stores = [sqliteStore({ path }), sqliteStore({ path })]
  const first = seller({ store: stores[0]!, now: Date.now })
  const second = seller({ store: stores[1]!, now: Date.now, ledger: first.ledger })
  await first.fund()
  const gates = [first.charge(PRICE), second.charge(PRICE)]
  const ask = await buy(first, gates[0]!)
  let starts = 0
  const replies = await Promise.all(
    Array.from({ length: 50 }, (_, index) =>
      drive(gates[index % 2]!, ask, async () => (starts++, await first.ledger.balance('shop'), {})),
    ),
  )
  const counts = statuses(replies)
  expect(counts[200]).toBe(1)
  expect((counts[409] ?? 0) + (counts[402] ?? 0)).toBe(49)
  expect(starts).toBe(1)
  expect(first.toy.calls.settle + second.toy.calls.settle).toBe(1)
  expect((await first.ledger.transfers()).length).toBe(1)
  for (const store of stores) await store.close?.()
  rmSync(folder, { recursive: true, force: true })
})

test('rule 3: twenty copies at once share one verify, and one of them is served', async () => {
  const shop = seller()
  await shop.fund()
  const gate = shop.charge(PRICE)
  const ask = await buy(shop, gate)
  shop.faults.next('verify', 'slow', { times: 20 })
  const replies = await Promise.all(Array.from({ length: 20 }, () => drive(gate, ask)))
  expect(shop.toy.calls.verify).toBe(1)
  expect(statuses(replies)[200]).toBe(1)
})

test.each([
  [60_000, -60_000],
  [-60_000, 60_000],
])(
  'A5, rule 12: clocks wrong by %i and %i ms: a spent challenge is never fresh again',
  async (writer, reader) => {
    const clock = fakeClock()
    const store = memoryStore({ now: clock.now })
    const first = seller({ store, now: () => clock.now() + writer })
    const second = seller({ store, ledger: first.ledger, now: () => clock.now() + reader })
    await first.fund()
    const gates = [
      first.charge({ ...PRICE, lifetime: 150 }),
      second.charge({ ...PRICE, lifetime: 150 }),
    ] as const
    for (const [issuer, other] of [gates, [gates[1], gates[0]] as const]) {
      const ask = await buy(first, issuer)
      expect((await drive(writer > 0 ? gates[0] : other, ask)).status).toBe(200)
      for (let minute = 0; minute < 30; minute++) {
        for (const gate of gates) expect((await drive(gate, ask, never)).status).toBe(402)
        clock.advance(30_000)
      }
    }
    expect((await first.ledger.transfers()).length).toBe(2)
  },
)

test('A12, rule 4: one 402, two rails, two payments: only one settles, also at the same time', async () => {
  const shop = seller()
  const ledger = shop.ledger
  const coin = toyMethod({ ledger, name: 'coin', recipient: 'shop' })
  const both = seller({ ledger, store: shop.store, now: shop.clock.now, more: [coin] })
  await both.fund()
  const gate = both.charge(PRICE)
  const pay = async (): Promise<[Ask, Ask]> => {
    const { challenges } = await drive(gate)
    expect(challenges.map(({ method }) => method)).toEqual(['toy', 'coin'])
    const other = toyWallet({ ledger, account: 'alice', name: 'coin' })
    return [
      { headers: { authorization: await both.wallet.pay(challenges[0]!) } },
      { headers: { authorization: await other.pay(challenges[1]!) } },
    ]
  }
  const [one, two] = await pay()
  expect((await drive(gate, one)).status).toBe(200)
  expect((await drive(gate, two)).problem.type).toMatch(/invalid-challenge$/)
  const pair = await pay()
  const replies = await Promise.all(pair.map((ask) => drive(gate, ask)))
  expect(statuses(replies)[200]).toBe(1)
  expect((await ledger.transfers()).length).toBe(2)
})

test("C9 CORE-137, rule 3: a stranger who holds a victim's transfer cannot spend it, nor block it", async () => {
  const shop = seller({ toy: { moves: 'before' } })
  const store = counting(shop.store)
  const watched = seller({ store, ledger: shop.ledger, now: shop.clock.now, toy: { moves: 'before' } })
  await shop.fund()
  const gate = watched.charge(PRICE)
  const victim = await buy(shop, gate)
  const steal = async (): Promise<Reply> => {
    const { challenges } = await drive(gate)
    const { payload } = credentialOf(victim)
    return drive(
      gate,
      { headers: { authorization: formatCredential({ challenge: challenges[0]!, payload }) } },
      never,
    )
  }
  expect((await steal()).problem.type).toMatch(/verification-failed$/)
  expect(store.calls.swap).toBe(0)
  expect((await drive(gate, victim)).status).toBe(200)
  expect((await steal()).status).toBe(402)
})

test("A13, C19: a stranger who names the victim as `source`, with the victim's Idempotency-Key, blocks nothing and gets nothing", async () => {
  const shop = seller()
  await shop.fund()
  await shop.ledger.fund('mallory', 1_000n)
  const gate = shop.charge(PRICE)
  const mallory = toyWallet({ ledger: shop.ledger, account: 'mallory' })
  const { challenges } = await drive(gate)
  const { payload } = parseCredential((await mallory.pay(challenges[0]!)).slice('Payment '.length))
  const squat = formatCredential({ challenge: challenges[0]!, payload, source: 'did:toy:alice' })
  expect((await drive(gate, { headers: { ...KEY, authorization: squat } })).status).toBe(200)
  const victim = await buy(shop, gate, { headers: KEY })
  expect((await drive(gate, victim, () => ({ body: 'for alice' }))).body).toBe('for alice')
  expect((await drive(gate, { headers: { ...KEY, authorization: squat } }, never)).body).toBe('content')
})

test('A13, C19: with a proven payer one key pays once, also at the same time; with an unproven one the key claims nothing', async () => {
  for (const proven of [true, false]) {
    const shop = seller()
    const blind = {
      ...shop.toy,
      async verify(...given: Parameters<typeof shop.toy.verify>) {
        await shop.toy.verify(...given)
        return {}
      },
    } as unknown as OnceMethod<never>
    const store = counting(memoryStore())
    const other = seller({ store, ledger: shop.ledger, now: shop.clock.now })
    await shop.fund()
    const { createGates } = await import('@mppkit/server')
    const gates = proven
      ? other.gates
      : createGates({ realm: 'r', secret: 'x'.repeat(32), store, methods: [blind] })
    const gate = gates.charge(PRICE)
    const asks = await Promise.all([buy(shop, gate, { headers: KEY }), buy(shop, gate, { headers: KEY })])
    const replies = await Promise.all(asks.map((ask) => drive(gate, ask)))
    expect(statuses(replies)[200]).toBe(proven ? 1 : 2)
    expect((await shop.ledger.transfers()).length).toBe(proven ? 1 : 2)
    for (const reply of replies) expect([200, 402, 409]).toContain(reply.status)
    gates.close()
  }
})

test('A13: the same key for another route, or by another payer, is another order', async () => {
  const shop = seller()
  await shop.fund()
  await shop.ledger.fund('bob', 1_000n)
  const gate = shop.charge(PRICE)
  const bob = toyWallet({ ledger: shop.ledger, account: 'bob' })
  for (const target of ['/a', '/b'])
    expect((await drive(gate, await buy(shop, gate, { target, headers: KEY }))).status).toBe(200)
  const { challenges } = await drive(gate, { target: '/a' })
  expect(
    (await drive(gate, { target: '/a', headers: { ...KEY, authorization: await bob.pay(challenges[0]!) } }))
      .status,
  ).toBe(200)
})

test('C19, rule 4: an Idempotency-Key whose payment was refused or returned may pay again', async () => {
  const shop = seller({ toy: { canRefund: true } })
  await shop.fund()
  const gate = shop.charge({ ...PRICE, redeem: { attempts: 1 } })
  const first = await buy(shop, gate, { headers: KEY })
  shop.faults.next('refund', 'down', { times: 100 })
  await drive(gate, first, () => ({ status: 500 }))
  const early = await buy(shop, gate, { headers: KEY })
  expect((await drive(gate, early, never)).status).toBe(409)
  // What was claimed for it is given back.
  const { from, nonce } = credentialOf(early).payload as { from: string; nonce: string }
  expect(await shop.store.get(proofKey('toy', `${from}:${nonce}`))).toBeUndefined()
  shop.faults.clear()
  shop.clock.advance(61_000)
  await shop.recover()
  expect((await drive(gate, early)).status).toBe(200)
  expect(await shop.ledger.balance('alice')).toBe(99_900n)
})

test('table: a forged copy of a settled credential, with another proof, is not "the same"', async () => {
  const shop = seller()
  await shop.fund()
  const gate = shop.charge(PRICE)
  const ask = await buy(shop, gate)
  await drive(gate, ask, () => ({ status: 500 }))
  const { challenge } = credentialOf(ask)
  const forged = { headers: { authorization: await shop.wallet.pay(challenge, { signature: 'AAAA' }) } }
  const answer = await drive(gate, forged, never)
  expect([answer.status, answer.header('retry-after')]).toEqual([409, undefined])
  expect((await drive(gate, ask)).status).toBe(200)
})

test('table: the same proof on another rail of the same quote is not "the same"', async () => {
  const base = seller()
  const { ledger } = base
  const shop = seller({ ledger, more: [toyMethod({ ledger, name: 'coin', recipient: 'shop' })] })
  await shop.fund()
  const gate = shop.charge(PRICE)
  const { challenges } = await drive(gate)
  const asks = await Promise.all(
    ['toy', 'coin'].map(async (name, index) => {
      const wallet = toyWallet({ ledger, account: 'alice', name, nonce: () => 'one' })
      return { headers: { authorization: await wallet.pay(challenges[index]!) } }
    }),
  )
  expect((await drive(gate, asks[0], () => ({ status: 500 }))).status).toBe(500)
  const other = await drive(gate, asks[1], never)
  expect([other.status, other.header('retry-after')]).toEqual([409, undefined])
  expect((await drive(gate, asks[0])).status).toBe(200)
})

test('table: "same" is the same proof, however the JSON is spelled', async () => {
  const shop = seller()
  await shop.fund()
  const gate = shop.charge(PRICE)
  const ask = await buy(shop, gate)
  await drive(gate, ask, () => ({ status: 500 }))
  const { challenge, payload, source } = credentialOf(ask)
  const json = JSON.stringify(
    { source, payload: Object.fromEntries(Object.entries(payload).toReversed()), challenge, extra: 1 },
    undefined,
    2,
  )
  const respelled = { headers: { authorization: `Payment ${Buffer.from(json).toString('base64url')}` } }
  expect((await drive(gate, respelled)).status).toBe(200)
})
test.each(['declined by its rail', "with another payment's key"])(
  "rules 4 5: refused, %s: while its claims are taken back they are nobody else's",
  async (why) => {
    const inner = memoryStore()
    const [began, go] = [deferred(), deferred()]
    let holds = false
    const store: Store = {
      ...inner,
      async get(key) {
        if (holds && key.startsWith('proof:')) {
          holds = false
          began.resolve()
          await go.promise
        }
        return inner.get(key)
      },
    }
    const shop = seller({ store, now: Date.now })
    await shop.fund()
    const gate = shop.charge(PRICE)
    const ask = { headers: { 'idempotency-key': 'k' } }
    if (why.startsWith('declined')) shop.faults.next('settle', 'decline')
    else expect((await drive(gate, await buy(shop, gate, ask))).status).toBe(200)
    const paid = await buy(shop, gate, ask)
    holds = true
    const running = drive(gate, paid)
    await began.promise
    const meanwhile = await drive(gate, paid)
    expect([meanwhile.status, meanwhile.header('retry-after')]).toEqual([409, '1'])
    go.resolve()
    expect((await running).status).toBe(402)
  },
)

function never(): never {
  throw new Error('no handler may run')
}
