import { createMpp, BodyError, memoryStore, payment, type Price, type ShadowEvent } from '@mppkit/server'
import { createToyLedger, toyMethod } from '@mppkit/testing/toy'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { buy, drive, fakeClock, incoming, seller, type Ask, type SellerOptions } from './lib/harness.ts'
import { counting } from './lib/stores.ts'

beforeEach(() => {
  vi.spyOn(console, 'warn').mockImplementation(() => {})
  vi.spyOn(console, 'log').mockImplementation(() => {})
})
afterEach(() => {
  vi.restoreAllMocks()
})

/** A shop in shadow mode, and what it has told. */
function shadow(options: SellerOptions = {}) {
  const events: ShadowEvent[] = []
  const store = counting(memoryStore())
  const shop = seller({ enforce: false, onShadow: (event) => void events.push(event), store, ...options })
  return { ...shop, shop, events, counted: store }
}

const PRICES: Record<string, Price> = {
  '/constant': { amount: '1.50', description: 'A photo' },
  '/rails': { amount: '0.20', currency: 'gbp', toy: { description: 'toys' } },
  '/identity': { amount: '0' },
  '/computed': { amount: ({ target }) => (target.includes('big') ? '9.00' : '1.00') },
  '/tier': { amount: ({ header }) => (header('x-tier') === 'gold' ? null : '2.00') },
  '/body': { amount: async ({ body }) => `${String((await body()).length)}.00` },
  '/short': { amount: '1.00', maxBody: 3 },
  '/unbound': { amount: '1.00', maxBody: 3, bindBody: false },
  '/refused': { amount: () => ({ status: 404, headers: [], body: 'sold out' }) },
}

const ASKS: Ask[] = [
  { target: '/constant' },
  { target: '/constant?size=1' },
  { target: '/constant', method: 'POST', body: 'x' },
  { target: '/rails' },
  { target: '/identity' },
  { target: '/computed' },
  { target: '/computed?big' },
  { target: '/tier' },
  { target: '/tier', headers: { 'x-tier': 'gold' } },
  { target: '/body', method: 'POST', body: 'four' },
  { target: '/short', method: 'POST', read: tooLarge, headers: { 'content-length': '4' } },
  { target: '/short', method: 'POST', body: 'one', headers: { 'content-length': '3' } },
  { target: '/unbound', method: 'POST', body: 'four', headers: { 'content-length': '4' } },
  { target: '/refused' },
  { target: '/constant', method: 'OPTIONS' },
  { target: '/constant', method: 'HEAD' },
  { target: '/constant/../dear' },
  { target: '/constant', headers: { 'idempotency-key': '' } },
  { target: '/constant', transport: 'plain' },
]

function tooLarge(): never {
  throw new BodyError('too-large', 'The body is larger than 3 bytes.')
}

const priceOf = ({ target = '' }: Ask): Price => PRICES[`/${target.split(/[/?]/)[1]!}`]!

describe('what it tells is what enforcing does', () => {
  test('the same requests: all are let in, and the log has the amounts that are charged elsewhere, in order', async () => {
    const quiet = shadow()
    const shop = seller()
    await shop.fund()
    const charged: { target: string; amount: string }[] = []
    const refused: { target: string; status: number }[] = []
    for (const ask of ASKS) {
      const { target = '' } = ask
      const passed = await drive(quiet.charge(priceOf(ask)), ask)
      expect([ask, passed.status, passed.passed, passed.headers]).toEqual([ask, 200, true, []])
      const gate = shop.charge(priceOf(ask))
      const first = await drive(gate, ask)
      if (first.status === 402 && ask.method !== 'HEAD') {
        const before = (await shop.ledger.transfers()).length
        const paid = await drive(gate, await buy(shop, gate, ask))
        expect([ask, paid.status]).toEqual([ask, 200])
        const moved = (await shop.ledger.transfers()).slice(before)
        charged.push({ target, amount: moved.length === 0 ? '0' : String(moved[0]!.amount) })
      } else if (first.status >= 400 && ask.method !== 'HEAD') refused.push({ target, status: first.status })
    }
    const told = quiet.events
    const amountOf = (event: ShadowEvent): unknown =>
      event.would === 'charge' && event.offers[0]!.request['amount']
    expect(
      told
        .filter(({ would }) => would === 'charge')
        .map((event) => ({ target: event.target, amount: amountOf(event) })),
    ).toEqual(charged)
    expect(
      told.flatMap((event) =>
        event.would === 'refuse' ? [{ target: event.target, status: event.status }] : [],
      ),
    ).toEqual(refused)
    expect([charged.length, refused.length]).toEqual([11, 5])
    expect(quiet.errors).toEqual([])
    shop.close()
    quiet.close()
  })

  test('an event has all that a challenge would have said', async () => {
    const { charge, events, close } = shadow({
      more: [
        toyMethod({
          ledger: createToyLedger(),
          name: 'coin',
          recipient: 'till',
          currency: 'eur',
          decimals: 3,
        }),
      ],
    })
    await drive(charge({ amount: '1.50', description: 'A photo' }), { target: '/photo?x=1' })
    const offer = { intent: 'charge', amount: '1.50' }
    expect(events).toEqual([
      {
        method: 'GET',
        target: '/photo?x=1',
        credential: false,
        would: 'charge',
        amount: '1.50',
        offers: [
          {
            ...offer,
            method: 'toy',
            request: { amount: '150', currency: 'usd', recipient: 'shop', description: 'A photo' },
          },
          {
            ...offer,
            method: 'coin',
            request: { amount: '1500', currency: 'eur', recipient: 'till', description: 'A photo' },
          },
        ],
      },
    ])
    close()
  })

  test('the price function is asked once, and what it says of a request counts for this request', async () => {
    const { charge, events, close } = shadow()
    let calls = 0
    const gate = charge({ amount: () => `${String(++calls)}.00` })
    for (let i = 0; i < 3; i++) await drive(gate)
    expect(calls).toBe(3)
    expect(events.map((event) => event.would === 'charge' && event.amount)).toEqual(['1.00', '2.00', '3.00'])
    close()
  })
})

describe('a credential that comes', () => {
  test('is left alone: nothing is moved, kept or spent, the request is let in, and it is told', async () => {
    const ledger = createToyLedger()
    const store = counting(memoryStore())
    const live = seller({ ledger, store })
    await live.fund()
    const ask = await buy(live, live.charge({ amount: '1.00' }))
    const { charge, events, toy, close } = shadow({ ledger, store })
    const before = { ...store.calls }
    const passed = await drive(charge({ amount: '1.00' }), ask)
    expect([passed.status, passed.passed, passed.receipt]).toEqual([200, true, undefined])
    expect(events).toMatchObject([{ would: 'charge', credential: true, amount: '1.00' }])
    expect(await ledger.transfers()).toEqual([])
    expect([toy.calls.parse, toy.calls.verify, toy.calls.settle]).toEqual([0, 0, 0])
    expect(store.calls.swap).toBe(before.swap)
    // As good as before, where prices are enforced.
    const paid = await drive(live.charge({ amount: '1.00' }), ask)
    expect([paid.status, paid.receipt?.status]).toEqual([200, 'success'])
    expect(await ledger.balance('shop')).toBe(100n)
    close()
    live.close()
  })

  test.each([
    ['a malformed one', { authorization: 'Payment eyJ' }, { would: 'charge', credential: true }],
    ['another scheme', { authorization: 'Bearer abc' }, { would: 'charge', credential: false }],
    [
      'two',
      { authorization: 'Payment e30, Payment e30' },
      { would: 'refuse', status: 400, credential: true },
    ],
    [
      'one in the other header',
      { 'payment-authorization': 'Payment e30' },
      { would: 'refuse', status: 400, credential: true },
    ],
    [
      'one that is too long',
      { authorization: `Payment ${'e'.repeat(70_000)}` },
      { would: 'refuse', status: 431, credential: true },
    ],
  ])('%s is told, too', async (_name, headers, event) => {
    const { charge, events, close } = shadow()
    expect(
      (await drive(charge({ amount: '1.00' }), { headers: headers as Record<string, string> })).passed,
    ).toBe(true)
    expect(events).toMatchObject([event])
    close()
  })

  test('what was paid before is looked after: money that bought nothing goes back', async () => {
    const clock = fakeClock()
    const shared = {
      ledger: createToyLedger({ now: clock.now }),
      store: memoryStore({ now: clock.now }),
      now: clock.now,
    }
    const toy = { canRefund: true }
    const live = seller({ ...shared, toy })
    await live.fund()
    const gate = live.charge({ amount: '1.00', redeem: { within: '1h' } })
    expect((await drive(gate, await buy(live, gate), () => ({ status: 500 }))).status).toBe(500)
    expect(await live.ledger.balance('shop')).toBe(100n)
    live.close()
    clock.advance(2 * 3_600_000)
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
    const quiet = shadow({ ...shared, toy })
    await drive(quiet.charge({ amount: '1.00' }))
    // Nobody has to order that: it wakes with the first request.
    await vi.advanceTimersByTimeAsync(10_000)
    vi.useRealTimers()
    await vi.waitFor(async () => expect(await shared.ledger.balance('shop')).toBe(0n))
    quiet.close()
  })
})

describe('nothing of it gets into the way of a request', () => {
  test('a listener that fails or takes its time', async () => {
    const errors: unknown[] = []
    for (const onShadow of [
      () => {
        throw new Error('thrown')
      },
      () => Promise.reject(new Error('rejected')),
      () => new Promise<void>(() => {}),
    ]) {
      const { charge, close } = seller({
        enforce: false,
        onShadow,
        onError: (error) => void errors.push(error),
      })
      expect((await drive(charge({ amount: '1' }))).passed).toBe(true)
      close()
    }
    await vi.waitFor(() => expect(errors.map(String)).toEqual(['Error: thrown', 'Error: rejected']))
  })

  test('a listener that takes its time keeps the platform alive, not the request', async () => {
    let heard = (): void => {}
    const work: Promise<unknown>[] = []
    const { charge, close } = seller({
      enforce: false,
      onShadow: () => new Promise<void>((resolve) => (heard = resolve)),
    })
    const request = { ...incoming({}), waitUntil: (told: Promise<unknown>) => void work.push(told) }
    expect(await charge({ amount: '1' })(request)).toEqual({ kind: 'pass' })
    expect(work).toHaveLength(1)
    heard()
    await work[0]
    close()
  })

  test('a price function that throws, or says what cannot be asked', async () => {
    for (const [amount, message] of [
      [
        () => {
          throw new Error('no database')
        },
        /no database/,
      ],
      [() => '0.001', /0\.001/],
      [() => 1 as never, /must return/],
      [() => ({ status: 500, headers: [], body: null }), /answered 500/],
    ] as const) {
      const { charge, events, errors, close } = shadow()
      expect((await drive(charge({ amount }))).passed).toBe(true)
      expect([errors.length, String(errors[0])]).toEqual([1, expect.stringMatching(message)])
      expect(events).toEqual([])
      close()
    }
  })

  test('a body that a parser took before: the remedy is told, and the request let in', async () => {
    const { charge, errors, close } = shadow()
    const read = (): never => {
      throw new BodyError('consumed', 'mount the gate first')
    }
    const gate = charge({ amount: async ({ body }) => String((await body()).length) })
    expect((await drive(gate, { method: 'POST', read })).passed).toBe(true)
    expect(errors.map(String)).toEqual(['BodyError: mount the gate first'])
    close()
  })

  test('a body that the price could not read to its end is refused as ever: the handler cannot read it either', async () => {
    const { charge, errors, close } = shadow()
    const read = (): never => {
      throw new BodyError('too-large', 'The body is larger than 3 bytes.')
    }
    const gate = charge({ amount: async ({ body }) => String((await body()).length), maxBody: 3 })
    expect([(await drive(gate, { method: 'POST', read })).status, errors]).toEqual([413, []])
    close()
  })

  test('a constant price reads no body', async () => {
    const { charge, close } = shadow()
    const read = (): never => {
      throw new Error('nobody may read')
    }
    expect((await drive(charge({ amount: '1' }), { method: 'POST', read })).passed).toBe(true)
    close()
  })

  test('no record is written, however many come', async () => {
    const { charge, counted, close } = shadow()
    const gate = charge({ amount: '1' })
    for (let i = 0; i < 20; i++) await drive(gate)
    expect(counted.calls.swap).toBe(0)
    close()
  })
})

describe('going into it, and out of it', () => {
  test('says so once, at the start', () => {
    const { charge, close } = seller({ enforce: false })
    charge({ amount: '1' })
    charge({ amount: '2' })
    expect(vi.mocked(console.warn).mock.calls).toEqual([[expect.stringContaining('enforce is false')]])
    close()
    for (const options of [{}, { enforce: true }, { onShadow: () => {} }]) seller(options).close()
    expect(console.warn).toHaveBeenCalledTimes(1)
  })

  test('enforce must be said in so many words', () => {
    for (const enforce of ['false', 0, null, ''])
      expect(() => seller({ enforce: enforce as never })).toThrow(/enforce must be true or false/)
    expect(() => seller({ onShadow: 'log' as never })).toThrow(/onShadow must be a function/)
  })

  test('one flag: the same options and prices ask to be paid without it', async () => {
    for (const enforce of [true, undefined]) {
      const events: ShadowEvent[] = []
      const shop = seller({
        ...(enforce !== undefined && { enforce }),
        onShadow: (event) => void events.push(event),
      })
      expect([(await drive(shop.charge({ amount: '1' }))).status, events]).toEqual([402, []])
      shop.close()
    }
  })

  test('a price that cannot be asked is an error at the start here, too', () => {
    const { charge, close } = shadow()
    expect(() => charge({ amount: '0.001' })).toThrow(TypeError)
    expect(() => seller({ enforce: false, secret: 'short' })).toThrow(/32 bytes/)
    close()
  })

  test('where nobody listens, there is a line for each, without the query', async () => {
    const { charge, close } = seller({ enforce: false })
    await drive(charge({ amount: '1.50' }), {
      target: '/photo?key=secret',
      headers: { authorization: 'Payment e30' },
    })
    await drive(charge({ amount: '1.50' }), { target: '/a/../b' })
    expect(vi.mocked(console.log).mock.calls.flat()).toEqual([
      'mppkit: shadow: GET /photo would have been charged 1.50 (toy); it brought a credential, which was left alone',
      'mppkit: shadow: GET /a/../b would have been refused with 400',
    ])
    close()
  })

  test('payment() of a request that nobody has paid for throws, as for every free one', async () => {
    const mpp = createMpp({
      realm: 'a',
      secret: 's'.repeat(32),
      origin: 'http://localhost',
      methods: [toyMethod({ ledger: createToyLedger(), recipient: 'shop' })],
      enforce: false,
    })
    const handler = mpp.charge({ amount: '1' })((request) => Response.json(payment(request).payer))
    await expect(handler(new Request('http://localhost/'))).rejects.toThrow(/passed no gate/)
    mpp.close()
  })
})
