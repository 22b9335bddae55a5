import type { Receipt, Store } from '@mppkit/core'
import type { PaymentEvent } from '@mppkit/server'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { paymentsQueue } from '../src/lib/queues.ts'
import { recordKey } from '../src/lib/record.ts'
import {
  all,
  buy,
  drive,
  PRICE,
  seller,
  type Handled,
  type Seller,
  type SellerOptions,
} from './lib/harness.ts'

const FAIL = (): Handled => ({ status: 500, body: 'sorry', reached: 'all' })
const REALM = 'api.example.com'

interface Sold {
  shop: Seller
  id: string
  receipt: Receipt
  pay(): Promise<number>
}

/** Alice has paid once, and asks again with the same credential when `pay` is called. */
async function sold(
  options: SellerOptions,
  handler?: () => Handled,
  attempts = 1,
  key = false,
): Promise<Sold> {
  const shop = seller(options)
  await shop.fund()
  const gate = shop.charge({ ...PRICE, redeem: { attempts } })
  const ask = await buy(shop, gate, key ? { headers: { 'idempotency-key': 'k' } } : {})
  let receipt: Receipt | undefined
  await drive(gate, ask, (grant) => {
    receipt = grant!.payment.receipt
    return handler?.() ?? {}
  })
  return {
    shop,
    receipt: receipt!,
    id: receipt!['quote'] as string,
    pay: async () => (await drive(gate, ask)).status,
  }
}

/** The same data, ledger and clock, in another process. */
function beside({ shop }: Sold, options: SellerOptions = {}): Seller {
  const { store, ledger, clock } = shop
  return seller({ store, ledger, now: clock.now, toy: { canRefund: true }, ...options })
}

/** A store whose call on keys of a kind fails while `broken` says so. */
function fragile(store: Store, broken: (verb: 'get' | 'swap', key: string) => boolean): Store {
  const fail = async (): Promise<never> => {
    throw new Error('store blip')
  }
  return {
    get: (key) => (broken('get', key) ? fail() : store.get(key)),
    swap: (key, expected, next) => (broken('swap', key) ? fail() : store.swap(key, expected, next)),
    due: (queue, limit, after) => store.due(queue, limit, after),
  }
}

async function alice({ shop }: Sold): Promise<bigint> {
  return shop.ledger.balance('alice')
}

async function minutes(count: number, { shop }: Sold, ...servers: Seller[]): Promise<void> {
  for (let minute = 0; minute < count; minute++) {
    shop.clock.advance(60_000)
    for (const server of servers) await server.recover()
  }
}

test.each(['get', 'swap'] as const)(
  'a refund that fails at the store (%s) lets the payment go, and another server finishes it',
  async (verb) => {
    const base = await sold({ toy: { canRefund: true } }, () => ({ reached: 'some' }))
    let isBroken = true
    const broken = beside(base, {
      store: fragile(base.shop.store, (at, key) => isBroken && at === verb && key.startsWith('refund:')),
    })
    await expect(broken.refund(base.id)).rejects.toThrow('store blip')
    isBroken = false
    expect(await base.shop.trace(base.id)).toMatchObject({ state: 'refunding', busy: false })
    await minutes(10, base, beside(base))
    expect([await alice(base), (await base.shop.trace(base.id))?.state]).toEqual([100_000n, 'refunded'])
  },
)

test('what the operator was told has failed before anything was written is never carried out', async () => {
  const base = await sold({ toy: { canRefund: true } }, () => ({ reached: 'some' }))
  const broken = beside(base, {
    store: fragile(base.shop.store, (verb, key) => verb === 'swap' && key.startsWith('pay:')),
  })
  await expect(broken.refund(base.id)).rejects.toThrow('store blip')
  expect(await base.shop.dismiss(base.id)).toBe(true)
  await minutes(120, base, beside(base))
  expect([await alice(base), base.shop.toy.calls.refund]).toEqual([99_900n, 0])
})

test('a payment whose money is on its way back cannot be dismissed', async () => {
  const base = await sold({ toy: { canRefund: true } }, () => ({ reached: 'some' }))
  const broken = beside(base, { store: fragile(base.shop.store, (_, key) => key.startsWith('refund:')) })
  await expect(broken.refund(base.id)).rejects.toThrow('store blip')
  expect(await base.shop.dismiss(base.id)).toBe(false)
})

test('a receipt of somebody else is refused before anything is written', async () => {
  const base = await sold({ toy: { canRefund: true } })
  const wrong = [
    { ...base.receipt, reference: 'bob:other' },
    { ...base.receipt, challengeId: 'other' },
    { ...base.receipt, quote: undefined },
    { ...base.receipt, challengeId: undefined },
  ] as unknown as Receipt[]
  for (const receipt of wrong) await expect(base.shop.refund(receipt)).rejects.toThrow(TypeError)
  await minutes(2880, base, base.shop)
  expect(base.shop.toy.calls.refund).toBe(0)
})

test('a refused refund costs the buyer nothing that he had: attempts, or the kept answer', async () => {
  const waiting = await sold({ toy: { canRefund: true } }, FAIL, 3)
  const kept = await sold({ toy: { canRefund: true } }, undefined, 1, true)
  for (const base of [waiting, kept]) {
    await base.shop.ledger.transfer({ id: 'shop:rent', from: 'shop', to: 'landlord', amount: 100n })
    await expect(base.shop.refund(base.id)).rejects.toMatchObject({ name: 'PaymentError' })
    expect(await base.pay()).toBe(200)
  }
})

test('a server that returns no money leaves alone what another one has begun to return', async () => {
  const base = await sold({ toy: { canRefund: true } }, FAIL)
  // Ended in the middle: noted and sent, not yet recorded.
  const other = await sold({ toy: { canRefund: true } }, () => ({ reached: 'some' }))
  other.shop.faults.next('refund', 'unknown-after')
  await expect(other.shop.refund(other.id)).rejects.toThrow('unknown-after')
  const plain = beside(other, { toy: { canRefund: false } })
  await minutes(10, other, plain)
  expect(await all(plain.unclaimed())).toEqual([])
  await minutes(10, other, beside(other))
  expect((await other.shop.trace(other.id))?.state).toBe('refunded')
  expect((await base.shop.trace(base.id))?.state).toBe('refunded')
})

test('refunds that nobody can make do not stop the recovery of what stands behind them', async () => {
  const base = await sold({ toy: { canRefund: true } })
  for (let each = 0; each < 8; each++) {
    const value = JSON.stringify({ quote: `q${each}`, receipt: { method: 'gone', reference: `r${each}` } })
    const due = { queue: paymentsQueue(REALM), in: 0 }
    await base.shop.store.swap(`refund:${REALM}:gone:r${each}:`, 'absent', { value, ttl: 'forever', due })
    await base.shop.store.swap(`pay:${REALM}:junk${each}`, 'absent', {
      value: 'no record',
      ttl: 'forever',
      due,
    })
  }
  base.shop.faults.next('settle', 'unknown-after')
  const gate = base.shop.charge(PRICE)
  const ask = await buy(base.shop, gate)
  expect((await drive(gate, ask)).status).toBe(503)
  const pending = async (): Promise<number> => {
    const due = await base.shop.store.due(paymentsQueue(REALM), 100)
    return due.filter(({ value }) => value.includes('"state":"pending"')).length
  }
  base.shop.clock.advance(61_000)
  expect(await pending()).toBe(1)
  // As many at a time as after a paid answer.
  for (let sweep = 0; sweep < 6; sweep++) await base.shop.recover()
  expect(await pending()).toBe(0)
})

test('an event is not swallowed by a server that listens to nothing', async () => {
  const events: PaymentEvent[] = []
  const base = await sold({ toy: { canRefund: false } }, FAIL)
  await minutes(10, base, base.shop)
  expect(await all(base.shop.unclaimed())).toHaveLength(1)
  const worker = beside(base, { toy: { canRefund: false }, onEvent: (event) => void events.push(event) })
  await worker.recover()
  expect(events.map(({ id }) => id)).toEqual([base.id])
})

test('what is announced while the list is read is on it once', async () => {
  const base = await sold({ toy: { canRefund: false } }, FAIL)
  const worker = beside(base, { toy: { canRefund: false }, onEvent: () => {} })
  const ids: string[] = []
  for await (const { id } of base.shop.unclaimed()) {
    ids.push(id)
    await worker.recover()
  }
  expect(ids).toEqual([base.id])
})

test('records of an earlier version, without their steps, are read', async () => {
  const base = await sold({ toy: { canRefund: true } }, FAIL, 3)
  const key = recordKey(REALM, base.id)
  const entry = (await base.shop.store.get(key))!
  const { steps: _, ...old } = JSON.parse(entry.value) as Record<string, unknown>
  await base.shop.store.swap(key, entry.version, { value: JSON.stringify(old), ttl: 'forever' })
  expect((await base.shop.trace(base.id))?.steps).toEqual([])
  expect(await base.pay()).toBe(200)
  await base.shop.refund(base.id)
  expect(await alice(base)).toBe(100_000n)
})

test('drain refuses a time that no timer keeps', async () => {
  for (const timeout of [Infinity, -1, Number.NaN, 1e12])
    await expect(seller().drain({ timeout })).rejects.toThrow(TypeError)
})

test('where all servers get a new secret, because the old one is known, check() can be told', async () => {
  const base = await sold({})
  await base.shop.check()
  const next = beside(base, { secret: 'the-next-secret-of-thirty-two-bytes!!!' })
  await expect(next.check()).rejects.toThrow("secrets: 'replaced'")
  await next.check({ secrets: 'replaced' })
  await next.check()
})

test('what cannot be read, and an event that cannot be told, hide nothing that stands behind them', async () => {
  const heard: string[] = []
  let first = ''
  const onEvent = ({ id }: PaymentEvent): void => {
    first ||= id
    if (id === first) throw new Error('not this one')
    heard.push(id)
  }
  const base = await sold({ toy: { canRefund: false } }, FAIL)
  const { store } = base.shop
  for (const [at, value] of ['{"v":2}', 'cut off', 'null', '{}'].entries())
    for (const queue of ['untold', 'payments', 'refunded'])
      await store.swap(`pay:${REALM}:junk-${queue}-${at}`, 'absent', {
        value,
        ttl: 'forever',
        due: { queue: `mppkit:${queue}:${REALM}`, in: -3600 },
      })
  const gate = base.shop.charge({ ...PRICE, redeem: { attempts: 1 } })
  await drive(gate, await buy(base.shop, gate), FAIL)
  const worker = beside(base, { toy: { canRefund: false }, onEvent })
  for (let sweep = 0; sweep < 5; sweep++) await worker.recover()
  expect(new Set(heard).size).toBe(1)
  expect(await all(worker.unclaimed())).toHaveLength(2)
})

test('a server beyond loopback does not start with the secret of an example', () => {
  const secret = 'for-this-example-only-32-bytes-min'
  const store = { ...seller().store, volatile: undefined } as unknown as Store
  expect(() => seller({ secret, store, origin: 'https://api.example.com' })).toThrow('everybody knows')
  expect(() => seller({ secret, origin: 'http://localhost:3000' })).not.toThrow()
})

// With the clocks of the process, which renew leases and wait for listeners.
beforeEach(() =>
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'setTimeout', 'clearTimeout', 'performance'] }),
)
afterEach(() => vi.useRealTimers())

test('a rail that stalls in a refund holds the payment for two minutes, not for ever', async () => {
  const base = await sold({ toy: { canRefund: true } }, () => ({ reached: 'some' }))
  base.shop.toy.refund = () => new Promise(() => {})
  void base.shop.refund(base.id)
  const healthy = beside(base)
  for (let tick = 0; tick < 240; tick++) {
    base.shop.clock.advance(2_500)
    await vi.advanceTimersByTimeAsync(2_500)
    if (tick % 12 === 0) await healthy.recover()
  }
  expect([await alice(base), (await base.shop.trace(base.id))?.state]).toEqual([100_000n, 'refunded'])
})

test('a listener that hangs holds up no payment', async () => {
  let calls = 0
  let hangs = false
  const onEvent = (): Promise<void> => {
    if (!hangs) throw new Error('not now')
    calls++
    return new Promise(() => {})
  }
  const base = await sold({ toy: { canRefund: false }, onEvent }, FAIL)
  hangs = true
  const gate = base.shop.charge(PRICE)
  base.shop.faults.next('settle', 'unknown-after')
  const ask = await buy(base.shop, gate)
  expect((await drive(gate, ask)).status).toBe(503)
  for (let tick = 0; tick < 60; tick++) {
    base.shop.clock.advance(10_000)
    await vi.advanceTimersByTimeAsync(10_000)
  }
  expect(calls).toBe(1)
  expect(await drive(gate, ask)).toMatchObject({ status: 200 })
  const due = await base.shop.store.due(paymentsQueue(REALM), 100)
  expect(due.filter(({ value }) => value.includes('"state":"pending"'))).toEqual([])
})

test('rule 11: what a rail notes of a refund is there for whoever goes on with it', async () => {
  const { shop, receipt } = await sold({ toy: { canRefund: true } })
  const noted: (string | undefined)[] = []
  shop.toy.refund = async (paid, _by, context) => {
    noted.push(context.noted)
    if (noted.length > 1) return { ...paid, reference: 'back' }
    await context.note('order-7')
    throw new Error('the rail hangs up')
  }
  await expect(shop.refund(receipt)).rejects.toThrow('hangs up')
  expect((await shop.refund(receipt)).reference).toBe('back')
  expect(noted).toEqual([undefined, 'order-7'])
})

test('rule 11: a refund in doubt whose payment is forgotten is looked at half a minute later', async () => {
  const sale = await sold({ toy: { canRefund: true } })
  const { shop, receipt } = sale
  shop.clock.advance(48 * 3_600_000)
  shop.faults.next('refund', 'unknown-before')
  await expect(shop.refund(receipt)).rejects.toThrow('unknown-before')
  shop.clock.advance(29_999)
  await shop.recover()
  expect(await alice(sale)).toBe(99_900n)
  shop.clock.advance(1)
  await shop.recover()
  expect(await alice(sale)).toBe(100_000n)
})

test('rule 11: two servers that look at one refund at once return it once, and neither calls that a fault', async () => {
  const sale = await sold({ toy: { canRefund: true } })
  const { shop, receipt } = sale
  shop.clock.advance(48 * 3_600_000)
  shop.faults.next('refund', 'unknown-before')
  await expect(shop.refund(receipt)).rejects.toThrow('unknown-before')
  const other = beside(sale)
  shop.clock.advance(60_000)
  await Promise.all([shop.recover(), other.recover()])
  expect([await alice(sale), (await shop.ledger.transfers()).length]).toEqual([100_000n, 2])
  expect([shop.errors, other.errors]).toEqual([[], []])
})

test('rule 11: the receipt of a refund names quote and challenge, whatever the rail leaves out', async () => {
  const { shop, receipt, id } = await sold({ toy: { canRefund: true } })
  const back: Receipt = { status: 'success', method: 'toy', timestamp: receipt.timestamp, reference: 'back' }
  shop.toy.refund = async () => back
  expect(await shop.refund(id)).toEqual({ ...back, quote: id, challengeId: receipt.challengeId })
})

test.each([
  ['on record', 0],
  ['forgotten', 48 * 3_600_000],
])(
  'rule 11: a rail that fails; the payment is %s: who is told so may try again at once',
  async (_how, age) => {
    const { shop, receipt } = await sold({ toy: { canRefund: true } })
    const slow: Store = {
      ...shop.store,
      async swap(key, expected, next) {
        if (next !== 'delete' && next.lease === undefined) await new Promise((done) => setImmediate(done))
        return shop.store.swap(key, expected, next)
      },
    }
    const { ledger, clock, faults } = shop
    const other = seller({ store: slow, ledger, now: clock.now, toy: { canRefund: true, faults } })
    clock.advance(age)
    faults.next('refund', 'unknown-before')
    await expect(other.refund(receipt)).rejects.toThrow('unknown-before')
    expect((await other.refund(receipt)).method).toBe('toy')
  },
)

test('rule 11: money that a rail does not return by itself is told of, with its payment', async () => {
  const told: unknown[] = []
  const onError = (error: unknown, payment?: unknown): void => void told.push(String(error), payment)
  const shop = seller({ toy: { canRefund: true }, onError })
  await shop.fund()
  shop.faults.next('refund', 'unknown-before')
  const gate = shop.charge({ ...PRICE, redeem: { attempts: 1 } })
  let receipt: Receipt | undefined
  await drive(gate, await buy(shop, gate), (grant) => ((receipt = grant!.payment.receipt), FAIL()))
  const { challengeId, quote: id } = receipt!
  expect(told).toEqual(['Error: toy rail: unknown-before', { id, challengeId }])
})

test('rule 11: a recovery that was overtaken while the rail returned the money calls nothing a fault', async () => {
  const sale = await sold({ toy: { canRefund: true } })
  const { shop, receipt, id } = sale
  const other = beside(sale)
  shop.faults.next('refund', 'unknown-before')
  await expect(shop.refund(receipt)).rejects.toThrow('unknown-before')
  shop.clock.advance(60_000)
  shop.faults.next('refund', 'stall')
  const running = shop.recover()
  await shop.faults.stalled()
  shop.clock.advance(61_000)
  await other.recover()
  shop.faults.release()
  await running
  expect([shop.errors, other.errors, await alice(sale)]).toEqual([[], [], 100_000n])
  await minutes(2, sale, other)
  expect(await shop.trace(id)).toMatchObject({ state: 'refunded' })
  expect((await shop.ledger.transfers()).length).toBe(2)
})
