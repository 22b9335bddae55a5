import { decodeOpaque, parseCredential } from '@mppkit/core'
import type { Answer } from '@mppkit/server'
import { expect, test } from 'vitest'
import {
  all,
  buy,
  drive,
  fakeClock,
  persist,
  PRICE,
  seller,
  type Ask,
  type Handled,
  type SellerOptions,
} from './lib/harness.ts'

const FAIL = (): Handled => ({ status: 500, body: 'sorry', reached: 'all' })
const CUT = (): Handled => ({ reached: 'some' })

/** A seller whose first buyer has paid and got a 500. */
async function paidInVain(options: SellerOptions = {}, ask: Ask = {}) {
  const shop = seller(options)
  await shop.fund()
  const gate = shop.charge(PRICE)
  const paid = await buy(shop, gate, ask)
  expect((await drive(gate, paid, FAIL)).status).toBe(500)
  return { shop, gate, paid }
}

/** The same store, ledger and clock, deployed again. */
function redeploy(shop: ReturnType<typeof seller>, options: SellerOptions = {}) {
  return seller({ store: shop.store, ledger: shop.ledger, now: shop.clock.now, ...options })
}

async function listed(shop: ReturnType<typeof seller>): Promise<number> {
  return (await all(shop.unclaimed())).length
}

test('rule 8, C2 A1: aborting at the last byte three times gives content, and neither a fourth start nor the money back', async () => {
  const shop = seller({ toy: { canRefund: true } })
  await shop.fund()
  const gate = shop.charge(PRICE)
  const ask = await buy(shop, gate)
  for (let attempt = 1; attempt <= 3; attempt++) {
    const answer = await drive(gate, ask, (grant) => {
      expect(grant!.payment.attempt).toBe(attempt)
      return CUT()
    })
    expect(answer.status).toBe(200)
  }
  const fourth = await drive(gate, ask)
  expect([fourth.status, fourth.header('retry-after')]).toEqual([409, undefined])
  expect(fourth.problem.detail).toContain('listed for the seller')
  shop.clock.advance(48 * 3_600_000)
  await shop.recover()
  expect(await shop.ledger.balance('shop')).toBe(100n)
  expect(shop.toy.calls.refund).toBe(0)
  expect(await listed(shop)).toBe(1)
})

test('rule 8, A1: one byte of a good answer, then 412 as the last attempt, is no refund', async () => {
  const shop = seller({ toy: { canRefund: true } })
  await shop.fund()
  const gate = shop.charge({ ...PRICE, redeem: { attempts: 2 } })
  const ask = await buy(shop, gate)
  await drive(gate, ask, CUT)
  await drive(gate, { ...ask, headers: { ...ask.headers, 'if-match': '"x"' } }, () => ({
    status: 412,
    reached: 'all',
  }))
  shop.clock.advance(48 * 3_600_000)
  await shop.recover()
  expect(shop.toy.calls.refund).toBe(0)
  expect(await listed(shop)).toBe(1)
})

test('rule 8, A1: a 304 says that the buyer has the content: no refund', async () => {
  const shop = seller({ toy: { canRefund: true } })
  await shop.fund()
  const gate = shop.charge({ ...PRICE, redeem: { attempts: 1 } })
  const ask = await buy(shop, gate)
  await drive(gate, { ...ask, headers: { ...ask.headers, 'if-none-match': '"x"' } }, () => ({
    status: 304,
    reached: 'all',
  }))
  await shop.recover()
  expect(shop.toy.calls.refund).toBe(0)
  expect(await listed(shop)).toBe(1)
})

test('rule 8, A1: a crash in one attempt counts as "something was handed over"', async () => {
  const shop = seller({ toy: { canRefund: true } })
  await shop.fund()
  const gate = shop.charge({ ...PRICE, redeem: { attempts: 2 } })
  const ask = await buy(shop, gate)
  await drive(gate, ask, () => ({ vanish: true }))
  shop.clock.advance(31_000)
  await drive(gate, ask, FAIL)
  await shop.recover()
  expect(shop.toy.calls.refund).toBe(0)
  expect(await listed(shop)).toBe(1)
})

test('rule 8, P3: three failures of which nothing was handed over end with the money back, and a 402 says so', async () => {
  const { shop, gate, paid } = await paidInVain({ toy: { canRefund: true } })
  await drive(gate, paid, () => ({ status: 404, reached: 'all' }))
  await drive(gate, paid, () => ({ status: 499, reached: 'nothing' }))
  await shop.recover()
  expect(await shop.ledger.balance('alice')).toBe(100_000n)
  const after = await drive(gate, paid)
  expect(after.status).toBe(402)
  expect(after.problem.detail).toContain('returned')
  expect(await listed(shop)).toBe(0)
})

test.each([
  ['hung up on a GET before there was an answer', 'GET', { status: 499, reached: 'some' }, true],
  [
    'hung up on a POST before there was an answer, and has his order',
    'POST',
    { status: 499, reached: 'some' },
    false,
  ],
  ['left before the handler of a POST was started', 'POST', { status: 499, reached: 'nothing' }, true],
  [
    'read the head of a good answer, with an address in it',
    'GET',
    { status: 302, reached: 'nothing' },
    false,
  ],
  ['hung up on an error', 'POST', { status: 500, reached: 'some' }, true],
] as const)('rule 8, A1: a buyer who %s: refunded %#', async (_who, method, end, refunded) => {
  const shop = seller({ toy: { canRefund: true } })
  await shop.fund()
  const gate = shop.charge(PRICE)
  const ask = await buy(shop, gate, { method })
  for (let attempt = 1; attempt <= 3; attempt++) await drive(gate, ask, () => end)
  await shop.recover()
  expect([shop.toy.calls.refund, await listed(shop)]).toEqual(refunded ? [1, 0] : [0, 1])
})

test('rule 5: payment.signal tells a handler whose client has left that another may start', async () => {
  const shop = seller()
  await shop.fund()
  const gate = shop.charge(PRICE)
  const ask = await buy(shop, gate)
  const signals: AbortSignal[] = []
  const left = await drive(gate, ask, (grant) => {
    signals.push(grant!.payment.signal)
    return { status: 499, reached: 'some' }
  })
  expect([left.status, signals[0]?.aborted]).toEqual([499, true])
  await drive(gate, ask, (grant) => {
    signals.push(grant!.payment.signal)
    return {}
  })
  expect(signals[1]?.aborted).toBe(false)
})

test.each([301, 304, 308, 400, 404, 412, 422, 500, 503])(
  'rule 7, P2, CORE-080: %i is not delivery: no receipt, no-store, and the payment stands',
  async (status) => {
    const shop = seller()
    await shop.fund()
    const gate = shop.charge(PRICE)
    const ask = await buy(shop, gate)
    const failed = await drive(gate, ask, () => ({ status, reached: 'all' }))
    expect([failed.receipt, failed.header('cache-control')]).toEqual([undefined, 'no-store'])
    const again = await drive(gate, ask)
    expect([again.status, again.body]).toEqual([200, 'content'])
    expect(await shop.ledger.balance('shop')).toBe(100n)
  },
)

test.each([200, 201, 204, 206, 302, 303, 307])(
  'rule 7: %i, handed over completely, is delivery',
  async (status) => {
    const shop = seller()
    await shop.fund()
    const gate = shop.charge(PRICE)
    const ask = await buy(shop, gate)
    const done = await drive(gate, ask, () => ({ status, reached: 'all' }))
    expect(done.receipt !== undefined).toBe(status < 300)
    expect((await drive(gate, ask)).status).toBe(402)
  },
)

test('rule 7: 101 is delivery, and its headers are left alone', async () => {
  const shop = seller()
  await shop.fund()
  const gate = shop.charge(PRICE)
  const ask = await buy(shop, gate)
  const upgraded = await drive(gate, ask, () => ({ status: 101, reached: 'nothing' }))
  expect(upgraded.headers).toEqual([])
  expect((await drive(gate, ask)).status).toBe(402)
})

test('C1, rule 2, CORE-004: pay, handler fails, past `expires`: the same credential still buys its answer', async () => {
  const { shop, gate, paid } = await paidInVain()
  const unpaid = await buy(shop, gate)
  shop.clock.advance(301_000)
  const late = await drive(gate, paid)
  expect([late.status, late.body]).toEqual([200, 'content'])
  const never = await drive(gate, unpaid)
  expect(never.status).toBe(402)
  expect(never.problem.type).toMatch(/invalid-challenge$/)
  expect(await shop.ledger.balance('shop')).toBe(100n)
})

test('A7, rule 2: redeployed at another price, to another recipient: paid money is honoured, unpaid quotes are not', async () => {
  const { shop, gate, paid } = await paidInVain()
  const unpaid = await buy(shop, gate)
  const next = redeploy(shop, { toy: { recipient: 'heir' } })
  const dearer = next.charge({ amount: '5.00' })
  expect((await drive(dearer, unpaid)).problem.type).toMatch(/invalid-challenge$/)
  expect((await drive(dearer, paid)).status).toBe(200)
  expect(await shop.ledger.balance('heir')).toBe(0n)
})

test('A7, rule 2: the rail is withheld from the route after it was paid', async () => {
  const { toyMethod } = await import('@mppkit/testing/toy')
  const { shop, paid } = await paidInVain()
  const other = toyMethod({ ledger: shop.ledger, name: 'coin', recipient: 'shop' })
  const next = redeploy(shop, { more: [other] })
  const withheld = next.charge({ ...PRICE, toy: false })
  expect((await drive(withheld)).challenges.map(({ method }) => method)).toEqual(['coin'])
  expect((await drive(withheld, paid)).status).toBe(200)
})

test.each([
  ['null', null],
  ['404', { status: 404, headers: [], body: null }],
] as const)(
  'A7, rule 2: a price function that now says %s is not asked about what is paid',
  async (_name, said) => {
    let says: string | Answer | null = '1.00'
    let calls = 0
    const shop = seller()
    await shop.fund()
    const gate = shop.charge({
      amount: () => {
        calls++
        return says
      },
    })
    const paid = await buy(shop, gate)
    await drive(gate, paid, FAIL)
    says = said && { ...said, headers: [] }
    calls = 0
    const redeemed = await drive(gate, paid)
    expect([redeemed.status, redeemed.passed, redeemed.receipt?.method, calls]).toEqual([
      200,
      undefined,
      'toy',
      0,
    ])
  },
)

test('rule 2, CORE-135: rotation keeps old challenges and paid credentials alive; a dropped secret ends unpaid ones', async () => {
  const [old, young] = ['old secret, thirty-two bytes or more', 'new secret, thirty-two bytes or more']
  const { shop, gate, paid } = await paidInVain({ secret: old })
  const unpaid = await buy(shop, gate)
  const rotated = redeploy(shop, { secret: [young, old] }).charge(PRICE)
  expect((await drive(rotated, paid)).status).toBe(200)
  const fresh = await buy(shop, rotated)
  const dropped = redeploy(shop, { secret: young }).charge(PRICE)
  expect((await drive(dropped, unpaid)).problem.type).toMatch(/invalid-challenge$/)
  expect((await drive(dropped, fresh)).status).toBe(200)
})

test('rule 8: after `within` nobody comes any more: listed, and a late redeem is told so', async () => {
  const { shop, gate, paid } = await paidInVain()
  shop.clock.advance(24 * 3_600_000 + 1_000)
  await shop.recover()
  expect(await listed(shop)).toBe(1)
  const late = await drive(gate, paid)
  expect([late.status, late.header('retry-after')]).toEqual([409, undefined])
})

test('rule 8: a settled record outlives every TTL', async () => {
  const { shop, gate, paid } = await paidInVain()
  shop.clock.advance(365 * 24 * 3_600_000)
  expect((await drive(gate, paid)).status).toBe(200)
})

test('rule 4: a price function that fails the second time does not lose the money', async () => {
  let calls = 0
  const shop = seller()
  await shop.fund()
  const gate = shop.charge({
    amount: () => {
      if (++calls > 1) throw new Error('stock service is down')
      return '1.00'
    },
  })
  const ask = await buy(shop, gate)
  await expect(drive(gate, ask)).rejects.toThrow('stock service')
  expect(await shop.ledger.transfers()).toEqual([])
})

test('rule 11, C34: a refund whose reply is lost is made once', async () => {
  const clock = fakeClock()
  const shop = seller({ now: clock.now, toy: { canRefund: true } })
  await shop.fund()
  const gate = shop.charge({ ...PRICE, redeem: { attempts: 1 } })
  const ask = await buy(shop, gate)
  shop.faults.next('refund', 'unknown-after', { times: 3 })
  await drive(gate, ask, FAIL)
  for (let round = 0; round < 5; round++) {
    await shop.recover()
    clock.advance(61_000)
  }
  expect(await shop.ledger.balance('alice')).toBe(100_000n)
  expect((await shop.ledger.transfers()).length).toBe(2)
  expect((await persist(gate, ask, clock.advance)).status).toBe(402)
})

test.each([
  ['45s', 45],
  ['3min', 180],
  ['2h', 7_200],
  ['1d', 86_400],
])('rule 8: within %s is %i seconds, and not one more', async (within, seconds) => {
  const shop = seller()
  await shop.fund()
  const gate = shop.charge({ ...PRICE, redeem: { within } })
  const paid = await buy(shop, gate)
  expect((await drive(gate, paid, FAIL)).status).toBe(500)
  shop.clock.advance(seconds * 1000 - 1_000)
  await shop.recover()
  expect(await listed(shop)).toBe(0)
  shop.clock.advance(1_001)
  await shop.recover()
  expect(await listed(shop)).toBe(1)
})

test('rule 8: a paid request that failed is honoured 20 hours later where the seller says a day', async () => {
  const shop = seller()
  await shop.fund()
  const gate = shop.charge({ ...PRICE, redeem: { within: '1d' } })
  const paid = await buy(shop, gate)
  await drive(gate, paid, FAIL)
  shop.clock.advance(20 * 3_600_000)
  await shop.recover()
  expect((await drive(gate, paid)).status).toBe(200)
})

test('rule 17: who recovers has recovered: no rail is still at work', async () => {
  const shop = seller({ toy: { canRefund: true } })
  await shop.fund()
  const gate = shop.charge({ ...PRICE, redeem: { within: '1h' } })
  const paid = await buy(shop, gate)
  const { challenge } = parseCredential(paid.headers!['authorization']!.slice('Payment '.length))
  const id = decodeOpaque(challenge.opaque!)['_n']!
  shop.faults.next('settle', 'unknown-after')
  expect((await drive(gate, paid)).status).toBe(503)
  shop.clock.advance(61_000)
  shop.faults.next('find', 'slow')
  expect(await shop.recover()).toBe(1)
  expect((await shop.trace(id))?.state).toBe('settled')
  shop.clock.advance(3_601_000)
  shop.faults.next('refund', 'slow')
  expect(await shop.recover()).toBe(1)
  expect(await shop.ledger.balance('alice')).toBe(100_000n)
})
