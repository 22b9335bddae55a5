import { rmSync, writeFileSync } from 'node:fs'
import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { BodyError } from '@mppkit/server'
import express, { type Express, type Request, type RequestHandler, type Response } from 'express'
import { afterAll, afterEach, describe, expect, test } from 'vitest'
import { createToyLedger } from '../../../testing/src/lib/toy-ledger.ts'
import { toyMethod } from '../../../testing/src/lib/toy-method.ts'
import { askSeam } from '../../node/test/lib/ask-seam.ts'
import { fakeGate, type FakeOptions } from '../../node/test/lib/fake-gate.ts'
import { call, dial, paid as asPaid, pause, until } from '../../node/test/lib/wire.ts'
import { createMpp, paid, payment } from '../src/index.ts'
import { serve } from './serve.ts'

askSeam('express', serve)

let server: Server | undefined

afterEach(async () => {
  server?.close()
  server?.closeAllConnections()
  if (server?.listening) await once(server, 'close')
})

async function listen(app: Express): Promise<string> {
  server = createServer(app).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return `http://127.0.0.1:${String((server.address() as AddressInfo).port)}`
}

const file = join(tmpdir(), `mppkit-express-${String(process.pid)}.txt`)
writeFileSync(file, 'from a file')
afterAll(() => rmSync(file, { force: true }))

describe('express: every way to answer', () => {
  const good: Record<string, (req: Request, res: Response) => unknown> = {
    json: (_req, res) => res.json({ a: 1 }),
    jsonp: (_req, res) => res.jsonp({ a: 1 }),
    'send text': (_req, res) => res.send('text'),
    'send buffer': (_req, res) => res.send(Buffer.from('text')),
    'send object': (_req, res) => res.status(201).send({ a: 1 }),
    sendStatus: (_req, res) => res.sendStatus(200),
    'sendStatus 204': (_req, res) => res.sendStatus(204),
    sendFile: (_req, res) => res.sendFile(file),
    download: (_req, res) => res.download(file),
    'end with nothing': (_req, res) => res.end(),
    'end with text': (_req, res) => res.end('text'),
    'end in an encoding': (_req, res) => res.end('dGV4dA==', 'base64'),
    'end with a callback': (_req, res) => res.end('text', () => undefined),
    'write and end': (_req, res) => {
      res.write('te')
      res.end('xt')
    },
    'flushHeaders, then write': (_req, res) => {
      res.flushHeaders()
      setTimeout(() => res.end('text'), 20)
    },
    pipe: (_req, res) => Readable.from(['te', 'xt']).pipe(res),
    'writeHead with an object': (_req, res) =>
      res.writeHead(200, { 'CACHE-Control': 'public', 'content-type': 'text/plain' }).end('text'),
    'writeHead with a reason': (_req, res) =>
      res.writeHead(200, 'Fine', { 'Cache-control': 'public' }).end('text'),
    'writeHead with a flat list': (_req, res) =>
      res.writeHead(200, ['Cache-Control', 'public', 'X-A', '1', 'X-A', '2']).end('text'),
    'writeHead with pairs': (_req, res) =>
      res
        .writeHead(200, [
          ['Cache-Control', 'public'],
          ['X-A', '1'],
        ] as never)
        .end('text'),
    'headers set before': (_req, res) =>
      res.set('Cache-Control', 'public').set('Payment-Receipt', 'forged').json({}),
    'early hints first': (_req, res) => {
      res.writeEarlyHints({ link: '</a.css>; rel=preload' })
      res.json({})
    },
  }
  const modes: [string, FakeOptions][] = [
    ['', {}],
    ['kept: ', { keeps: 10_000 }],
  ]
  const cases = modes.flatMap(([mode, options]) =>
    Object.entries(good).map(([name, answer]) => [mode + name, answer, options] as const),
  )

  test.each(cases)('with a receipt: %s', async (_name, answer, options) => {
    const gate = fakeGate(options)
    const url = await listen(express().get('/x', paid(gate), (req, res) => void answer(req, res)))
    const { status, headers, rawHeaders } = await call(url, '/x', { headers: asPaid })
    expect(status).toBeLessThan(300)
    expect([headers['payment-receipt'], headers['cache-control']]).toEqual(['receipt', 'private'])
    expect(
      rawHeaders.filter((field) => /^(cache-control|payment-receipt|content-length)$/i.test(field)).length,
    ).toBeLessThan(4)
    await until(() => gate.finished.length > 0)
    expect(gate.finished).toEqual([{ status, reached: 'all' }])
  })

  const bare: Record<string, RequestHandler> = {
    '404 json': (_req, res) => void res.status(404).json({}),
    '500 send': (_req, res) => void res.status(500).send('no'),
    'sendStatus 503': (_req, res) => void res.sendStatus(503),
    'next(error)': (_req, _res, next) => next(new Error('no')),
    'next(), and nobody answers': (_req, _res, next) => next(),
    throw: () => {
      throw new Error('no')
    },
    reject: () => Promise.reject(new Error('no')),
    redirect: (_req, res) => res.redirect('/elsewhere'),
    'no such status': (_req, res) => void res.writeHead(1000).end(),
    'no such header': (_req, res) => void res.writeHead(200, { 'x-a': 'a\nb' }).end(),
    'sendFile of nothing': (_req, res) => res.sendFile('/nowhere'),
  }
  test.each(Object.entries(bare))('without one: %s', async (_name, answer) => {
    const gate = fakeGate({ keeps: 10_000 })
    const app = express().get('/x', paid(gate), answer)
    app.use(
      (_error: unknown, _req: Request, res: Response, _next: unknown) => void res.status(500).send('handled'),
    )
    const url = await listen(app)
    const { status, headers } = await call(url, '/x', { headers: asPaid })
    expect(status).toBeGreaterThan(299)
    expect([headers['payment-receipt'], headers['cache-control']]).toEqual([undefined, 'no-store'])
    await until(() => gate.finished.length > 0)
    expect(gate.finished).toEqual([{ status, reached: 'all' }])
  })

  test('a held answer cannot be changed or answered twice', async () => {
    let release = (): void => undefined
    const gate = fakeGate({ keeps: 10_000, keeping: () => new Promise((resolve) => (release = resolve)) })
    const late: unknown[] = []
    const app = express().get('/x', paid(gate), (_req, res) => {
      res.send('first')
      late.push(res.headersSent, res.write('second'))
      res.end('third')
      res.flushHeaders()
      try {
        res.json({ fourth: true })
      } catch (error) {
        late.push((error as NodeJS.ErrnoException).code)
      }
    })
    const url = await listen(app)
    const answer = call(url, '/x', { headers: asPaid })
    await until(() => gate.kept.length === 1)
    release()
    const { text, headers } = await answer
    expect([text, headers['content-length'], late]).toEqual([
      'first',
      '5',
      [true, false, 'ERR_HTTP_HEADERS_SENT'],
    ])
    expect(gate.kept).toHaveLength(1)
  })

  test.each([
    ['before the head', 499, 'some', () => undefined],
    ['after the head', 200, 'some', (res: Response) => res.flushHeaders()],
    ['after a byte', 200, 'some', (res: Response) => res.write('x')],
  ] as const)('destroyed %s', async (_when, status, reached, begin) => {
    const gate = fakeGate()
    const app = express().get('/x', paid(gate), (_req, res) => {
      begin(res)
      setTimeout(() => res.destroy(), 20)
    })
    const url = await listen(app)
    await expect(call(url, '/x', { headers: asPaid })).rejects.toThrow()
    await until(() => gate.finished.length > 0)
    expect(gate.finished).toEqual([{ status, reached }])
  })

  test('a large answer that nobody reads is not complete', async () => {
    const gate = fakeGate()
    const url = await listen(
      express().get('/x', paid(gate), (_req, res) => void res.end(Buffer.alloc(80_000_000))),
    )
    const { socket, read } = await dial(url, 'GET /x HTTP/1.1\r\nx-paid: yes')
    await read('HTTP/1.1')
    socket.pause()
    await pause(100)
    socket.resetAndDestroy()
    await until(() => gate.finished.length > 0)
    expect(gate.finished).toEqual([{ status: 200, reached: 'some' }])
  })
})

describe('express: mounting', () => {
  test('a gate over a tree shows whole targets, also in mounted apps', async () => {
    const gate = fakeGate()
    const inner = express().get('/b/:id', (req, res) => void res.json(payment(req).id))
    const url = await listen(express().use('/a', paid(gate), inner))
    const { text } = await call(url, '/a/b/1%2F2?q=%20', { headers: asPaid })
    expect([text, gate.shown[0]?.target]).toEqual(['"quote"', '/a/b/1%2F2?q=%20'])
  })

  test('a gate after a body parser says what to do, before anyone has paid', async () => {
    let told: unknown
    const app = express()
    app.post('/x', express.json(), paid(fakeGate({ limit: 1000 })), (_req, res) => void res.json({}))
    app.use((error: unknown, _req: Request, res: Response, _next: unknown) => {
      told = error
      res.sendStatus(500)
    })
    const url = await listen(app)
    const { status } = await call(url, '/x', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: '{"a":1}',
    })
    expect([status, told]).toEqual([500, expect.any(BodyError)])
    expect(String(told)).toMatch(
      /before the body parser.*express\.json\(\{ verify: mpp\.rawBody, inflate: false \}\)/,
    )
    const empty = await call(url, '/x', { method: 'POST', headers: { 'content-type': 'application/json' } })
    expect(empty.status).toBe(402)
  })

  test('a gate before a body parser lets it parse', async () => {
    const app = express()
    app.post(
      '/x',
      paid(fakeGate({ limit: 1000 })),
      express.json(),
      (req, res) => void res.json(req.body ?? 'none'),
    )
    const url = await listen(app)
    const headers = { ...asPaid, 'content-type': 'application/json' }
    const { text } = await call(url, '/x', { method: 'POST', headers, body: '{"a":1}' })
    expect(text).toBe('{"a":1}')
    const chunked = await call(url, '/x', {
      method: 'POST',
      headers,
      body: Readable.from([Buffer.from('{"a"'), Buffer.from(':2}')]),
    })
    expect(chunked.text).toBe('{"a":2}')
    const empty = await call(url, '/x', { method: 'POST', headers, body: Readable.from([]) })
    expect(empty.text).toBe('{}')
  })

  test('createMpp makes gates, and rawBody for those behind a parser', async () => {
    const toy = toyMethod({ ledger: createToyLedger(), recipient: 'shop' })
    const mpp = createMpp({ realm: 'test', secret: 'x'.repeat(32), methods: [toy] })
    const app = express()
    app.post(
      '/x',
      express.json({ verify: mpp.rawBody }),
      mpp.charge({ amount: '1' }),
      (_req, res) => void res.json({}),
    )
    const url = await listen(app)
    const { status, headers } = await call(url, '/x', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: '{ "a": 1 }',
    })
    expect(status).toBe(402)
    expect(headers['www-authenticate']).toMatch(/^Payment .*digest="sha-256=:/)
    mpp.close()
  })
})
