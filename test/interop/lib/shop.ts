import './async-storage.ts'
import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { node } from '@elysiajs/node'
import { serve, type HttpBindings } from '@hono/node-server'
import type { OnceMethod } from '@mppkit/core'
import * as forElysia from '@mppkit/elysia'
import * as forExpress from '@mppkit/express'
import * as forFastify from '@mppkit/fastify'
import * as forHono from '@mppkit/hono'
import * as forNext from '@mppkit/next'
import type { MppOptions, Payment, Price } from '@mppkit/server'
import { Elysia, type Context as ElysiaContext } from 'elysia'
import express from 'express'
import fastify, { type FastifyReply, type FastifyRequest } from 'fastify'
import { Hono, type Context } from 'hono'
import type { ContentfulStatusCode } from 'hono/utils/http-status'
import { onNext } from './next.ts'

/** What a shop of ours sells, and how. */
export interface Terms extends Pick<MppOptions, 'header' | 'now'> {
  methods: readonly OnceMethod<never>[]
  price?: Price
  /** The status that the handler answers with, or that it cuts the connection; 200 unless a test says otherwise. */
  answer?: (payment: Payment) => number | 'cut' | Promise<number | 'cut'>
  /** Default: a free one. */
  port?: number
}

/** What the handler saw. */
export interface Sale {
  payment: Payment
  authorization: string | undefined
  order?: unknown
}

/** A running shop: `GET /photo`, `POST /orders` and, under a mounted prefix, `GET /api/v1/photos/:id`, all at one price. */
export interface Shop {
  origin: string
  port: number
  sales: Sale[]
  /** What went wrong on our side. */
  errors: unknown[]
  close(): Promise<void>
}

export const realm = 'photos.example'

/** Opens the shop on a framework of ours. */
export const shops = {
  Express: expressShop,
  Hono: honoShop,
  Fastify: fastifyShop,
  Elysia: elysiaShop,
  Next: nextShop,
} as const

async function expressShop(terms: Terms): Promise<Shop> {
  const book = open(terms)
  const mpp = forExpress.createMpp(book.options)
  const gate = mpp.charge(book.price)
  const handler: express.RequestHandler = async (req, res) => {
    const sale = {
      payment: forExpress.payment(req),
      authorization: req.headers.authorization,
      order: req.body,
    }
    const { status, body } = await book.sell(sale)
    if (status === 'cut') res.destroy()
    else res.status(status).json(body)
  }
  const api = express.Router()
  api.get('/photos/:id', gate, handler)
  const app = express()
  app.get('/photo', gate, handler)
  app.post('/orders', gate, express.json(), handler)
  app.use('/api/v1', api)
  return book.opened(createServer(app).listen(book.port, '127.0.0.1'), () => mpp.close())
}

async function honoShop(terms: Terms): Promise<Shop> {
  const book = open(terms)
  const mpp = forHono.createMpp(book.options)
  const gate = mpp.charge(book.price)
  const answer = async (c: Context, order?: unknown) => {
    const authorization = c.req.header('authorization')
    const { status, body } = await book.sell({ payment: forHono.payment(c), authorization, order })
    if (status !== 'cut') return c.json(body, status as ContentfulStatusCode)
    ;(c.env as HttpBindings).outgoing.destroy()
    return c.body(null)
  }
  const api = new Hono()
  api.get('/photos/:id', gate, (c) => answer(c))
  const app = new Hono()
  app.get('/photo', gate, (c) => answer(c))
  app.post('/orders', gate, async (c) => answer(c, await c.req.json()))
  app.route('/api/v1', api)
  const server = serve({ fetch: app.fetch, port: book.port, hostname: '127.0.0.1' }) as Server
  return book.opened(server, () => mpp.close())
}

async function fastifyShop(terms: Terms): Promise<Shop> {
  const book = open(terms)
  const mpp = forFastify.createMpp(book.options)
  const gate = mpp.charge(book.price)
  const handler = async (request: FastifyRequest, reply: FastifyReply): Promise<unknown> => {
    const { authorization } = request.headers
    const { status, body } = await book.sell({
      payment: forFastify.payment(request),
      authorization,
      order: request.body,
    })
    if (status !== 'cut') return reply.code(status).send(body)
    reply.raw.destroy()
    return reply.hijack()
  }
  const app = fastify()
  app.get('/photo', gate, handler)
  app.post('/orders', gate, handler)
  app.register(async (api) => void api.get('/photos/:id', gate, handler), { prefix: '/api/v1' })
  await app.listen({ port: book.port, host: '127.0.0.1' })
  return book.opened(app.server, () => mpp.close())
}

async function elysiaShop(terms: Terms): Promise<Shop> {
  const book = open(terms)
  const mpp = forElysia.createMpp(book.options)
  const gate = mpp.charge(book.price)
  const handler = async (context: ElysiaContext): Promise<unknown> => {
    const authorization = context.request.headers.get('authorization') ?? undefined
    const { status, body } = await book.sell({
      payment: forElysia.payment(context),
      authorization,
      order: context.body,
    })
    // Elysia shows nothing of the connection: a stream that fails cuts it.
    if (status === 'cut') return new Response(new ReadableStream({ start: (body) => body.error() }))
    context.set.status = status
    return body
  }
  const app = new Elysia({ adapter: node() })
    .get('/photo', handler, gate)
    .post('/orders', handler, gate)
    .group('/api/v1', (api) => api.get('/photos/:id', handler, gate))
  const server = await new Promise<Server>((resolve) => {
    app.listen({ hostname: '127.0.0.1', port: book.port }, (info) =>
      resolve((info as unknown as { raw: { node: { server: Server } } }).raw.node.server),
    )
  })
  return book.opened(server, () => mpp.close())
}

async function nextShop(terms: Terms): Promise<Shop> {
  const book = open(terms)
  // Next shows no socket, so it has to be told its origin.
  const mpp = forNext.createMpp({ ...book.options, origin: 'http://localhost' })
  const charge = mpp.charge(book.price)
  const guarded = charge(async (request) => {
    const order = request.method === 'POST' ? await request.json() : undefined
    const authorization = request.headers.get('authorization') ?? undefined
    const { status, body } = await book.sell({ payment: forNext.payment(request), authorization, order })
    if (status === 'cut') return new Response(new ReadableStream({ start: (body) => body.error() }))
    return Response.json(body, { status })
  })
  const routes = { 'GET /photo': guarded, 'POST /orders': guarded, 'GET /api/v1/photos/[id]': guarded }
  return book.opened(await onNext(routes, book.port), () => mpp.close())
}

/** What is the same for all frameworks. */
function open({ methods, price = { amount: '0.01' }, answer = () => 200, port = 0, ...rest }: Terms) {
  const sales: Sale[] = []
  const errors: unknown[] = []
  const options: MppOptions = {
    realm,
    secret: 'a secret of at least thirty-two bytes',
    methods,
    onError: (error) => void errors.push(error),
    ...rest,
  }
  return {
    options,
    price,
    port,
    async sell(sale: Sale): Promise<{ status: number | 'cut'; body: { attempt: number } }> {
      sales.push(sale)
      return { status: await answer(sale.payment), body: { attempt: sale.payment.attempt } }
    },
    async opened(server: Server, close: () => void): Promise<Shop> {
      if (!server.listening) await once(server, 'listening')
      const { port } = server.address() as AddressInfo
      return {
        origin: `http://127.0.0.1:${port}`,
        port,
        sales,
        errors,
        async close() {
          close()
          const closed = once(server, 'close')
          server.close()
          server.closeAllConnections()
          await closed
        },
      }
    },
  }
}
