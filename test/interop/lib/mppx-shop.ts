import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { node } from '@elysiajs/node'
import { serve } from '@hono/node-server'
import { Elysia } from 'elysia'
import express from 'express'
import { Hono } from 'hono'
import type { Receipt } from 'mppx'
import { Mppx as ForElysia } from 'mppx/elysia'
import { Mppx as ForExpress } from 'mppx/express'
import { Mppx as ForHono } from 'mppx/hono'
import { Mppx as ForNext } from 'mppx/nextjs'
import { Mppx, Request, tempo } from 'mppx/server'
import { pathUsd, type Chain } from './chain.ts'
import { onNext } from './next.ts'

/** What a shop on mppx sells, and how. */
export interface MppxTerms {
  chain: Chain
  recipient: `0x${string}`
  /** Of the node; default: the chain's own. */
  node?: string
  amount?: string
  feePayer?: ReturnType<Chain['sponsor']>
  splits?: { amount: string; recipient: `0x${string}`; memo?: `0x${string}` }[]
  supportedModes?: ('pull' | 'push')[]
  /** Takes credentials in `Payment-Authorization`. */
  requiresAuth?: boolean
  /** Offers a session too, before or after the charge. */
  session?: 'first' | 'last'
}

/** What one request brought, as the handler or the gate saw it. */
export interface MppxRequest {
  method: string
  authorization: string | undefined
  paymentAuthorization: string | undefined
  order?: unknown
}

/** A running shop: `GET /photo` and `POST /orders`, at one price. */
export interface MppxShop {
  origin: string
  /** Requests that reached the handler. */
  sales: MppxRequest[]
  /** What mppx says of each payment that it took. */
  receipts: Receipt.Receipt[]
  close(): void
}

/** Opens the shop on what mppx is mounted on. */
export const mppxShops = {
  'node:http': nodeShop,
  Express: expressShop,
  Hono: honoShop,
  Elysia: elysiaShop,
  Next: nextShop,
} as const

/** A price of mppx, bound to a server. */
type Gate = (
  request: globalThis.Request,
) => Promise<
  { status: 402; challenge: Response } | { status: 200; withReceipt(response: Response): Response }
>

type Configured = { onPaymentSuccess(handler: (context: { receipt: Receipt.Receipt }) => void): unknown }

/** The only one that can offer a session beside the charge: the middlewares have no `compose`. */
export async function nodeShop(terms: MppxTerms): Promise<MppxShop> {
  const { amount = '0.01', session, chain, recipient } = terms
  const charge = chargeOf(terms)
  const options = { ...common(terms) }
  const offer = { amount }
  const book = open()
  let gate: Gate
  if (session) {
    const account = chain.sponsor()
    const rail = tempo.session({ account, currency: pathUsd, recipient, getClient: () => chain.client() })
    const mppx = Mppx.create({ ...options, methods: [charge, rail] })
    const both = [
      [mppx.tempo.charge, offer],
      [mppx.tempo.session, { ...offer, unitType: 'photo' }],
    ] as const
    gate = session === 'first' ? mppx.compose(both[1], both[0]) : mppx.compose(both[0], both[1])
    book.listen(mppx)
  } else {
    const mppx = Mppx.create({ ...options, methods: [charge] })
    gate = mppx.charge(offer)
    book.listen(mppx)
  }
  const listener = Request.toNodeListener(async (request) => {
    const result = await gate(request)
    if (result.status === 402) return result.challenge
    book.sell(request.method, request.headers, request.body ? await request.json() : undefined)
    return result.withReceipt(Response.json({ photo: 'yes' }))
  })
  return book.opened(createServer(listener).listen(0, '127.0.0.1'))
}

async function expressShop(terms: MppxTerms): Promise<MppxShop> {
  const book = open()
  const mppx = ForExpress.create({ ...common(terms), methods: [chargeOf(terms)] })
  book.listen(mppx)
  const gate = mppx.charge({ amount: terms.amount ?? '0.01' }) as express.RequestHandler
  const handler: express.RequestHandler = (req, res) => {
    book.sell(req.method, new Headers(req.headers as Record<string, string>), req.body)
    res.json({ photo: 'yes' })
  }
  const app = express()
  app.get('/photo', gate, handler)
  app.post('/orders', express.json(), gate, handler)
  return book.opened(createServer(app).listen(0, '127.0.0.1'))
}

async function honoShop(terms: MppxTerms): Promise<MppxShop> {
  const book = open()
  const mppx = ForHono.create({ ...common(terms), methods: [chargeOf(terms)] })
  book.listen(mppx)
  const gate = mppx.charge({ amount: terms.amount ?? '0.01' })
  const app = new Hono()
  app.get('/photo', gate, (c) => {
    book.sell('GET', c.req.raw.headers)
    return c.json({ photo: 'yes' })
  })
  app.post('/orders', gate, async (c) => {
    book.sell('POST', c.req.raw.headers, await c.req.json())
    return c.json({ photo: 'yes' })
  })
  return book.opened(serve({ fetch: app.fetch, port: 0, hostname: '127.0.0.1' }) as Server)
}

async function elysiaShop(terms: MppxTerms): Promise<MppxShop> {
  const book = open()
  const mppx = ForElysia.create({ ...common(terms), methods: [chargeOf(terms)] })
  book.listen(mppx)
  const beforeHandle = mppx.charge({ amount: terms.amount ?? '0.01' }) as never
  const app = new Elysia({ adapter: node() }).guard({ beforeHandle }, (guarded) =>
    guarded
      .get('/photo', ({ request }) => {
        book.sell('GET', request.headers)
        return { photo: 'yes' }
      })
      .post('/orders', ({ request, body }) => {
        book.sell('POST', request.headers, body)
        return { photo: 'yes' }
      }),
  )
  const server = await new Promise<Server>((resolve) => {
    app.listen({ hostname: '127.0.0.1', port: 0 }, (info) =>
      resolve((info as unknown as { raw: { node: { server: Server } } }).raw.node.server),
    )
  })
  return book.opened(server)
}

async function nextShop(terms: MppxTerms): Promise<MppxShop> {
  const book = open()
  const mppx = ForNext.create({ ...common(terms), methods: [chargeOf(terms)] })
  book.listen(mppx)
  const guard = mppx.charge({ amount: terms.amount ?? '0.01' })
  const routes = {
    'GET /photo': guard((request) => {
      book.sell('GET', request.headers)
      return Response.json({ photo: 'yes' })
    }),
    'POST /orders': guard(async (request) => {
      book.sell('POST', request.headers, await request.json())
      return Response.json({ photo: 'yes' })
    }),
  }
  return book.opened(await onNext(routes))
}

function common({ requiresAuth = false }: MppxTerms) {
  return { realm: 'photos.example', secretKey: 'a secret of at least thirty-two bytes', requiresAuth }
}

function chargeOf({ chain, node, recipient, feePayer, splits, supportedModes }: MppxTerms) {
  return tempo.charge({
    currency: pathUsd,
    recipient,
    getClient: () => chain.client({ url: node }),
    ...(feePayer && { feePayer }),
    ...(splits && { splits }),
    ...(supportedModes && { supportedModes }),
  })
}

/** What is the same for all of them. */
function open() {
  const sales: MppxRequest[] = []
  const receipts: Receipt.Receipt[] = []
  return {
    listen: (mppx: Configured) => void mppx.onPaymentSuccess(({ receipt }) => void receipts.push(receipt)),
    sell(method: string, headers: Headers, order?: unknown) {
      const authorization = headers.get('authorization') ?? undefined
      const paymentAuthorization = headers.get('payment-authorization') ?? undefined
      sales.push({ method, authorization, paymentAuthorization, order })
    },
    async opened(server: Server): Promise<MppxShop> {
      if (!server.listening) await once(server, 'listening')
      const { port } = server.address() as AddressInfo
      return {
        origin: `http://127.0.0.1:${port}`,
        sales,
        receipts,
        close() {
          server.closeAllConnections()
          server.close()
        },
      }
    },
  }
}
