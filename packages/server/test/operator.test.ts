import { PaymentError, type Receipt, type Store } from '@mppkit/core'
import { createGates, memoryStore, type PaymentEvent } from '@mppkit/server'
import { describe, expect, test } from 'vitest'
import { recordKey } from '../src/lib/record.ts'
import { all, buy, drive, PRICE, SECRET, seller, type Handled, type SellerOptions } from './lib/harness.ts'
import { faulty } from './lib/stores.ts'

const FAIL = (): Handled => ({ status: 500, body: 'sorry', reached: 'all' })

/** A seller whom alice has paid, and what she holds. */
async function sold(options: SellerOptions = {}, handler?: () => Handled) {
  const shop = seller({ toy: { canRefund: true }, ...options })
  await shop.fund()
  const gate = shop.charge({ ...PRICE, redeem: { attempts: 1 } })
  const ask = await buy(shop, gate)
  let id = ''
  const answer = await drive(gate, ask, (grant) => {
    id = grant!.payment.id
    return handler?.() ?? {}
  })
  return { shop, gate, ask, answer, id, receipt: answer.receipt as Receipt }
}

describe('refund', () => {
  test('rule 11: a delivered payment goes back once, in full, however often it is asked', async () => {
    const { shop, gate, ask, receipt, id } = await sold()
    expect(await shop.ledger.balance('alice')).toBe(99_900n)
    const first = await shop.refund(receipt)
    expect(first).toMatchObject({ method: 'toy', quote: id, challengeId: receipt.challengeId })
    expect(await shop.refund(receipt)).toEqual(first)
    expect(await shop.refund(id)).toEqual(first)
    expect(await shop.ledger.balance('alice')).toBe(100_000n)
    expect(shop.toy.calls.refund).toBe(1)
    const again = await drive(gate, ask)
    expect([again.status, again.problem.detail]).toEqual([402, 'The money for this challenge was returned.'])
    expect(await shop.trace(id)).toMatchObject({ state: 'refunded', receipt, refund: first })
  })

  test('rule 11: fifty calls at once, on two servers, move the money once', async () => {
    const { shop, receipt } = await sold()
    const other = seller({
      toy: { canRefund: true },
      store: shop.store,
      ledger: shop.ledger,
      now: shop.clock.now,
    })
    const calls = Array.from({ length: 50 }, (_, at) => (at % 2 ? shop : other).refund(receipt))
    const ends = await Promise.allSettled(calls)
    expect(ends.some(({ status }) => status === 'fulfilled')).toBe(true)
    for (const end of ends) if (end.status === 'rejected') expect(end.reason).toMatchObject({ name: 'Busy' })
    expect(await shop.ledger.balance('alice')).toBe(100_000n)
  })

  test('rule 11: what is paid and not delivered can be returned, and is then no longer to be had', async () => {
    const shop = seller({ toy: { canRefund: true } })
    await shop.fund()
    const gate = shop.charge(PRICE)
    const ask = await buy(shop, gate)
    let id = ''
    await drive(gate, ask, (grant) => {
      id = grant!.payment.id
      return { status: 500, reached: 'all' }
    })
    await shop.refund(id)
    let starts = 0
    const after = await drive(gate, ask, () => ({ status: (starts += 1) && 200 }))
    expect([after.status, starts]).toEqual([402, 0])
    expect(await shop.ledger.balance('alice')).toBe(100_000n)
  })

  test('rule 11: while a handler runs the money stays; nothing is left behind that would return it later', async () => {
    const shop = seller({ toy: { canRefund: true } })
    await shop.fund()
    const gate = shop.charge(PRICE)
    const ask = await buy(shop, gate)
    const answer = await drive(gate, ask, async (grant) => {
      await expect(shop.refund(grant!.payment.id)).rejects.toThrow('in use right now')
      return {}
    })
    expect(answer.status).toBe(200)
    shop.clock.advance(3_600_000)
    await shop.recover()
    expect(shop.toy.calls.refund).toBe(0)
  })

  test('rule 11: a receipt that names another reference than its payment is refused, and so is an unsettled one', async () => {
    const { shop, id, receipt } = await sold()
    await expect(shop.refund({ ...receipt, reference: 'alice:other' })).rejects.toThrow(TypeError)
    await expect(shop.refund('nothing')).rejects.toThrow('not, or no longer, on record')
    expect(await shop.ledger.balance('alice')).toBe(99_900n)
    expect(await shop.trace(id)).toMatchObject({ state: 'delivered' })
  })

  test('rule 11: one transfer goes back once, whatever quote a receipt names', async () => {
    const { shop, receipt } = await sold()
    shop.clock.advance(48 * 3_600_000)
    await shop.refund(receipt)
    const { quote: _, ...rest } = receipt
    await shop.refund({ ...rest, quote: 'another' } as Receipt)
    expect(await shop.ledger.balance('alice')).toBe(100_000n)
  })

  test('rule 11: one transfer that pays two challenges is returned for each of them', async () => {
    const shop = seller({ toy: { canRefund: true, moves: 'before' } })
    await shop.fund()
    const returned: string[] = []
    shop.toy.refund = async (receipt, by) => {
      returned.push(by.id)
      return { ...receipt, reference: `back-${by.id}` }
    }
    const gate = shop.charge(PRICE)
    const receipts = []
    for (let each = 0; each < 2; each++) receipts.push((await drive(gate, await buy(shop, gate))).receipt!)
    const same = receipts.map((receipt) => ({ ...receipt, reference: 'one-transaction' }))
    // Their records are gone.
    shop.clock.advance(72 * 3_600_000)
    for (const receipt of same) await shop.refund(receipt)
    expect(new Set(returned)).toEqual(new Set(receipts.map(({ quote }) => quote as string)))
  })

  test('rule 11: days later, when the record is gone, the receipt is enough', async () => {
    const { shop, receipt, id } = await sold()
    shop.clock.advance(48 * 3_600_000)
    expect(await shop.trace(id)).toBeUndefined()
    await shop.refund(receipt)
    expect(await shop.ledger.balance('alice')).toBe(100_000n)
  })

  test('a rail that refuses returns nothing; the payment is what it was, and nobody tries again by himself', async () => {
    const { shop, receipt, id, gate, ask } = await sold()
    await shop.ledger.transfer({ id: 'shop:rent', from: 'shop', to: 'landlord', amount: 100n })
    await expect(shop.refund(receipt)).rejects.toThrow(PaymentError)
    expect(await shop.trace(id)).toMatchObject({ state: 'delivered', busy: false })
    expect((await drive(gate, ask)).status).toBe(402)
    shop.clock.advance(3_600_000)
    await shop.recover()
    expect(shop.toy.calls.refund).toBe(1)
  })

  test('a rail whose outcome is unknown rejects; recovery goes on, and the money moves once', async () => {
    const { shop, receipt, id } = await sold()
    shop.faults.next('refund', 'unknown-after')
    await expect(shop.refund(receipt)).rejects.toThrow('unknown-after')
    expect(await shop.trace(id)).toMatchObject({ state: 'refunding' })
    expect((await shop.trace(id))?.steps.at(-1)?.step).toBe('refunding')
    shop.clock.advance(60_000)
    await shop.recover()
    expect(await shop.trace(id)).toMatchObject({ state: 'refunded', busy: false })
    expect(await shop.ledger.balance('alice')).toBe(100_000n)
    expect((await shop.ledger.transfers()).length).toBe(2)
  })

  test('a method that returns no money says so', async () => {
    const { shop, receipt } = await sold({ toy: { canRefund: false } })
    await expect(shop.refund(receipt)).rejects.toThrow('no method of this server returns money')
  })

  test('a payment of nothing has nothing to return', async () => {
    const shop = seller({ toy: { canRefund: true } })
    const gate = shop.charge({ amount: '0' })
    let id = ''
    await drive(gate, await buy(shop, gate), (grant) => {
      id = grant!.payment.id
      return {}
    })
    await expect(shop.refund(id)).rejects.toThrow(TypeError)
  })
})

describe('refund, and the process dies at the nth call of the store', () => {
  const DEATHS = ['before', 'after'].flatMap((when) =>
    Array.from({ length: 9 }, (_, nth) => [when, nth] as ['before' | 'after', number]),
  )
  test.each(DEATHS)('%s call %i: what was begun is finished by another, once', async (when, nth) => {
    const { shop, receipt, id } = await sold()
    const shared = { ledger: shop.ledger, now: shop.clock.now, toy: { canRefund: true } }
    const dead = seller({ ...shared, store: dying(shop.store, when, nth) })
    const told = await dead.refund(receipt).then(
      () => true,
      () => false,
    )
    for (let minute = 0; minute < 10; minute++) {
      shop.clock.advance(60_000)
      await shop.recover()
    }
    const back = (await shop.ledger.balance('alice')) === 100_000n
    if (told) expect(back).toBe(true)
    expect((await shop.trace(id))?.state).toBe(back ? 'refunded' : 'delivered')
    await shop.refund(receipt)
    expect(await shop.ledger.balance('alice')).toBe(100_000n)
    expect((await shop.ledger.transfers()).length).toBe(2)
  })
})

test.each([1, 2, 3, 4, 5, 6, 7])(
  'refund, and the reply to call %i of the store is lost: it is made, and told of',
  async (nth) => {
    const { shop, receipt, id } = await sold()
    const store = faulty(shop.store)
    const other = seller({ store, ledger: shop.ledger, now: shop.clock.now, toy: { canRefund: true } })
    store.fail(nth, 'after', 'once')
    await other.refund(receipt).catch(() => other.refund(receipt))
    expect(await shop.trace(id)).toMatchObject({ state: 'refunded', busy: false })
    expect(await shop.ledger.balance('alice')).toBe(100_000n)
    expect((await shop.ledger.transfers()).length).toBe(2)
  },
)

/** A store as a process sees it that dies at its nth call: before the call is made, or before its reply is seen. */
function dying(store: Store, when: 'before' | 'after', nth: number): Store {
  let calls = 0
  const die = async <T>(work: () => Promise<T>): Promise<T> => {
    const at = calls++
    if (at > nth || (at === nth && when === 'before')) throw new Error('dead')
    const result = await work()
    if (at === nth) throw new Error('dead')
    return result
  }
  return {
    get: (key) => die(() => store.get(key)),
    swap: (key, expect_, next) => die(() => store.swap(key, expect_, next)),
    due: (queue, limit, after) => die(() => store.due(queue, limit, after)),
  }
}

describe('unclaimed', () => {
  test('rule 8: what no rail returns is listed until it is dismissed, and announced at least once', async () => {
    const events: PaymentEvent[] = []
    let fails = true
    const onEvent = (event: PaymentEvent): void => {
      if (fails) throw new Error('the pager is down')
      events.push(event)
    }
    const { shop, id } = await sold({ toy: { canRefund: false }, onEvent }, FAIL)
    expect((await all(shop.unclaimed())).map((each) => each.id)).toEqual([id])
    expect(shop.errors.map(String)).toContain('Error: the pager is down')
    fails = false
    await shop.recover()
    await shop.recover()
    expect(events).toMatchObject([{ type: 'unclaimed', id, receipt: { method: 'toy' } }])
    expect((await all(shop.unclaimed())).map((each) => each.state)).toEqual(['unclaimed'])
    expect(await shop.dismiss(id)).toBe(true)
    expect(await shop.dismiss(id)).toBe(false)
    expect(await all(shop.unclaimed())).toEqual([])
    expect((await shop.trace(id))?.steps.at(-1)?.step).toBe('dismissed')
  })

  test('rule 8: a refund that was made by itself is announced too', async () => {
    const events: PaymentEvent[] = []
    const { shop, id } = await sold({ onEvent: (event) => void events.push(event) }, FAIL)
    await shop.recover()
    await shop.recover()
    expect(events.map(({ type, id: of }) => [type, of])).toEqual([['refunded', id]])
    expect(await all(shop.unclaimed())).toEqual([])
  })

  test('rule 11: what is listed can be returned by hand', async () => {
    const { shop, id } = await sold({ toy: { canRefund: true } }, () => ({ reached: 'some' }))
    expect((await all(shop.unclaimed())).length).toBe(1)
    await shop.refund(id)
    expect(await all(shop.unclaimed())).toEqual([])
    expect(await shop.ledger.balance('alice')).toBe(100_000n)
  })

  test('more of it than a page holds is listed whole', async () => {
    const shop = seller()
    await shop.ledger.fund('alice', 1_000_000n)
    const gate = shop.charge({ ...PRICE, redeem: { attempts: 1 } })
    for (let each = 0; each < 205; each++) await drive(gate, await buy(shop, gate), FAIL)
    const ids = (await all(shop.unclaimed())).map(({ id }) => id)
    expect([ids.length, new Set(ids).size]).toEqual([205, 205])
  })
})

describe('dismiss', () => {
  const unclaimed = () => sold({ toy: { canRefund: false } }, FAIL)

  test('resolves with false for what nobody knows', async () => {
    expect(await seller().dismiss('nothing')).toBe(false)
  })

  test('of two at once, one takes it off the list', async () => {
    const { shop, id } = await unclaimed()
    const did = await Promise.all([shop.dismiss(id), shop.dismiss(id)])
    expect(did.filter(Boolean).length).toBe(1)
    expect(await all(shop.unclaimed())).toEqual([])
  })

  test('leaves alone what somebody is at work on', async () => {
    const { shop, id } = await unclaimed()
    const { key, version, value } = (await shop.store.get(recordKey('api.example.com', id)))!
    await shop.store.swap(key, version, { value, ttl: 'forever', lease: 30_000 })
    expect(await shop.dismiss(id)).toBe(false)
    shop.clock.advance(31_000)
    expect(await shop.dismiss(id)).toBe(true)
  })
})

describe('trace', () => {
  test('tells every step of a payment, and no secret', async () => {
    const shop = seller({ toy: { notes: 'settle' } })
    await shop.fund()
    const gate = shop.charge(PRICE)
    const ask = await buy(shop, gate)
    let id = ''
    await drive(gate, ask, (grant) => {
      id = grant!.payment.id
      return { status: 500, reached: 'all' }
    })
    shop.clock.advance(5_000)
    await drive(gate, ask)
    const trace = await shop.trace(id)
    expect(trace?.steps.map(({ step }) => step)).toEqual([
      'claimed',
      'noted',
      'settled',
      'ended',
      'started-2',
      'delivered',
    ])
    expect(trace).toMatchObject({
      id,
      state: 'delivered',
      payer: 'alice',
      started: 2,
      attempts: 3,
      reached: 'all',
    })
    expect(trace?.request).toEqual({ amount: '100', currency: 'usd', recipient: 'shop' })
    const [first, last] = [trace!.steps[0]!, trace!.steps.at(-1)!]
    expect(Date.parse(last.at) - Date.parse(first.at)).toBe(5_000)
    const text = JSON.stringify(trace)
    expect(text).not.toContain(ask.headers!['authorization']!.slice(8, 60))
    expect(text).not.toContain('signature')
  })

  test('knows nothing of what it never saw', async () => {
    expect(await seller().trace('nothing')).toBeUndefined()
  })

  test('what is tried again and again is one step', async () => {
    const shop = seller({ toy: { notes: 'settle' } })
    await shop.fund()
    const gate = shop.charge(PRICE)
    const ask = await buy(shop, gate)
    shop.faults.next('settle', 'unknown-before', { times: 50 })
    for (let each = 0; each < 30; each++) await drive(gate, ask)
    const [entry] = await shop.store.due('mppkit:payments:api.example.com', 10)
    expect(entry).toBeUndefined()
    shop.clock.advance(60_000)
    const [due] = await shop.store.due('mppkit:payments:api.example.com', 10)
    const trace = await shop.trace(due!.key.split(':').at(-1)!)
    expect(trace!.steps.length).toBeLessThan(5)
  })
})

describe('check', () => {
  const options = (store: Store, secret: string | readonly string[]) => ({
    realm: 'api.example.com',
    secret,
    store,
    methods: [seller().toy],
  })

  test('two servers with one store and one secret stand together, whoever starts first', async () => {
    const store = memoryStore()
    const servers = [1, 2, 3, 4].map(() => createGates(options(store, SECRET)))
    const standings = await Promise.all(servers.map((server) => server.check()))
    for (const standing of standings) expect(standing).toEqual(standings[0])
    expect(JSON.stringify(standings)).not.toContain(SECRET.slice(0, 8))
  })

  test('a server with another secret is told', async () => {
    const store = memoryStore()
    await createGates(options(store, SECRET)).check()
    const stranger = createGates(options(store, 'another-secret-of-thirty-two-bytes!!'))
    await expect(stranger.check()).rejects.toThrow('none of the secrets')
  })

  test('of two that share one secret, but not the one that either signs with, the second is told', async () => {
    const next = 'the-next-secret-of-thirty-two-bytes!!!'
    const both = [next, SECRET]
    for (const [one, other] of [[SECRET, both] as const, [both, SECRET] as const]) {
      const store = memoryStore()
      await createGates(options(store, one)).check()
      await expect(createGates(options(store, other)).check()).rejects.toThrow('[old, new] first')
    }
  })

  test('a rotation step by step is fine, and other data show as another id', async () => {
    const store = memoryStore()
    const next = 'the-next-secret-of-thirty-two-bytes!!!'
    const steps = [SECRET, [SECRET, next], [next, SECRET], next]
    const ids = []
    for (const secret of steps) ids.push((await createGates(options(store, secret)).check()).store)
    expect(new Set(ids).size).toBe(1)
    expect((await createGates(options(memoryStore(), next)).check()).store).not.toBe(ids[0])
  })

  test('what the store says of itself is passed on', async () => {
    const check = () => Promise.reject(new Error('redis://10.0.0.1:6379 does not answer'))
    await expect(createGates(options({ ...memoryStore(), check }, SECRET)).check()).rejects.toThrow(
      'does not answer',
    )
  })
})

test('the record of a refund is never forgotten', async () => {
  const { shop, receipt, id } = await sold()
  const first = await shop.refund(receipt)
  shop.clock.advance(400 * 86_400_000)
  expect(await shop.store.get(recordKey('api.example.com', id))).toBeUndefined()
  expect(await shop.refund(receipt)).toEqual(first)
})
