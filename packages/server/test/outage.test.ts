import { decodeOpaque } from '@mppkit/core'
import { memoryStore } from '@mppkit/server'
import { describe, expect, test, vi } from 'vitest'
import {
  buy,
  drive,
  persist,
  PRICE,
  seller,
  type Ask,
  type Handled,
  type SellerOptions,
  all,
} from './lib/harness.ts'
import { counting, faulty, type Loss } from './lib/stores.ts'
import { fakeTimers } from './lib/timers.ts'
import { recordKey } from '../src/lib/record.ts'

const { now, pass } = fakeTimers()
const NTH = Array.from({ length: 12 }, (_, index) => index + 1)
const CASES = NTH.flatMap((nth) => (['before', 'after'] as Loss[]).map((loss) => [nth, loss] as const))

/** Real time, for what no fake timer moves: encryption. */
const breathe = (
  (timeout) => () =>
    new Promise((resolve) => timeout(resolve, 2))
)(setTimeout)

/** Runs a promise while time passes. */
async function during<T>(work: Promise<T>): Promise<T> {
  let done = false
  const end = (): boolean => (done = true)
  work.then(end, end)
  for (await breathe(); !done; await breathe()) await pass(500)
  return work
}

async function open(options: SellerOptions = {}, ask: Ask = {}) {
  const store = faulty(memoryStore({ now }))
  const shop = seller({ now, store, ...options })
  await shop.fund()
  const gate = shop.charge({ ...PRICE, redeem: { attempts: 4 } })
  const paid = await buy(shop, gate, ask)
  let starts = 0
  const handler = (): Handled => (starts++, {})
  return { shop, store, gate, paid, handler, starts: () => starts }
}

const RAILS: [string, SellerOptions, Ask][] = [
  ['a note from the payload', {}, {}],
  [
    'a note from settle, with an Idempotency-Key',
    { toy: { notes: 'settle' } },
    { headers: { 'idempotency-key': 'k' } },
  ],
  ['money that moved before', { toy: { moves: 'before' } }, {}],
]

describe.each(RAILS)('rules 1 5 14: the store fails; %s', (_name, options, ask) => {
  test.each(CASES)(
    'at call %i only, %s it is carried out: the buyer does not notice, but for the first',
    async (nth, loss) => {
      const { shop, store, gate, paid, handler, starts } = await open(options, ask)
      store.fail(nth, loss)
      const first = await during(drive(gate, paid, handler))
      // Reads are not repeated, writes are: one that is carried out twice is ours both times.
      expect([first.status, first.header('retry-after')]).toEqual(nth === 1 ? [503, '1'] : [200, undefined])
      const answer = first.status === 200 ? first : await during(persist(gate, paid, pass, handler))
      expect([answer.status, answer.body]).toEqual([200, 'content'])
      expect(starts()).toBe(1)
      expect((await shop.ledger.transfers()).length).toBe(1)
      const again = await persist(gate, paid, pass, handler)
      expect([again.status, starts()]).toEqual([ask.headers ? 200 : 402, 1])
    },
  )

  test.each(CASES)(
    'from call %i on for a minute, the first %s it is carried out: 503 or the answer; then the answer',
    async (nth, loss) => {
      const { shop, store, gate, paid, handler, starts } = await open(options, ask)
      store.fail(nth, loss, 'lasting')
      const first = await during(drive(gate, paid, handler))
      if (first.status !== 200)
        expect([first.status, first.header('retry-after'), starts()]).toEqual([503, '1', 0])
      if (store.failed) {
        const meanwhile = await drive(gate, paid, handler)
        expect([meanwhile.status, meanwhile.header('retry-after')]).toEqual([503, '1'])
      }
      await pass(60_000)
      store.repair()
      const answer = first.status === 200 ? first : await persist(gate, paid, pass, handler)
      expect([answer.status, answer.body, starts()]).toEqual([200, 'content', 1])
      expect((await shop.ledger.transfers()).length).toBe(1)
      // Delivered while the store was away: one more delivery at most, counted; then it is spent or kept.
      const second = await persist(gate, paid, pass, handler)
      const third = await persist(gate, paid, pass, handler)
      expect(starts()).toBeLessThanOrEqual(2)
      expect([200, 402]).toContain(second.status)
      expect(third.status).toBe(ask.headers ? 200 : 402)
      expect((await shop.ledger.transfers()).length).toBe(1)
    },
  )

  test.each(CASES)(
    'from call %i on, the first %s it is carried out, and the buyer never comes back: recovery decides',
    async (nth, loss) => {
      const { shop, store, gate, paid, handler, starts } = await open(options, ask)
      const before = shop.toy.moves === 'before'
      store.fail(nth, loss, 'lasting')
      await during(drive(gate, paid, handler))
      await pass(60_000)
      store.repair()
      for (let hour = 0; hour < 26; hour++) {
        await pass(3_600_000)
        await shop.recover()
      }
      const moved = (await shop.ledger.transfers()).length
      const listed = await all(shop.unclaimed())
      for (const { state } of listed) expect(state).toBe('unclaimed')
      // Every debit is an answer or is listed; a push that no record was ever made of is known to the buyer only.
      expect(moved).toBeLessThanOrEqual(1)
      if (moved === 1 && starts() === 0 && !before) expect(listed.length).toBe(1)
      if (moved === 0) expect(listed.length).toBe(0)
    },
  )
})

test.each(['before', 'after'] as Loss[])(
  'rule 5: "settled" fails twice, the first time %s it is carried out: 503, and the retry takes over at once',
  async (loss) => {
    const { shop, store, gate, paid } = await open()
    // get, quote, proof; then "settled" and its repetition.
    store.fail(4, loss, 'twice')
    const first = await drive(gate, paid, never)
    expect([first.status, first.header('retry-after')]).toEqual([503, '1'])
    let attempt = 0
    const second = await drive(gate, paid, (grant) => ((attempt = grant!.payment.attempt), {}))
    expect([second.status, attempt]).toEqual([200, 1])
    expect((await shop.ledger.transfers()).length).toBe(1)
  },
)

test('rule 14: before the claims the answer is 503, and nothing has been asked of the rail that creates state', async () => {
  const { shop, store, gate, paid } = await open()
  store.fail(1, 'before', 'lasting')
  const answer = await drive(gate, paid)
  expect([answer.status, answer.header('retry-after'), answer.header('content-type')]).toEqual([
    503,
    '1',
    'application/problem+json',
  ])
  expect([shop.toy.calls.verify, shop.toy.calls.settle]).toEqual([0, 0])
  expect(shop.errors.length).toBe(1)
})

test('rule 14, A15: `keep` and `finish` never reject and never change the answer, whatever the store or the listener does', async () => {
  const printed = vi.spyOn(console, 'error').mockReturnValue()
  const store = faulty(memoryStore({ now }))
  const shop = seller({
    now,
    store,
    onError: () => {
      throw new Error('the listener is broken too')
    },
  })
  await shop.fund()
  const gate = shop.charge(PRICE)
  const paid = await buy(shop, gate, { headers: { 'idempotency-key': 'k' } })
  const answer = await during(
    drive(gate, paid, () => {
      store.fail(1, 'before', 'lasting')
      return {}
    }),
  )
  expect([answer.status, answer.body, answer.receipt?.method]).toEqual([200, 'content', 'toy'])
  const down = await drive(gate, paid)
  expect(down.status).toBe(503)
  expect(printed).toHaveBeenCalled()
  printed.mockRestore()
})

test('rule 14: an unpaid request is answered while the store is down', async () => {
  const { store, gate } = await open()
  store.fail(1, 'before', 'lasting')
  expect((await drive(gate)).status).toBe(402)
  expect((await drive(gate, { headers: { authorization: 'Payment x' } })).status).toBe(402)
})

test('C27, rules 1 14: rail faults are answers: 503 with Retry-After at every step, and the retry pays once', async () => {
  const { shop, gate, paid, handler, starts } = await open()
  for (const [step, fault] of [
    ['verify', 'down'],
    ['settle', 'down'],
    ['settle', 'unknown-before'],
    ['settle', 'unknown-after'],
  ] as const) {
    shop.faults.next(step, fault)
    const answer = await drive(gate, paid, handler)
    expect([fault, answer.status, answer.header('retry-after')]).toEqual([fault, 503, '1'])
    expect(answer.challenges).toEqual([])
  }
  for (let round = 0; round < 3; round++) {
    shop.faults.next('find', 'down')
    expect((await drive(gate, paid, handler)).status).toBe(503)
  }
  expect((await drive(gate, paid, handler)).status).toBe(200)
  expect(starts()).toBe(1)
  expect((await shop.ledger.transfers()).length).toBe(1)
})

test('rule 1: a rail that calls a look-up a refusal is not believed: the payment may have moved', async () => {
  const { shop, gate, paid, handler } = await open()
  shop.faults.next('settle', 'unknown-after')
  expect((await drive(gate, paid, handler)).status).toBe(503)
  shop.faults.next('find', 'decline')
  const answer = await drive(gate, paid, handler)
  expect([answer.status, answer.header('retry-after')]).toEqual([503, '1'])
  expect((await drive(gate, paid, handler)).status).toBe(200)
})

test('rule 6: settle that refuses after its note frees quote, proof and key: the buyer may pay again', async () => {
  const shop = seller({ now, store: memoryStore({ now }), toy: { notes: 'settle' } })
  await shop.fund()
  const gate = shop.charge(PRICE)
  const headers = { 'idempotency-key': 'k' }
  const ask = await buy(shop, gate, { headers })
  shop.faults.next('settle', 'decline')
  const refused = await drive(gate, ask)
  expect([refused.status, refused.problem.type]).toEqual([402, expect.stringMatching(/verification-failed$/)])
  const again = { headers: { ...headers, authorization: await shop.wallet.pay(refused.challenges[0]!) } }
  expect((await drive(gate, again)).status).toBe(200)
  expect((await shop.ledger.transfers()).length).toBe(1)
})

test('rule 18: a paid request costs one get and four swaps, one more with a note, one more with a key', async () => {
  const costs: number[][] = []
  for (const [options, ask] of [
    [{}, {}],
    [{ toy: { notes: 'settle' } }, {}],
    [{}, { headers: { 'idempotency-key': 'k' } }],
  ] as [SellerOptions, Ask][]) {
    const store = counting(memoryStore({ now }))
    const shop = seller({ now, store, ...options })
    await shop.fund()
    const gate = shop.charge(PRICE)
    const paid = await buy(shop, gate, ask)
    store.reset()
    expect((await drive(gate, paid)).status).toBe(200)
    costs.push([store.calls.get, store.calls.swap])
  }
  expect(costs).toEqual([
    [1, 4],
    [1, 5],
    [1, 5],
  ])
})

test('rule 5: a record that has vanished under a settlement runs no handler, and the money moves once', async () => {
  const { shop, gate, paid, handler, starts } = await open()
  const { settle } = shop.toy
  shop.toy.settle = async (parsed, context) => {
    shop.toy.settle = settle
    const receipt = await settle(parsed, context)
    const key = recordKey('api.example.com', decodeOpaque(context.challenge.opaque!)['_n']!)
    await shop.store.swap(key, (await shop.store.get(key))!.version, 'delete')
    return receipt
  }
  const answer = await drive(gate, paid, handler)
  expect([answer.status, answer.header('retry-after'), starts()]).toEqual([409, '1', 0])
  expect((await drive(gate, paid, handler)).status).toBe(200)
  expect([starts(), (await shop.ledger.transfers()).length]).toEqual([1, 1])
})

function never(): never {
  throw new Error('no handler may run')
}
