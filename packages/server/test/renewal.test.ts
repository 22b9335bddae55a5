import { memoryStore } from '@mppkit/server'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { buy, drive, PRICE, seller, type Reply, type SellerOptions } from './lib/harness.ts'
import { faulty } from './lib/stores.ts'

beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'Date'] }))
afterEach(async () => {
  // One timer renews all leases of a process; it ends by itself when none is left.
  await pass(5_000)
  vi.useRealTimers()
})

const now = (): number => Date.now()
const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms)

function wait(answer: Reply): [number, string | undefined] {
  return [answer.status, answer.header('retry-after')]
}

test('rule 5: a handler or a settlement longer than the lease keeps it', async () => {
  const shop = seller({ now, store: memoryStore({ now }) })
  await shop.fund()
  const gate = shop.charge(PRICE)
  const ask = await buy(shop, gate)
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

test('rule 5: `payment.signal` fires once somebody else owns the payment', async () => {
  const store = memoryStore({ now: () => now() + skew })
  let skew = 0
  const shop = seller({ now, store })
  await shop.fund()
  const gate = shop.charge(PRICE)
  const ask = await buy(shop, gate)
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

test('rule 5: no lease is renewed after its payment has ended', async () => {
  const shop = seller({ now, store: memoryStore({ now }) })
  await shop.fund()
  const gate = shop.charge(PRICE)
  const ask = await buy(shop, gate)
  shop.faults.next('settle', 'unknown-before')
  expect(wait(await drive(gate, ask))).toEqual([503, '1'])
  await pass(40_000)
  expect((await drive(gate, ask, () => ({ status: 500 }))).status).toBe(500)
  await pass(40_000)
  expect((await drive(gate, ask)).status).toBe(200)
  expect((await shop.ledger.transfers()).length).toBe(1)
})

function never(): never {
  throw new Error('the handler runs for a payment only')
}
