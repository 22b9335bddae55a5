import { computeDigest, formatCredential, parseCredential } from '@mppkit/core'
import { BodyError, memoryStore, type PriceRequest } from '@mppkit/server'
import { describe, expect, test } from 'vitest'
import { buy, drive, PRICE, seller, type Ask, type SellerOptions } from './lib/harness.ts'
import { counting } from './lib/stores.ts'

/** Targets that two parties may read as two resources. */
const BAD_TARGETS = [
  '',
  '*',
  'photo',
  'http://api.example.com/photo',
  'https:/photo',
  'api.example.com:443',
  '//photo',
  '///photo',
  '//api.example.com/photo',
  '/.',
  '/..',
  '/./photo',
  '/../photo',
  '/cheap/../dear',
  '/cheap/./dear',
  '/cheap/..',
  '/cheap/.',
  '/cheap/..?x=1',
  '/cheap/%2e%2e/dear',
  '/cheap/%2E%2E/dear',
  '/cheap/.%2e/dear',
  '/cheap/%2e./dear',
  '/cheap/%2e/dear',
  '/cheap/%2e',
  '/cheap/..;a=b/dear',
  '/cheap/.;/dear',
  '/cheap/%2e%2e;x/dear',
  '/cheap\\dear',
  '/cheap/..\\dear',
  '/cheap%5cdear',
  '/cheap%5Cdear',
  '/cheap%2fdear',
  '/cheap%2Fdear',
  '/cheap%2f..%2fdear',
  '/photo%',
  '/photo%2',
  '/photo%zz',
  '/photo%00',
  '/photo#top',
  '/photo?x#top',
  '/pho to',
  '/photo\t',
  '/photo\r\nx: y',
  '/photo\u0000',
  '/photo\u007f',
]

const GOOD_TARGETS = [
  '/',
  '/photo',
  '/photo/',
  '/photo?',
  '/photo?a=b/../c',
  '/photo?next=//x',
  '/photo?p=%2e%2e%2f',
  '/photo?x=%',
  '/.well-known/x',
  '/..photo',
  '/...',
  '/a.b/c..d',
  '/%7Ephoto',
  '/caf%C3%A9',
  '/a;b=c/d',
  '/photo;v=1',
  '/a//b',
  '/a:b@c',
  '/photo?q=\\',
  `/${'x'.repeat(4_000)}?${'y'.repeat(4_000)}`,
]

async function open(options: SellerOptions = {}) {
  const store = counting(memoryStore())
  const shop = seller({ store, ...options })
  await shop.fund()
  const gate = shop.charge(PRICE)
  return { shop, store, gate }
}

function never(): never {
  throw new Error('no handler may run')
}

function tokenOf(ask: Ask): string {
  return ask.headers!['authorization']!
}

describe('C15: raw targets', () => {
  test.each(BAD_TARGETS)('%j is 400, before a price or a credential is looked at', async (target) => {
    let asked = 0
    const { shop } = await open()
    const gate = shop.charge({ amount: () => (asked++, '1.00') })
    const paid = await buy(shop, gate, { target: '/photo' })
    asked = 0
    for (const ask of [{ target }, { ...paid, target }]) {
      const answer = await drive(gate, ask, never)
      expect([answer.status, answer.challenges.length, asked]).toEqual([400, 0, 0])
      expect(answer.header('content-type')).toBe('application/problem+json')
    }
  })

  test.each(GOOD_TARGETS)('%j is asked for money and served', async (target) => {
    const { shop, gate } = await open()
    const ask = await buy(shop, gate, { target })
    expect(tokenOf(ask).length).toBeLessThan(8_192)
    expect((await drive(gate, ask)).status).toBe(200)
  })

  test.each([
    ['path', { target: '/photos' }],
    ['case of the path', { target: '/Photo' }],
    ['trailing slash', { target: '/photo/' }],
    ['query', { target: '/photo?x=1' }],
    ['empty query', { target: '/photo?' }],
    ['method', { method: 'POST' }],
    ['case of the method', { method: 'get' }],
  ])('P6, promise 4: a credential is bound to the %s', async (_name, change) => {
    const { shop, gate, store } = await open()
    const ask = await buy(shop, gate)
    const answer = await drive(gate, { ...ask, ...change }, never)
    expect([answer.status, answer.problem.type]).toEqual([402, expect.stringMatching(/invalid-challenge$/)])
    expect(store.calls.swap).toBe(0)
    expect((await drive(gate, ask)).status).toBe(200)
  })

  test('rule 1, promise 4: paid and not delivered, then sent with another request: a final 409, and good for its own', async () => {
    const { shop, gate } = await open()
    const ask = await buy(shop, gate)
    expect((await drive(gate, ask, () => ({ status: 500 }))).status).toBe(500)
    for (const change of [
      { target: '/video' },
      { method: 'POST' },
      { method: 'POST', target: '/photo', body: 'x' },
    ]) {
      const answer = await drive(gate, { ...ask, ...change }, never)
      expect([answer.status, answer.header('retry-after'), answer.challenges.length]).toEqual([
        409,
        undefined,
        0,
      ])
    }
    expect((await drive(gate, ask)).status).toBe(200)
    expect((await drive(gate, { ...ask, target: '/video' }, never)).status).toBe(402)
  })

  test('rule 1, promise 4: money that moved before, sent with another request: the same, and nothing is written', async () => {
    const { shop, gate, store } = await open({ toy: { moves: 'before' } })
    const ask = await buy(shop, gate)
    const answer = await drive(gate, { ...ask, target: '/video' }, never)
    expect([answer.status, answer.header('retry-after'), store.calls.swap]).toEqual([409, undefined, 0])
    expect((await drive(gate, ask)).status).toBe(200)
  })

  test('promise 4: another spelling of the path is another request', async () => {
    const { shop, gate } = await open()
    const ask = await buy(shop, gate)
    expect([400, 402]).toContain((await drive(gate, { ...ask, target: '/%70hoto' }, never)).status)
  })

  test('promise 4: long targets are told apart, too', async () => {
    const { shop, gate } = await open()
    const long = `/photo?${'x'.repeat(300)}`
    const ask = await buy(shop, gate, { target: `${long}1` })
    expect((await drive(gate, { ...ask, target: `${long}2` }, never)).status).toBe(402)
    expect((await drive(gate, ask)).status).toBe(200)
  })
})

describe('P4 C25: the body', () => {
  const letter: Ask = { method: 'POST', target: '/letters', body: '{"pages":1}' }

  test('CORE-046 CORE-047 CORE-064 CORE-065 CORE-066: the challenge binds its digest; another body, or none, is refused and nothing is claimed', async () => {
    const { shop, gate, store } = await open()
    const ask = await buy(shop, gate, letter)
    expect(parseCredential(tokenOf(ask).slice(8)).challenge.digest).toBe(
      await computeDigest(new TextEncoder().encode('{"pages":1}')),
    )
    const { body: _, ...empty } = ask
    for (const change of [{ ...ask, body: '{"pages":9}' }, { ...ask, body: '' }, empty]) {
      const answer = await drive(gate, change, never)
      expect([answer.status, answer.problem.type]).toEqual([
        402,
        expect.stringMatching(/verification-failed$/),
      ])
    }
    expect(store.calls.swap).toBe(0)
    expect((await drive(gate, ask)).status).toBe(200)
  })

  test('a challenge without digest does not buy a request with a body', async () => {
    const { shop, gate } = await open()
    const ask = await buy(shop, gate, { method: 'POST', target: '/letters' })
    expect((await drive(gate, { ...ask, body: 'dear letter' }, never)).status).toBe(402)
  })

  test('a GET may have one', async () => {
    const { shop, gate } = await open()
    const headers = { 'content-length': '1' }
    const ask = await buy(shop, gate, { headers, body: 'a' })
    expect((await drive(gate, { ...ask, body: 'b' }, never)).status).toBe(402)
    expect((await drive(gate, ask)).status).toBe(200)
  })

  test('`bindBody: false` neither reads nor binds it', async () => {
    const { shop } = await open()
    const gate = shop.charge({ ...PRICE, bindBody: false })
    const read = (): never => never()
    const ask = await buy(shop, gate, { method: 'POST', read })
    expect((await drive(gate, ask)).status).toBe(200)
  })

  test('the gate asks for no more than `maxBody` bytes', async () => {
    const { shop } = await open()
    const limits: number[] = []
    const read = async (limit: number): Promise<Uint8Array> => (limits.push(limit), new Uint8Array(1))
    await drive(shop.charge(PRICE), { method: 'POST', read })
    await drive(shop.charge({ ...PRICE, maxBody: 10 }), { method: 'POST', read })
    expect(limits).toEqual([1_048_576, 10])
  })

  const faults = [
    ['too-large', 413],
    ['too-slow', 408],
    ['broken', 400],
  ] as const

  test.each(faults)(
    'a body that is %s is %i, unpaid or paid, computed or not, and takes no money',
    async (reason, status) => {
      const { shop, store } = await open()
      const read = (): Promise<Uint8Array> => Promise.reject(new BodyError(reason, 'as the adapter says'))
      for (const gate of [
        shop.charge(PRICE),
        shop.charge({ amount: async (request: PriceRequest) => (await request.body(), '1.00') }),
      ]) {
        const ask = await buy(shop, gate, letter)
        const { body: _, ...rest } = ask
        for (const given of [
          { method: 'POST', target: '/letters', read },
          { ...rest, read },
        ]) {
          const answer = await drive(gate, given, never)
          expect([answer.status, answer.problem.detail, answer.challenges.length]).toEqual([
            status,
            'as the adapter says',
            0,
          ])
        }
        expect(store.calls.swap).toBe(0)
        expect((await drive(gate, ask)).status).toBe(200)
        store.reset()
      }
    },
  )

  test('C23: a body that a parser ate throws at the first unpaid request', async () => {
    const { gate } = await open()
    const read = (): Promise<Uint8Array> =>
      Promise.reject(new BodyError('consumed', 'mount the gate before the parser'))
    await expect(drive(gate, { method: 'POST', read })).rejects.toThrow('mount the gate before the parser')
  })
})

describe('C11: OPTIONS and HEAD', () => {
  test('OPTIONS is answered by the gate and never reaches the handler, with or without a credential', async () => {
    const { shop, gate, store } = await open()
    const ask = await buy(shop, gate)
    for (const given of [{}, ask]) {
      const answer = await drive(gate, { ...given, method: 'OPTIONS' }, never)
      expect([answer.status, answer.body, answer.challenges.length]).toEqual([204, '', 0])
    }
    expect(store.calls.swap).toBe(0)
  })

  test('HEAD without a credential shows what GET costs; its challenge buys the GET', async () => {
    const { shop, gate } = await open()
    const ask = await buy(shop, gate, { method: 'HEAD' })
    expect((await drive(gate, { ...ask, method: 'GET' })).status).toBe(200)
  })

  test('HEAD with a credential is 409: nothing is claimed, and GET still works', async () => {
    const { shop, gate, store } = await open()
    const ask = await buy(shop, gate)
    const answer = await drive(gate, { ...ask, method: 'HEAD' }, never)
    expect([answer.status, answer.header('retry-after'), store.calls.swap]).toEqual([409, undefined, 0])
    expect((await drive(gate, ask)).status).toBe(200)
  })
})

describe('C28: which header, and how many', () => {
  test('CORE-164: several Payment credentials are 400, in one line or two, and none is spent', async () => {
    const { shop, gate, store } = await open()
    const [one, two] = [await buy(shop, gate), await buy(shop, gate)]
    const answer = await drive(
      gate,
      { headers: { authorization: `${tokenOf(one)}, ${tokenOf(two)}` } },
      never,
    )
    expect([answer.status, answer.challenges.length, store.calls.swap]).toEqual([400, 0, 0])
    expect((await drive(gate, one)).status).toBe(200)
  })

  test('other schemes beside it are left alone', async () => {
    const { shop, gate } = await open()
    for (const around of [
      (token: string) => `Bearer abc, ${token}`,
      (token: string) => `${token}, Basic dTpw`,
      (token: string) => token.replace('Payment', 'payment'),
    ]) {
      const ask = await buy(shop, gate)
      expect((await drive(gate, { headers: { authorization: around(tokenOf(ask)) } })).status).toBe(200)
    }
    expect((await drive(gate, { headers: { authorization: 'Bearer abc' } })).status).toBe(402)
    expect((await drive(gate, { headers: { authorization: 'Bearer Payment' } })).status).toBe(402)
  })

  test('Payment-Authorization: the challenge names it, a Payment credential in the other one is 400, a Bearer is not', async () => {
    const { shop, gate } = await open({ header: 'Payment-Authorization' })
    const asked = await drive(gate, { headers: { authorization: 'Bearer abc' } })
    expect(asked.status).toBe(402)
    expect(asked.header('www-authenticate')).toContain('header="Payment-Authorization"')
    expect(asked.header('vary')).toContain('Payment-Authorization')
    const token = await shop.wallet.pay(asked.challenges[0]!)
    expect((await drive(gate, { headers: { authorization: token } }, never)).status).toBe(400)
    expect(
      (await drive(gate, { headers: { authorization: token, 'payment-authorization': token } }, never))
        .status,
    ).toBe(400)
    expect(
      (await drive(gate, { headers: { authorization: 'Bearer abc', 'payment-authorization': token } }))
        .status,
    ).toBe(200)
  })

  test('by default, a Payment credential in Payment-Authorization is 400', async () => {
    const { shop, gate } = await open()
    const ask = await buy(shop, gate)
    expect((await drive(gate, { headers: { 'payment-authorization': tokenOf(ask) } }, never)).status).toBe(
      400,
    )
    expect((await drive(gate, ask)).status).toBe(200)
  })

  test('CORE-120: 8 KB are read; more than 64 KB are 431 without being decoded', async () => {
    const { shop, gate } = await open()
    const ask = await buy(shop, gate)
    const { challenge, payload } = parseCredential(tokenOf(ask).slice(8))
    const padded = formatCredential({ challenge, payload: { ...payload, padding: 'x'.repeat(6_000) } })
    expect((await drive(gate, { headers: { authorization: padded } })).status).toBe(200)
    const parsed = shop.toy.calls.parse
    for (const name of ['authorization', 'payment-authorization'])
      expect(
        (await drive(gate, { headers: { [name]: `Payment ${'A'.repeat(65_600)}` } }, never)).status,
      ).toBe(431)
    expect(shop.toy.calls.parse).toBe(parsed)
  })
})
