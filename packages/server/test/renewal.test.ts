import type { Receipt, Store } from '@mppkit/core'
import { memoryStore } from '@mppkit/server'
import { expect, test, vi } from 'vitest'
import { buy, drive, onSale, PRICE, seller, type Reply } from './lib/harness.ts'
import { counting, faulty } from './lib/stores.ts'
import { fakeTimers } from './lib/timers.ts'

const { now, pass } = fakeTimers()

function wait(answer: Reply): [number, string | undefined] {
  return [answer.status, answer.header('retry-after')]
}

test('rule 5: a handler or a settlement longer than the lease keeps it', async () => {
  const { shop, gate, ask } = await onSale({ now, store: memoryStore({ now }) })
  shop.faults.next('settle', 'stall')
  let signal: AbortSignal | undefined
  const running = drive(gate, ask, async (grant) => {
    signal = grant!.payment.signal
    await new Promise((resolve) => setTimeout(resolve, 100_000))
    return {}
  })
  await pass(95_000)
  expect(wait(await drive(gate, ask))).toEqual([409, '1'])
  shop.faults.release()
  await pass(95_000)
  expect(wait(await drive(gate, ask))).toEqual([409, '1'])
  expect(signal?.aborted).toBe(false)
  await pass(10_000)
  expect((await running).status).toBe(200)
  expect((await drive(gate, ask)).status).toBe(402)
})

test('rules 5 6: a rail that stalls for minutes holds the payment no longer: taken over, one movement, one answer', async () => {
  const { shop, gate, ask } = await onSale({ now, store: memoryStore({ now }) })
  let starts = 0
  const handler = () => (starts++, {})
  shop.faults.next('settle', 'stall')
  const running = drive(gate, ask, handler)
  await pass(110_000)
  expect(wait(await drive(gate, ask, handler))).toEqual([409, '1'])
  await pass(50_000)
  expect((await drive(gate, ask, handler)).status).toBe(200)
  shop.faults.release()
  expect(wait(await running)).toEqual([409, '1'])
  expect([starts, (await shop.ledger.transfers()).length]).toEqual([1, 1])
})

test('rule 5: `payment.signal` fires once somebody else owns the payment', async () => {
  const store = memoryStore({ now: () => now() + skew })
  let skew = 0
  const { gate, ask } = await onSale({ now, store })
  let aborted = false
  const running = drive(gate, ask, async ({ payment } = never()) => {
    payment.signal.addEventListener('abort', () => (aborted = true))
    await new Promise((resolve) => setTimeout(resolve, 60_000))
    return {}
  })
  await pass(1)
  // The store's clock leaps, as after a failover: the lease is over for everybody else.
  skew = 40_000
  expect((await drive(gate, ask)).status).toBe(200)
  expect(aborted).toBe(false)
  await pass(15_000)
  expect(aborted).toBe(true)
  await pass(60_000)
  expect((await running).status).toBe(200)
})

test('rule 5: `payment.signal` has fired for whoever asks for it after the loss', async () => {
  const store = memoryStore({ now: () => now() + skew })
  let skew = 0
  const { gate, ask } = await onSale({ now, store })
  let aborted: boolean | undefined
  const running = drive(gate, ask, async ({ payment } = never()) => {
    await new Promise((resolve) => setTimeout(resolve, 20_000))
    aborted = payment.signal.aborted
    return {}
  })
  await pass(1)
  skew = 40_000
  expect((await drive(gate, ask)).status).toBe(200)
  await pass(20_000)
  expect(aborted).toBe(true)
  await running
})

test('rule 5: a rail that fails after the payment was lost to another says nothing about it', async () => {
  const store = memoryStore({ now: () => now() + skew })
  let skew = 0
  const { shop, gate, ask } = await onSale({ now, store })
  const { settle } = shop.toy
  shop.toy.settle = async () => {
    shop.toy.settle = settle
    await new Promise((resolve) => setTimeout(resolve, 20_000))
    throw new Error('the rail hangs up')
  }
  const running = drive(gate, ask)
  await pass(1)
  skew = 40_000
  expect((await drive(gate, ask)).status).toBe(200)
  await pass(20_000)
  expect(wait(await running)).toEqual([409, '1'])
  expect([shop.errors, (await shop.ledger.transfers()).length]).toEqual([[], 1])
})

test('rule 5: a lease is renewed every ten seconds, not more often', async () => {
  const store = counting(memoryStore({ now }))
  const { gate, ask } = await onSale({ now, store })
  const running = drive(gate, ask, async () => {
    store.reset()
    await new Promise((resolve) => setTimeout(resolve, 35_000))
    return {}
  })
  const swaps: number[] = []
  for (const ms of [9_999, 2_501, 22_400]) {
    await pass(ms)
    swaps.push(store.calls.swap)
  }
  expect(swaps).toEqual([0, 1, 3])
  await pass(1_000)
  expect((await running).status).toBe(200)
})

test('rule 5: whoever is told to send it again finds the payment free', async () => {
  const inner = memoryStore({ now })
  const store: Store = {
    ...inner,
    async swap(key, expect, next) {
      if (next !== 'delete' && next.lease === undefined)
        await new Promise((resolve) => setTimeout(resolve, 500))
      return inner.swap(key, expect, next)
    },
  }
  const { shop, gate, ask } = await onSale({ now, store })
  const ended = async (): Promise<Reply> => {
    let answer: Reply | undefined
    void drive(gate, ask).then((reply) => (answer = reply))
    while (answer === undefined) await pass(10)
    return answer
  }
  shop.faults.next('settle', 'unknown-before')
  shop.faults.next('find', 'down')
  expect(wait(await ended())).toEqual([503, '1'])
  expect(wait(await ended())).toEqual([503, '1'])
  expect((await ended()).status).toBe(200)
})

test('rule 5: no lease is renewed after its payment has ended', async () => {
  const { shop, gate, ask } = await onSale({ now, store: memoryStore({ now }) })
  shop.faults.next('settle', 'unknown-before')
  expect(wait(await drive(gate, ask))).toEqual([503, '1'])
  await pass(40_000)
  expect((await drive(gate, ask, () => ({ status: 500 }))).status).toBe(500)
  await pass(40_000)
  expect((await drive(gate, ask)).status).toBe(200)
  expect((await shop.ledger.transfers()).length).toBe(1)
})

test('rule 5: `payment.signal` fires when the store cannot be reached for as long as the lease', async () => {
  const store = faulty(memoryStore({ now }))
  const { gate, ask } = await onSale({ now, store })
  let aborted = 0
  const running = drive(gate, ask, async ({ payment } = never()) => {
    payment.signal.addEventListener('abort', () => (aborted = Date.now()))
    await new Promise((resolve) => setTimeout(resolve, 60_000))
    return {}
  })
  await pass(1)
  const start = Date.now()
  store.fail(1, 'before', 'lasting')
  await pass(20_000)
  expect(aborted).toBe(0)
  await pass(20_000)
  expect(aborted - start).toBeGreaterThan(20_000)
  expect(aborted - start).toBeLessThanOrEqual(33_000)
  store.repair()
  await pass(30_000)
  expect((await running).status).toBe(200)
})

test.each([1, 2, 3])(
  'rules 5 14: a store that fails at the claims (%i) leaves no lease that renews itself for ever',
  async (nth) => {
    const store = faulty(memoryStore({ now }))
    const shop = seller({ now, store })
    await shop.fund()
    const gate = shop.charge(PRICE)
    const ask = await buy(shop, gate, { headers: { 'idempotency-key': 'k' } })
    store.fail(nth + 1, 'before', 'lasting')
    expect(wait(await drive(gate, ask))).toEqual([503, '1'])
    await pass(3_000)
    store.repair()
    await pass(120_000)
    expect((await drive(gate, ask)).status).toBe(200)
  },
)

test('rules 5 14: a refusal that cannot be recorded leaves no lease that renews itself for ever', async () => {
  const store = faulty(memoryStore({ now }))
  const { shop, gate, ask } = await onSale({ now, store })
  shop.faults.next('settle', 'decline')
  // get, claim, proof; then the deletion fails.
  store.fail(4, 'before', 'lasting')
  expect(wait(await drive(gate, ask))).toEqual([503, '1'])
  await pass(3_000)
  store.repair()
  await pass(120_000)
  expect((await drive(gate, ask)).status).toBe(200)
  expect((await shop.ledger.transfers()).length).toBe(1)
})

test('rule 14: "settled" that cannot be written runs no handler and leaves no lease that renews itself for ever', async () => {
  const store = faulty(memoryStore({ now }))
  const { shop, gate, ask } = await onSale({ now, store })
  let starts = 0
  store.fail(4, 'before', 'lasting')
  expect(wait(await drive(gate, ask, () => (starts++, {})))).toEqual([503, '1'])
  expect([starts, (await shop.ledger.transfers()).length]).toEqual([0, 1])
  await pass(3_000)
  store.repair()
  await pass(120_000)
  expect((await drive(gate, ask, () => (starts++, {}))).status).toBe(200)
  expect([starts, (await shop.ledger.transfers()).length]).toEqual([1, 1])
})

test('rule 5: a renewal that falls due while the end is being written does not take the lease back', async () => {
  const inner = memoryStore({ now })
  let delay = 0
  const store: Store = {
    ...inner,
    async swap(key, expect, next) {
      if (delay > 0) await new Promise((resolve) => setTimeout(resolve, delay))
      return inner.swap(key, expect, next)
    },
  }
  const { gate, ask } = await onSale({ now, store })
  const running = drive(gate, ask, async () => {
    await new Promise((resolve) => setTimeout(resolve, 9_000))
    delay = 5_000
    return { status: 500 }
  })
  await pass(20_000)
  expect((await running).status).toBe(500)
  delay = 0
  await pass(6_000)
  expect((await drive(gate, ask)).status).toBe(200)
})

test('rules 7 14, A15: "delivered" is written again while the lease lasts, and the answer is not held up or changed', async () => {
  const store = faulty(memoryStore({ now }))
  const { gate, ask } = await onSale({ now, store })
  const running = drive(gate, ask, () => {
    store.fail(1, 'before', 'lasting')
    return {}
  })
  await pass(20_000)
  store.repair()
  await pass(6_000)
  expect((await running).status).toBe(200)
  expect((await drive(gate, ask)).status).toBe(402)
})

test('rule 14: "delivered" is written again after a tenth of a second', async () => {
  const store = faulty(memoryStore({ now }))
  const { gate, ask } = await onSale({ now, store })
  const running = drive(gate, ask, () => {
    store.fail(1, 'before', 'twice')
    return {}
  })
  let ended = false
  void running.then(() => (ended = true))
  await pass(99)
  expect(ended).toBe(false)
  await pass(1)
  expect(ended).toBe(true)
  expect((await running).status).toBe(200)
})

test('A15: "delivered" that could not be written in time costs one more delivery at most, and it is counted', async () => {
  const store = faulty(memoryStore({ now }))
  const { gate, ask } = await onSale({ now, store })
  const running = drive(gate, ask, () => {
    store.fail(1, 'before', 'lasting')
    return {}
  })
  await pass(40_000)
  expect((await running).status).toBe(200)
  store.repair()
  let attempt = 0
  expect((await drive(gate, ask, (grant) => ((attempt = grant!.payment.attempt), {}))).status).toBe(200)
  expect(attempt).toBe(2)
  expect((await drive(gate, ask)).status).toBe(402)
})

function never(): never {
  throw new Error('the handler runs for a payment only')
}

test('rule 17: a process that starts over looks after what a dead one left, though nobody pays', async () => {
  const store = memoryStore({ now })
  const dead = seller({ now, store, toy: { canRefund: true } })
  await dead.fund()
  const price = { ...PRICE, redeem: { attempts: 1, within: '60s' } }
  const gate = dead.charge(price)
  dead.faults.next('settle', 'unknown-after')
  expect((await drive(gate, await buy(dead, gate))).status).toBe(503)
  dead.close()
  await pass(120_000)
  expect(await dead.ledger.balance('alice')).toBe(99_900n)
  const next = seller({ now, store, ledger: dead.ledger, toy: { canRefund: true } })
  // One unpaid request, and time: the payment is found, nobody comes for it, the money goes back.
  expect((await drive(next.charge(price))).status).toBe(402)
  await pass(120_000)
  expect(await next.ledger.balance('alice')).toBe(100_000n)
  expect(next.errors).toEqual([])
  next.close()
})

test('rule 17: a clock that was set back an hour does not put off the look after an answer', async () => {
  const store = counting(memoryStore({ now: () => performance.now() }))
  const { shop, gate, ask } = await onSale({ now, store })
  expect((await drive(gate, ask)).status).toBe(200)
  vi.setSystemTime(Date.now() - 3_600_000)
  const again = await buy(shop, gate)
  store.reset()
  expect((await drive(gate, again)).status).toBe(200)
  expect(store.calls.due).toBeGreaterThan(0)
})

/** A payment that was delivered so long ago that only its receipt is left, on two servers; the store of the first can fail. */
async function longAgo() {
  const inner = memoryStore({ now })
  const counted = counting(inner)
  const store = Object.assign(faulty(counted), { swaps: () => counted.calls.swap })
  const { shop, gate, ask } = await onSale({ now, store, toy: { canRefund: true } })
  let receipt: Receipt | undefined
  await drive(gate, ask, (grant) => ((receipt = grant!.payment.receipt), {}))
  await pass(3_600_000)
  const other = seller({ now, store: inner, ledger: shop.ledger, toy: { canRefund: true } })
  const transfers = async () => (await shop.ledger.transfers()).length
  return { shop, store, other, receipt: receipt!, transfers }
}

test('rule 11: a refund longer than the lease keeps it, and no other server begins one', async () => {
  const { shop, other, receipt, transfers } = await longAgo()
  shop.faults.next('refund', 'stall')
  const returning = shop.refund(receipt)
  await pass(95_000)
  await expect(other.refund(receipt)).rejects.toThrow('being returned right now')
  shop.faults.release()
  expect(await returning).toEqual(await other.refund(receipt))
  expect([other.toy.calls.refund, await transfers()]).toEqual([0, 2])
})

test('rule 11: a refund is renewed every ten seconds, not more often', async () => {
  const { shop, store, receipt } = await longAgo()
  shop.faults.next('refund', 'stall')
  const returning = shop.refund(receipt)
  await pass(1)
  const before = store.swaps()
  await pass(60_000)
  expect(store.swaps() - before).toBe(6)
  shop.faults.release()
  await returning
})

test('rule 11: a refund whose process died is free for the next after half a minute', async () => {
  const { shop, store, other, receipt, transfers } = await longAgo()
  shop.faults.next('refund', 'stall')
  const dead = shop.refund(receipt)
  await pass(1)
  store.fail(1, 'before', 'lasting')
  await pass(29_000)
  await expect(other.refund(receipt)).rejects.toThrow('being returned right now')
  await pass(2_000)
  await other.refund(receipt)
  // Not dead, only cut off: its rail answers at last.
  shop.faults.release()
  await expect(dead).rejects.toThrow('the store cannot be reached')
  expect(await transfers()).toBe(2)
})

test('rule 11: a rail that stalls in a refund holds it for two minutes and a lease, not for ever', async () => {
  const { shop, other, receipt, transfers } = await longAgo()
  shop.faults.next('refund', 'stall')
  const stalled = shop.refund(receipt)
  await pass(115_000)
  await expect(other.refund(receipt)).rejects.toThrow('being returned right now')
  await pass(40_000)
  const back = await other.refund(receipt)
  shop.faults.release()
  await expect(stalled).rejects.toThrow('lost')
  expect([await shop.refund(receipt), await transfers()]).toEqual([back, 2])
})

test('rule 11: a renewal that falls due while a refund is recorded does not make it busy again', async () => {
  const inner = memoryStore({ now })
  let delay = 0
  const slow: Store = {
    ...inner,
    async swap(key, expect, next) {
      if (delay > 0) await new Promise((resolve) => setTimeout(resolve, delay))
      return inner.swap(key, expect, next)
    },
  }
  const { shop, receipt, transfers } = await longAgo()
  const other = seller({ now, store: slow, ledger: shop.ledger, toy: { canRefund: true } })
  other.faults.next('refund', 'stall')
  const returning = other.refund(receipt)
  await pass(9_000)
  // The renewal at ten seconds is still on its way when the rail answers.
  delay = 3_000
  await pass(2_000)
  other.faults.release()
  await pass(10_000)
  const back = await returning
  await pass(60_000)
  delay = 0
  expect(await other.refund(receipt)).toEqual(back)
  expect([other.toy.calls.refund, await transfers()]).toEqual([1, 2])
})
