import type { AddressInfo } from 'node:net'
import { serve } from '@hono/node-server'
import express, { type RequestHandler } from 'express'
import { Hono, type MiddlewareHandler } from 'hono'
import { FIXED, PROBLEM } from '../floor.ts'
import { answer, cpuTime } from './measure.ts'
import { CONTENT, ourFloor, ourToy, PRICE, REALM, SECRET, theirToy } from './peers.ts'

export type Framework = 'hono' | 'express'
export type Peer = 'bare' | 'floor' | 'ours' | 'mppx'

/** Start the server, answered with its port; or the CPU time used so far. */
export type Question = { framework: Framework; peer: Peer } | 'cpu'

/** One paid route, `GET /photos`, on a real socket. */
async function startServer(framework: Framework, peer: Peer): Promise<number> {
  if (framework === 'hono') {
    const app = new Hono()
    const gate = await honoGate(peer)
    if (gate) app.get('/photos', gate, (c) => c.json(CONTENT))
    else app.get('/photos', (c) => c.json(CONTENT))
    return new Promise((resolve) =>
      serve({ fetch: app.fetch, port: 0, hostname: '127.0.0.1' }, ({ port }) => resolve(port)),
    )
  }
  const app = express()
  const gate = await expressGate(peer)
  const handler: RequestHandler = (_req, res) => void res.json(CONTENT)
  if (gate) app.get('/photos', gate, handler)
  else app.get('/photos', handler)
  return new Promise((resolve) => {
    const server = app.listen(0, '127.0.0.1', () => resolve((server.address() as AddressInfo).port))
  })
}

async function ourOptions() {
  const { memoryStore } = await import('@mppkit/server')
  return { realm: REALM, secret: SECRET, methods: [ourToy()], store: memoryStore({ max: 10_000_000 }) }
}

async function theirOptions() {
  return { methods: [await theirToy()], secretKey: SECRET, realm: REALM }
}

/** mppx's types know no `charge` of a rail that is not its own. */
function chargeOf<Guard>(mppx: object): Guard {
  return (mppx as { charge(price: typeof PRICE): Guard }).charge(PRICE)
}

async function honoGate(peer: Peer): Promise<MiddlewareHandler | undefined> {
  if (peer === 'bare') return undefined
  if (peer === 'ours') return (await import('@mppkit/hono')).createMpp(await ourOptions()).charge(PRICE)
  if (peer === 'mppx') return chargeOf((await import('mppx/hono')).Mppx.create(await theirOptions()))
  const floor = ourFloor()
  return async (c, next) => {
    const { method, url, headers } = c.req.raw
    const scope = `${method} ${url.slice(url.indexOf('/', 8))}`
    const field = headers.get('authorization')
    const receipt = field === null ? undefined : await floor.verify(field, scope)
    if (receipt === undefined)
      // Of a plain record @hono/node-server makes no Headers.
      return new Response(PROBLEM, {
        status: 402,
        headers: { 'www-authenticate': floor.challenge(scope), ...FIXED },
      })
    await next()
    c.res.headers.set('payment-receipt', receipt)
    c.res.headers.set('cache-control', 'private')
    return undefined
  }
}

async function expressGate(peer: Peer): Promise<RequestHandler | undefined> {
  if (peer === 'bare') return undefined
  if (peer === 'ours') return (await import('@mppkit/express')).createMpp(await ourOptions()).charge(PRICE)
  if (peer === 'mppx') return chargeOf((await import('mppx/express')).Mppx.create(await theirOptions()))
  const floor = ourFloor()
  return async (req, res, next) => {
    const scope = `${req.method} ${req.url}`
    const field = req.headers.authorization
    const receipt = field === undefined ? undefined : await floor.verify(field, scope)
    if (receipt === undefined) {
      const length = Buffer.byteLength(PROBLEM)
      res.writeHead(402, { 'www-authenticate': floor.challenge(scope), ...FIXED, 'content-length': length })
      res.end(PROBLEM)
      return
    }
    res.setHeader('payment-receipt', receipt)
    res.setHeader('cache-control', 'private')
    next()
  }
}

answer((question: Question) =>
  question === 'cpu' ? cpuTime() : startServer(question.framework, question.peer),
)
