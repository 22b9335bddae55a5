import { formatCredential } from '@mppkit/core'
import { expect, test } from 'vitest'
import { all, buy, drive, PRICE, seller, type Ask, type Reply, type Seller } from './lib/harness.ts'
import { freezer } from './lib/points.ts'

/** Money that moves before the credential arrives: rule 10. */
function pushShop(): Seller {
  return seller({ toy: { moves: 'before' } })
}

function final(answer: Reply): [number, string | undefined] {
  return [answer.status, answer.header('retry-after')]
}

function listed(shop: Seller) {
  return all(shop.unclaimed())
}

/** A transfer that names no challenge. */
async function plainTransfer(shop: Seller, name = 'alice:hash'): Promise<void> {
  await shop.ledger.transfer({ id: name, from: 'alice', to: 'shop', amount: 100n })
}

function proofOf(challenge: Reply['challenges'][number], transfer = 'alice:hash'): Ask {
  return { headers: { authorization: formatCredential({ challenge, payload: { transfer } }) } }
}

test('A10, rule 10, TC-096: money that moved, shown after `expires`: listed, named in a final 409, for a 402 would invite a second payment', async () => {
  const shop = pushShop()
  await shop.fund()
  const gate = shop.charge(PRICE)
  const ask = await buy(shop, gate)
  const [transfer] = await shop.ledger.transfers()
  shop.clock.advance(301_000)
  const late = await drive(gate, ask, never)
  expect(final(late)).toEqual([409, undefined])
  expect(late.problem.detail).toContain(transfer!.id)
  expect(final(await drive(gate, ask, never))).toEqual([409, undefined])
  expect((await listed(shop)).map(({ state, receipt }) => [state, receipt?.reference])).toEqual([
    ['unclaimed', transfer!.id],
  ])
})

test('A3, rule 4: taken up again after another quote has claimed its transfer: refused, and the transfer counts once', async () => {
  const ice = freezer()
  const dying = seller({ toy: { moves: 'before' }, probe: ice.probe })
  await dying.fund()
  const { store, ledger, clock } = dying
  const shop = seller({ store, ledger, now: clock.now, toy: { moves: 'before' } })
  const gate = shop.charge(PRICE)
  const [one, two] = [(await drive(gate)).challenges[0]!, (await drive(gate)).challenges[0]!]
  await plainTransfer(shop)
  // Ends between the claims of quote and transfer.
  ice.freeze('claimed')
  void drive(dying.charge(PRICE), proofOf(one))
  await ice.frozen()
  expect((await drive(gate, proofOf(two))).status).toBe(200)
  clock.advance(31_000)
  const { status, problem } = await drive(gate, proofOf(one), never)
  expect([status, problem.type]).toEqual([402, expect.stringMatching(/verification-failed$/)])
  expect(await listed(shop)).toEqual([])
})

test('A10, rule 10: late money whose rail falters on the way is still listed, not delivered', async () => {
  for (const recovers of [false, true]) {
    const shop = pushShop()
    await shop.fund()
    const gate = shop.charge(PRICE)
    const ask = await buy(shop, gate)
    shop.clock.advance(301_000)
    shop.faults.next('settle', 'down')
    expect((await drive(gate, ask, never)).status).toBe(503)
    if (recovers) {
      shop.clock.advance(61_000)
      await shop.recover()
    } else expect((await drive(gate, ask, never)).status).toBe(409)
    expect(final(await drive(gate, ask, never))).toEqual([409, undefined])
    expect((await listed(shop)).length).toBe(1)
  }
})

test('rule 10: a late credential without money behind it writes nothing and is refused', async () => {
  const shop = pushShop()
  await shop.fund()
  const gate = shop.charge(PRICE)
  const { challenges } = await drive(gate)
  await shop.ledger.cancel('alice:void', 'alice')
  shop.clock.advance(301_000)
  expect((await drive(gate, proofOf(challenges[0]!, 'alice:void'), never)).status).toBe(402)
  expect(await listed(shop)).toEqual([])
})

test('rules 10 12: a push that was delivered is never taken for late money: content is not followed by a refund', async () => {
  const shop = pushShop()
  await shop.fund()
  const gate = shop.charge(PRICE)
  const ask = await buy(shop, gate)
  expect((await drive(gate, ask)).status).toBe(200)
  for (let hour = 0; hour < 50; hour++) {
    for (let quarter = 0; quarter < 4; quarter++) {
      expect((await drive(gate, ask, never)).status).toBe(402)
      shop.clock.advance(15 * 60_000)
    }
  }
  expect(await listed(shop)).toEqual([])
})

test('rules 10 12: money that was returned once is not listed again', async () => {
  const shop = seller({ toy: { moves: 'before', canRefund: true } })
  await shop.fund()
  const gate = shop.charge({ ...PRICE, redeem: { attempts: 1 } })
  const ask = await buy(shop, gate)
  await drive(gate, ask, () => ({ status: 500 }))
  await shop.recover()
  expect(await shop.ledger.balance('alice')).toBe(100_000n)
  for (let hour = 0; hour < 50; hour++) {
    expect((await drive(gate, ask, never)).status).toBe(402)
    shop.clock.advance(3_600_000)
  }
  expect(await listed(shop)).toEqual([])
  expect(await shop.ledger.balance('alice')).toBe(100_000n)
})

test('A11, rule 12: one transfer, two quotes of different lifetimes: the proof is remembered for the longer one', async () => {
  const shop = pushShop()
  await shop.fund()
  const short = shop.charge({ ...PRICE, lifetime: 10 })
  const long = shop.charge({ ...PRICE, lifetime: 86_400 })
  const { challenges: one } = await drive(short)
  const { challenges: two } = await drive(long)
  await plainTransfer(shop)
  expect((await drive(short, proofOf(one[0]!))).status).toBe(200)
  for (let hour = 0; hour < 72; hour++) {
    expect((await drive(long, proofOf(two[0]!), never)).status).toBe(402)
    shop.clock.advance(3_600_000)
  }
  expect(await listed(shop)).toEqual([])
})

test('rule 12: a transfer from before the quote is refused', async () => {
  const shop = pushShop()
  await shop.fund()
  const gate = shop.charge(PRICE)
  await plainTransfer(shop)
  shop.clock.advance(61_000)
  const { challenges } = await drive(gate)
  expect((await drive(gate, proofOf(challenges[0]!), never)).status).toBe(402)
})

test('A10, rule 3: a transfer that is not found yet is 503, not 402, and writes nothing; then it pays', async () => {
  const shop = pushShop()
  await shop.fund()
  const gate = shop.charge(PRICE)
  const { challenges } = await drive(gate)
  const ask = proofOf(challenges[0]!)
  for (let tries = 0; tries < 3; tries++) expect(final(await drive(gate, ask, never))).toEqual([503, '1'])
  await plainTransfer(shop)
  expect((await drive(gate, ask)).status).toBe(200)
})

test('A10: redeployed at other terms between payment and credential: listed, not delivered, not lost', async () => {
  const shop = pushShop()
  await shop.fund()
  const ask = await buy(shop, shop.charge(PRICE))
  const dearer = shop.charge({ amount: '2.00' })
  const answer = await drive(dearer, ask, never)
  expect(final(answer)).toEqual([409, undefined])
  expect(answer.problem.detail).toContain('listed')
  expect((await listed(shop)).length).toBe(1)
})

test('rule 2: a price function that now refuses is not asked when the money has moved before', async () => {
  const shop = pushShop()
  await shop.fund()
  let refuses = false
  const gate = shop.charge({ amount: () => (refuses ? { status: 404, headers: [], body: null } : '1.00') })
  const ask = await buy(shop, gate)
  refuses = true
  expect((await drive(gate)).status).toBe(404)
  expect((await drive(gate, ask)).status).toBe(200)
})

test('rules 4 10, promise 2: a second push under one Idempotency-Key buys its own answer: its money is here, whoever has the key', async () => {
  const shop = pushShop()
  await shop.fund()
  const gate = shop.charge(PRICE)
  const headers = { 'idempotency-key': 'order-1' }
  const first = await buy(shop, gate, { headers })
  const second = await buy(shop, gate, { headers })
  await drive(gate, first, () => ({ status: 500 }))
  expect((await drive(gate, second)).status).toBe(200)
  expect((await drive(gate, first)).status).toBe(200)
  expect((await shop.ledger.transfers()).length).toBe(2)
})

function never(): never {
  throw new Error('no handler may run')
}

test('rules 6 10: money that had moved, on a rail that gives no note, is not forgotten by recovery', async () => {
  let isDead = false
  const probe = async (point: string): Promise<void> => {
    if (isDead && point === 'claimed') await new Promise(() => {})
  }
  const shop = seller({ toy: { moves: 'before' }, probe })
  await shop.fund()
  const { parse } = shop.toy
  shop.toy.parse = async (...given) => {
    const { note: _, ...parsed } = await parse(...given)
    return parsed
  }
  const gate = shop.charge(PRICE)
  const ask = await buy(shop, gate)
  isDead = true
  void drive(gate, ask)
  await new Promise((resolve) => setTimeout(resolve, 10))
  isDead = false
  shop.clock.advance(120_000)
  await shop.recover()
  expect(String(shop.errors[0])).toContain('no note')
  shop.clock.advance(24 * 3_600_000)
  await shop.recover()
  expect((await drive(gate, ask)).status).toBe(200)
})
