import { createServer } from 'node:http'
import { createMpp as createElysia, payment as elysiaPayment } from '@mppkit/elysia'
import { createMpp as createExpress, payment as expressPayment } from '@mppkit/express'
import { createMpp as createFastify, payment as fastifyPayment } from '@mppkit/fastify'
import { createMpp as createHono, payment as honoPayment } from '@mppkit/hono'
import { createMpp as createNext, payment as nextPayment } from '@mppkit/next'
import { createMpp as createFetch, payment as fetchPayment } from '@mppkit/server'
import { Elysia } from 'elysia'
import express from 'express'
import Fastify from 'fastify'
import { Hono } from 'hono'
import { NextRequest } from 'next/server.js'
import { afterAll, describe, expect, test, vi } from 'vitest'
import { matchers, type PaymentMatchers } from '../src/matchers.ts'
import { payAs, type TestedApp } from '../src/pay-as.ts'
import { createToyLedger, toyMethod, toyWallet } from '../src/toy.ts'

declare module 'vitest' {
  interface Matchers<
    R extends void | Promise<void> = void | Promise<void>,
    T = unknown,
  > extends PaymentMatchers<R> {}
}

expect.extend(matchers)

const ledger = createToyLedger()
await ledger.fund('alice', 100_000n)
const toy = toyMethod({ ledger, recipient: 'shop' })
const options = {
  realm: 'test.example',
  secret: 'a-secret-of-at-least-thirty-two-bytes!!',
  origin: 'http://localhost',
  methods: [toy],
} as const
const price = { amount: '0.10', description: 'A photo', externalId: 'o-1' } as const
const open: { close(): unknown }[] = []
afterAll(() => {
  for (const mpp of open) mpp.close()
})

function opened<M extends { close(): unknown }>(mpp: M): M {
  open.push(mpp)
  return mpp
}

/** Each sells `GET /photo/:id`, which tells who has paid, takes letters at `POST /letter`, and gives `/free` away. */
const APPS: Record<string, () => TestedApp> = {
  hono() {
    const mpp = opened(createHono(options))
    return new Hono()
      .get('/photo/:id', mpp.charge(price), (c) =>
        c.json({ id: c.req.param('id'), paidBy: honoPayment(c).payer }),
      )
      .post('/letter', mpp.charge(price), async (c) => c.json(await c.req.json(), 201))
      .get('/free', (c) => c.text('pong'))
  },
  express() {
    const { origin: _, ...local } = options
    const mpp = opened(createExpress(local))
    const app = express()
    app.get(
      '/photo/:id',
      mpp.charge(price),
      (req, res) => void res.json({ id: req.params['id'], paidBy: expressPayment(req).payer }),
    )
    app.post('/letter', mpp.charge(price), express.json(), (req, res) => void res.status(201).json(req.body))
    app.get('/free', (_req, res) => void res.send('pong'))
    return app
  },
  fastify() {
    const { origin: _, ...local } = options
    const mpp = opened(createFastify(local))
    const app = Fastify()
    app.get<{ Params: { id: string } }>('/photo/:id', mpp.charge(price), (request) => ({
      id: request.params.id,
      paidBy: fastifyPayment(request).payer,
    }))
    app.post('/letter', mpp.charge(price), (request, reply) => reply.code(201).send(request.body))
    app.get('/free', () => 'pong')
    return app
  },
  elysia() {
    const mpp = opened(createElysia(options))
    return new Elysia()
      .get(
        '/photo/:id',
        (context) => ({ id: context.params.id, paidBy: elysiaPayment(context).payer }),
        mpp.charge(price),
      )
      .post('/letter', ({ body, set }) => ((set.status = 201), body), mpp.charge(price))
      .get('/free', () => 'pong')
  },
  next() {
    const mpp = opened(createNext(options))
    const GET = mpp.charge(price)(async (request, { params }) =>
      Response.json({ id: (await params)['id'], paidBy: nextPayment(request).payer }),
    )
    const POST = mpp.charge(price)(async (request) => Response.json(await request.json(), { status: 201 }))
    return (request: Request) => {
      const id = new URL(request.url).pathname.split('/')[2]!
      const context = { params: Promise.resolve({ id }) }
      if (request.url.endsWith('/free')) return new Response('pong')
      return request.method === 'GET'
        ? GET(new NextRequest(request), context)
        : POST(new NextRequest(request))
    }
  },
  fetch() {
    const mpp = opened(createFetch(options))
    const photo = mpp.charge(price)((request) =>
      Response.json({ id: request.url.split('/').at(-1), paidBy: fetchPayment(request).payer }),
    )
    const letter = mpp.charge(price)(async (request) => Response.json(await request.json(), { status: 201 }))
    return (request: Request) => {
      if (request.url.endsWith('/free')) return new Response('pong')
      return request.method === 'GET' ? photo(request) : letter(request)
    }
  },
  'a server of node:http'() {
    return createServer(APPS['express']!() as ReturnType<typeof express>)
  },
  'a Worker'() {
    return { fetch: APPS['fetch']!() as (request: Request) => Promise<Response> }
  },
}

describe.each(Object.keys(APPS))('%s, without a port', (name) => {
  const app = APPS[name]!()
  const alice = payAs(app, toyWallet({ ledger, account: 'alice' }))
  const nobody = payAs(app, { name: 'toy', pay: async () => 'Bearer nothing' })
  const sales = async (): Promise<number> => (await ledger.transfers()).length

  test('pays what is asked, once, and gets it', async () => {
    const before = await sales()
    const response = await alice('/photo/7')
    expect(response).toBePaid({
      amount: '10',
      method: 'toy',
      recipient: 'shop',
      description: 'A photo',
      externalId: 'o-1',
    })
    expect(await response.json()).toEqual({ id: '7', paidBy: 'alice' })
    expect(await sales()).toBe(before + 1)
  })

  test('a body is sent twice, and is what was paid for', async () => {
    const letter = { to: 'you', text: 'é' }
    const headers = { 'content-type': 'application/json' }
    const response = await alice('/letter', { method: 'POST', headers, body: JSON.stringify(letter) })
    expect(response).toBePaid()
    expect([response.status, await response.json()]).toEqual([201, letter])
    const request = new Request('http://localhost/letter', {
      method: 'POST',
      headers,
      body: JSON.stringify(letter),
    })
    expect(await alice(request)).toBePaid({ amount: '10' })
  })

  test('what is free is not paid', async () => {
    const before = await sales()
    const response = await alice('/free')
    expect([response.status, await response.text()]).toEqual([200, 'pong'])
    expect(response).not.toBePaid()
    expect(response).not.toChallenge()
    expect(await sales()).toBe(before)
  })

  test('a credential that is none gets the challenge', async () => {
    const response = await nobody('/photo/7')
    expect(response).toChallenge({
      amount: '10',
      currency: 'usd',
      recipient: 'shop',
      realm: 'test.example',
      intent: 'charge',
    })
    expect(response).not.toBePaid()
  })

  test('many at once', async () => {
    const responses = await Promise.all(Array.from({ length: 8 }, (_, id) => alice(`/photo/${String(id)}`)))
    for (const response of responses) expect(response).toBePaid()
    expect(
      await Promise.all(responses.map(async (response) => ((await response.json()) as { id: string }).id)),
    ).toEqual(['0', '1', '2', '3', '4', '5', '6', '7'])
  })
})

describe('payAs', () => {
  const alice = toyWallet({ ledger, account: 'alice' })

  test('pays at most once per call, and returns a second 402', async () => {
    let asked = 0
    const live = APPS['fetch']!() as (request: Request) => Promise<Response>
    const insisting = async (request: Request): Promise<Response> => {
      asked++
      return live(new Request(request.url))
    }
    const pay = vi.fn<typeof alice.pay>(alice.pay)
    expect(await payAs(insisting, { name: 'toy', pay })('/photo/1')).toChallenge()
    expect([asked, pay.mock.calls.length]).toEqual([2, 1])
  })

  test('the poor are refused by the rail, and nothing is taken', async () => {
    const before = (await ledger.transfers()).length
    const response = await payAs(APPS['hono']!(), toyWallet({ ledger, account: 'pauper' }))('/photo/1')
    expect(response).toChallenge({ amount: '10' })
    expect(await response.json()).toMatchObject({ type: expect.stringContaining('payment-insufficient') })
    expect((await ledger.transfers()).length).toBe(before)
  })

  test('keeps a token for something else, and says which header it is', async () => {
    const seen: (string | null)[] = []
    for (const header of ['Authorization', 'Payment-Authorization'] as const) {
      const mpp = opened(createFetch({ ...options, header }))
      const guarded = mpp.charge(price)(() => new Response('sold'))
      const app = (request: Request): Promise<Response> => {
        seen.push(request.headers.get('authorization')?.split('eyJ')[0] ?? null)
        return guarded(request)
      }
      expect(await payAs(app, alice)('/photo/1', { headers: { authorization: 'Bearer abc' } })).toBePaid()
    }
    expect(seen).toEqual(['Bearer abc', 'Bearer abc, Payment ', 'Bearer abc', 'Bearer abc'])
  })

  test('takes the challenge of its own method, and says when there is none', async () => {
    const coin = toyMethod({ ledger, name: 'coin', recipient: 'till' })
    const mpp = opened(createFetch({ ...options, methods: [coin, toy] }))
    const both = mpp.charge({ amount: '1' })(() => new Response('sold'))
    expect(await payAs(both, alice)('/')).toBePaid({ method: 'toy', recipient: 'shop' })
    const other = mpp.charge({ amount: '1', toy: false })(() => new Response('sold'))
    await expect(payAs(other, alice)('/')).rejects.toThrow(
      'payAs pays with toy/charge, but the 402 offers coin/charge',
    )
    const bare = (): Response => new Response(null, { status: 402 })
    await expect(payAs(bare, alice)('/')).rejects.toThrow('offers nothing')
  })

  test('says what an app is, when it is none', () => {
    for (const app of [undefined, null, 'http://localhost', {}, { fetch: 'x' }])
      expect(() => payAs(app as never, alice)).toThrow(/payAs needs an app: .*Fastify/)
  })

  test('an app of Node that hangs up is an error, not a test that waits', async () => {
    const server = createServer((req) => req.socket.destroy())
    await expect(payAs(server, alice)('/')).rejects.toThrow(/hang up|closed|reset/)
  })
})
