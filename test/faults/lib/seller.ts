import { createHash } from 'node:crypto'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { getRequestListener } from '@hono/node-server'
import { paid as paidExpress, payment as expressPayment } from '@mppkit/express'
import { paid as paidHono, payment as honoPayment } from '@mppkit/hono'
import { createGates, type Gate } from '@mppkit/server'
import express from 'express'
import { Hono } from 'hono'
import { lateKeeping } from './keeping.ts'
import { ledgerClient } from './ledger-client.ts'
import { PRICE, railsOf } from './rails.ts'
import { filesOf, note, readSettings, type Post } from './settings.ts'
import { openStore } from './stores.ts'
import { createTrouble } from './trouble.ts'

/** One seller of the cluster, in a process of its own. */
const [folder = '', post = '{}'] = process.argv.slice(2)
const settings = readSettings(folder)
const { name, adapter, skew } = JSON.parse(post) as Post
const files = filesOf(folder)
const trouble = createTrouble(settings, name)
const { store, fill } = await openStore(settings)
const ledger = ledgerClient(settings.ledger.faulty, trouble.reach)
const gates = createGates({
  realm: settings.realm,
  secret: settings.secret,
  store,
  methods: await railsOf(settings, ledger, trouble.reach),
  now: () => Date.now() + skew,
  probe: trouble.reach,
  onError: (error, payment) =>
    note(files.errors, { seller: name, id: payment?.id, said: String(error), at: Date.now() }),
  onEvent: (event) => note(files.events, event),
})
const redeem = { attempts: settings.attempts, within: '40s' }
const sold = { amount: PRICE, redeem }
const wrap = (gate: Gate): Gate => (settings.without === 'kept' ? lateKeeping(gate) : gate)
/** By the first segment of the path. A minute of skew on both sides needs challenges that outlive it. */
const shelves = {
  usual: wrap(gates.charge({ ...sold, lifetime: 55 })),
  brief: wrap(gates.charge({ ...sold, lifetime: 10 })),
  long: wrap(gates.charge({ ...sold, lifetime: 300 })),
}

/** What a start of the handler answers. */
interface Product {
  status: number
  /** Sent one after the other, with a pause between them if there is more than one. */
  pieces: Buffer[]
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

/** Writes down that it has started, then makes what was ordered. */
async function handle(url: string, headers: Headers, id: string, attempt: number): Promise<Product> {
  const { pathname, searchParams } = new URL(url, 'http://seller')
  const call = pathname.split('/')[2] ?? ''
  const shape = searchParams.get('shape')
  const does = searchParams.get('does')
  const size = { small: 700, large: 150_000, stream: 6000 }[shape ?? 'small'] ?? 700
  const line = `${call} ${id} ${attempt} `
  const body = Buffer.from(line.repeat(Math.ceil(size / line.length)).slice(0, size))
  const sha = createHash('sha256').update(body).digest('hex')
  note(files.handlers, { id, attempt, call, sha, bytes: body.length, at: Date.now(), seller: name })
  if (does === 'slow') await pause(150 + (attempt % 2) * 150)
  if (does === 'fails' || (does === 'fails-once' && attempt === 1))
    return { status: 500, pieces: [Buffer.from('sorry')] }
  if (headers.has('if-match')) return { status: 412, pieces: [Buffer.from('you have it')] }
  if (headers.has('range')) return { status: 416, pieces: [Buffer.from('out of range')] }
  if (shape !== 'stream') return { status: 200, pieces: [body] }
  return { status: 200, pieces: [body.subarray(0, 4000), body.subarray(4000, -1), body.subarray(-1)] }
}

function onHono(): Server {
  const app = new Hono()
  for (const [shelf, gate] of Object.entries(shelves)) {
    app.get(`/${shelf}/:call`, paidHono(gate), async (c) => {
      const { id, attempt } = honoPayment(c)
      const { status, pieces } = await handle(c.req.url, c.req.raw.headers, id, attempt)
      if (pieces.length === 1) return c.body(new Uint8Array(pieces[0]!), status as 200)
      let next = 0
      const stream = new ReadableStream<Uint8Array>({
        async pull(controller) {
          if (next > 0) await pause(40)
          const piece = pieces[next++]
          if (piece) controller.enqueue(new Uint8Array(piece))
          else controller.close()
        },
      })
      return c.body(stream, status as 200)
    })
  }
  const listener = getRequestListener(app.fetch)
  return createServer((request, response) => {
    const { call, fault } = passageOf(request.url, request.headers['x-fault'])
    response.once('close', () => trouble.leave(call))
    trouble.within({ call, fault }, () => void listener(request, response))
  })
}

function onExpress(): Server {
  const app = express()
  app.disable('etag')
  for (const [shelf, gate] of Object.entries(shelves)) {
    app.get(`/${shelf}/:call`, paidExpress(gate), (req, res, next) => {
      const { id, attempt } = expressPayment(req)
      const headers = new Headers(Object.entries(req.headers).map(([key, value]) => [key, String(value)]))
      handle(req.originalUrl, headers, id, attempt).then(async ({ status, pieces }) => {
        res.status(status)
        if (pieces.length === 1) return void res.end(pieces[0])
        for (const [index, piece] of pieces.entries()) {
          if (index > 0) await pause(40)
          res.write(piece)
        }
        res.end()
      }, next)
    })
  }
  return createServer((request, response) => {
    const { call, fault } = passageOf(request.url, request.headers['x-fault'])
    response.once('close', () => trouble.leave(call))
    trouble.within({ call, fault }, () => void app(request, response))
  })
}

function passageOf(url = '', fault: string | string[] | undefined): { call: string; fault: string } {
  const call = /^\/\w+\/(\w+)/.exec(url)?.[1] ?? ''
  return { call, fault: typeof fault === 'string' ? fault : '' }
}

const server = adapter === 'hono' ? onHono() : onExpress()
server.listen(0, '127.0.0.1', () => process.send!({ port: (server.address() as AddressInfo).port }))
process.on('message', (order: { fill?: 'full' | 'free' }) => {
  if (order.fill) fill(order.fill)
})
process.on('disconnect', () => process.exit(0))
