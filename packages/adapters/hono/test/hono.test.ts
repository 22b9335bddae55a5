import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createAdaptorServer, type HttpBindings, type ServerType } from '@hono/node-server'
import { RESPONSE_ALREADY_SENT } from '@hono/node-server/utils/response'
import { BodyError, paid as paidFetch } from '@mppkit/server'
import { Hono, type Context, type MiddlewareHandler } from 'hono'
import { bodyLimit } from 'hono/body-limit'
import { every } from 'hono/combine'
import { cors } from 'hono/cors'
import { HTTPException } from 'hono/http-exception'
import { afterEach, describe, expect, test } from 'vitest'
import { askSeam } from '../../node/test/lib/ask-seam.ts'
import { fakeGate } from '../../node/test/lib/fake-gate.ts'
import { call, dial, paid as asPaid, until } from '../../node/test/lib/wire.ts'
import { paid, payment } from '../src/index.ts'
import { close, serve } from './serve.ts'

askSeam('hono', serve)

let server: ServerType | undefined

afterEach(async () => {
  if (server) await close(server)
  server = undefined
})

async function listen(app: Hono): Promise<string> {
  server = createAdaptorServer({ fetch: app.fetch }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return `http://127.0.0.1:${String((server.address() as AddressInfo).port)}`
}

const post = (body: string, type = 'application/json'): object => ({
  method: 'POST',
  headers: { ...asPaid, 'content-type': type },
  body,
})

test('a Worker may bind something else as `outgoing`', async () => {
  const gate = fakeGate()
  const app = new Hono().get('/x', paid(gate), (c) => c.text('content'))
  const got = await app.request('/x', { headers: asPaid }, { outgoing: { fetch: () => undefined } })
  expect([got.status, await got.text()]).toEqual([200, 'content'])
  expect(gate.finished).toEqual([{ status: 200, reached: 'all' }])
})

describe('hono on Node', () => {
  test('an answer that the handler wrote by itself is not kept, and its stand-in stays as it is', async () => {
    const gate = fakeGate({ keeps: 10_000 })
    const app = new Hono<{ Bindings: HttpBindings }>().get('/x', paid(gate), (c) => {
      c.env.outgoing.writeHead(201).end('by hand')
      return RESPONSE_ALREADY_SENT
    })
    const { status, text } = await call(await listen(app as unknown as Hono), '/x', { headers: asPaid })
    await until(() => gate.finished.length > 0)
    expect([status, text]).toEqual([201, 'by hand'])
    expect([gate.kept, gate.finished]).toEqual([[], [{ status: 201, reached: 'all' }]])
    expect([...RESPONSE_ALREADY_SENT.headers.keys()]).toEqual(['x-hono-already-sent'])
  })

  test('nor is one that the handler only begins to write after it has returned', async () => {
    const gate = fakeGate({ keeps: 10_000 })
    const app = new Hono<{ Bindings: HttpBindings }>().get('/x', paid(gate), (c) => {
      const { outgoing } = c.env
      setTimeout(() => outgoing.write('half'), 20)
      setTimeout(() => outgoing.destroy(), 40)
      return RESPONSE_ALREADY_SENT
    })
    const left = call(await listen(app as unknown as Hono), '/x', { headers: asPaid })
    await expect(left).rejects.toThrow()
    await until(() => gate.finished.length > 0)
    expect([gate.kept, gate.finished]).toEqual([[], [{ status: 200, reached: 'some' }]])
    expect([...RESPONSE_ALREADY_SENT.headers.keys()]).toEqual(['x-hono-already-sent'])
  })

  test('an answer that waits for its turn hears of the end of its connection, though Node up to 22 does not tell it', async () => {
    const gate = fakeGate()
    const app = new Hono<{ Bindings: HttpBindings }>()
    app.get('/first', () => new Promise<Response>(() => undefined))
    app.use('/x', async (c, next) => {
      const { outgoing } = c.env
      const { emit } = outgoing
      outgoing.emit = (event: string, ...rest: unknown[]) =>
        event !== 'close' && Reflect.apply(emit, outgoing, [event, ...rest])
      await next()
    })
    app.get('/x', paid(gate), (c) => c.text('hello'))
    const { socket } = await dial(await listen(app as unknown as Hono), 'GET /first HTTP/1.1')
    socket.write('GET /x HTTP/1.1\r\nx-paid: 1\r\nHost: h\r\n\r\n')
    await until(() => gate.shown.length === 1)
    socket.destroy()
    await until(() => gate.finished.length === 1)
    expect(gate.finished[0]?.reached).toBe('some')
  })

  test.each([
    ['a sub-app’s own error handler', 418, () => Promise.reject(new Error('no'))],
    ['an HTTPException', 409, () => Promise.reject(new HTTPException(409))],
    ['notFound()', 404, (c: Context) => c.notFound()],
    ['nobody', 404, (_c: Context, next: () => Promise<void>) => next()],
  ] as const)('what %s answers has no receipt', async (who, expected, handler) => {
    const gate = fakeGate()
    const inner = new Hono()
    if (who.startsWith('a sub-app')) inner.onError((_error, c) => c.text('teapot', 418))
    inner.get('/x', paid(gate), handler as never)
    const url = await listen(new Hono().route('/in', inner))
    const { status, headers } = await call(url, '/in/x', { headers: asPaid })
    expect([status, headers['payment-receipt'], headers['cache-control']]).toEqual([
      expected,
      undefined,
      'no-store',
    ])
    await until(() => gate.finished.length > 0)
    expect(gate.finished).toEqual([{ status: expected, reached: 'all' }])
  })

  test.each<[how: string, status: number, then: (c: Context) => unknown]>([
    ['fails', 500, () => Promise.reject(new Error('after the gate'))],
    ['puts an error in its place', 502, (c: Context) => void (c.res = new Response('no', { status: 502 }))],
    ['makes an error of it', 503, (c: Context) => void (c.res = c.text('no', 503))],
    ['puts a redirect in its place', 303, (c: Context) => void (c.res = Response.redirect('http://x/', 303))],
    ['packs it', 200, (c: Context) => void (c.res = new Response(c.res.body))],
  ])('CORE-081: an answer that middleware in front of the gate %s', async (_how, expected, then) => {
    const gate = fakeGate()
    const app = new Hono().use(async (c, next) => {
      await next()
      await then(c)
    })
    app.get('/x', paid(gate), (c) => c.text('paid', 200, { 'x-own': 'yes' }))
    const { status, headers } = await call(await listen(app), '/x', { headers: asPaid })
    await until(() => gate.finished.length > 0)
    const good = expected === 200
    expect([status, headers['payment-receipt'], headers['cache-control'], headers['x-own']]).toEqual([
      expected,
      good ? 'receipt' : undefined,
      good ? 'private' : 'no-store',
      'yes',
    ])
    expect(gate.finished).toEqual([{ status: expected, reached: 'all' }])
  })

  test('a thrown value that is no Error ends the attempt', async () => {
    const gate = fakeGate()
    const app = new Hono().get('/x', paid(gate), () => Promise.reject('text' as never))
    const { status } = await call(await listen(app), '/x', { headers: asPaid })
    await until(() => gate.finished.length > 0)
    expect([status, gate.finished]).toEqual([500, [{ status: 500, reached: 'all' }]])
  })

  test('an answer of fetch(), whose headers are immutable, gets them on a copy', async () => {
    const upstream = createServer((_req, res) => {
      res.writeHead(201, { 'cache-control': 'public', 'x-up': '1', 'set-cookie': ['a=1', 'b=2'] })
      res.end('from upstream')
    }).listen(0, '127.0.0.1')
    await once(upstream, 'listening')
    const app = new Hono().get('/x', paid(fakeGate()), () =>
      fetch(`http://127.0.0.1:${String((upstream.address() as AddressInfo).port)}`),
    )
    const { status, headers, text } = await call(await listen(app), '/x', { headers: asPaid })
    expect([status, text, headers['payment-receipt'], headers['cache-control']]).toEqual([
      201,
      'from upstream',
      'receipt',
      'private',
    ])
    expect([headers['x-up'], headers['set-cookie']]).toEqual(['1', ['a=1', 'b=2']])
    upstream.close()
  })

  test('headers of other middleware stay, on the gate’s answers too', async () => {
    const app = new Hono()
    app.use(cors())
    app.use(async (c, next) => {
      c.header('x-request-id', '7')
      await next()
    })
    app.get('/x', paid(fakeGate()), (c) => c.text('x'))
    const url = await listen(app)
    const unpaid = await call(url, '/x')
    expect([
      unpaid.status,
      unpaid.headers['x-request-id'],
      unpaid.headers['access-control-allow-origin'],
    ]).toEqual([402, '7', '*'])
    expect(unpaid.headers['www-authenticate']).toBe('Payment id="a", Payment id="b"')
    const { headers } = await call(url, '/x', { headers: asPaid })
    expect([headers['x-request-id'], headers['payment-receipt']]).toEqual(['7', 'receipt'])
  })

  test('so do those of middleware that calls the gate itself, or stands with it in one', async () => {
    const gate = paid(fakeGate())
    const first: MiddlewareHandler = async (c, next) => {
      c.header('x-request-id', '7')
      await next()
    }
    const apps = [
      new Hono().use(async (c, next) => {
        c.header('x-request-id', '7')
        return gate(c, next)
      }),
      new Hono().use(every(first, gate)),
      new Hono().route('/', new Hono().use(first).get('/x', gate)),
    ]
    for (const app of apps) {
      const got = await app.request('/x')
      expect([got.status, got.headers.get('x-request-id')]).toEqual([402, '7'])
    }
  })

  test('payment() survives middleware that replaces the request', async () => {
    const app = new Hono().post('/x', paid(fakeGate()), bodyLimit({ maxSize: 1000 }), (c) =>
      c.text(payment(c).id),
    )
    const url = await listen(app)
    const body = [Buffer.from('chunk')]
    expect((await call(url, '/x', { method: 'POST', headers: asPaid, body: body as never })).text).toBe(
      'quote',
    )
  })

  const readers: Record<string, (c: Context) => Promise<unknown>> = {
    json: (c) => c.req.json(),
    text: (c) => c.req.text().then(JSON.parse),
    bytes: async (c) => JSON.parse(Buffer.from(await c.req.bytes()).toString()),
    'raw json': (c) => c.req.raw.json(),
    'raw stream': (c) => new Response(c.req.raw.body).json(),
    'raw clone': (c) => c.req.raw.clone().json(),
  }
  test.each(Object.entries(readers))('the handler reads the body as %s', async (_how, read) => {
    const app = new Hono().post('/x', paid(fakeGate({ limit: 1000 })), async (c) => c.json(await read(c)))
    expect((await call(await listen(app), '/x', post('{"a":1}'))).text).toBe('{"a":1}')
  })

  test('a form can be read after the gate, and before it with parseBody()', async () => {
    const gate = fakeGate({ limit: 1000 })
    const app = new Hono()
    app.post('/after', paid(gate), async (c) => c.json(Object.fromEntries(await c.req.formData())))
    app.use('/before', async (c, next) => {
      await c.req.parseBody()
      await next()
    })
    app.post('/before', paid(gate), async (c) => c.json(await c.req.parseBody()))
    app.use('/lost', async (c, next) => {
      await c.req.formData()
      await next()
    })
    let told: unknown
    app
      .post('/lost', paid(gate), (c) => c.text('x'))
      .onError((error, c) => {
        told = error
        return c.text('no', 500)
      })
    const url = await listen(app)
    const form = post('a=1&b=2', 'application/x-www-form-urlencoded')
    for (const path of ['/after', '/before'])
      expect((await call(url, path, form)).text).toBe('{"a":"1","b":"2"}')
    expect(gate.bodies.map(String)).toHaveLength(2)
    expect(gate.bodies.map((bytes) => Buffer.from(bytes).toString())).toEqual(['a=1&b=2', 'a=1&b=2'])
    expect((await call(url, '/lost', form)).status).toBe(500)
    expect(told).toBeInstanceOf(BodyError)
    expect(String(told)).toContain('parseBody()')
  })
})

test.each<
  [how: string, reached: string, status: number, answer: () => Response, then: (c: Context) => unknown]
>([
  ['that fails', 'all', 500, () => new Response('text'), () => Promise.reject(new Error('after the gate'))],
  [
    'that puts an error in the place of a stream',
    'some',
    200,
    () => new Response(new ReadableStream()),
    (c) => void (c.res = new Response('no', { status: 502 })),
  ],
])(
  'what middleware in front of the gate %s makes of an answer is reported, where the runtime shows nothing',
  async (_how, reached, status, answer, then) => {
    const gate = fakeGate()
    const app = new Hono().use(async (c, next) => {
      await next()
      await then(c)
    })
    app.get('/x', paid(gate), answer)
    expect((await app.request('/x', { headers: asPaid })).status).toBeGreaterThanOrEqual(500)
    await until(() => gate.finished.length > 0)
    expect(gate.finished).toEqual([{ status, reached }])
  },
)

// What a runtime does not show, the answer itself must tell: as on Workers, Bun, and in tests with app.request().
describe.each([
  [
    'hono',
    (gate: ReturnType<typeof fakeGate>, handler: () => Response | Promise<Response>) => {
      const app = new Hono().get('/x', paid(gate), handler as never)
      return (...rest: unknown[]) =>
        app.fetch(new Request('https://example.com/x', { headers: asPaid }), ...(rest as []))
    },
  ],
  [
    'fetch',
    (gate: ReturnType<typeof fakeGate>, handler: () => Response | Promise<Response>) => {
      const guarded = paidFetch(gate)(handler as (request: Request, ...rest: unknown[]) => Response)
      return (...rest: unknown[]) =>
        guarded(new Request('https://example.com/x', { headers: asPaid }), ...rest)
    },
  ],
] as const)('%s where the runtime shows nothing', (_name, guard) => {
  test('an answer in one piece is complete when it is returned', async () => {
    const gate = fakeGate()
    const response = await guard(gate, () => new Response('text'))()
    await until(() => gate.finished.length > 0)
    expect([gate.finished, await response.text()]).toEqual([[{ status: 200, reached: 'all' }], 'text'])
    expect(response.headers.get('payment-receipt')).toBe('receipt')
    expect([gate.shown[0]?.transport, gate.shown[0]?.target]).toEqual(['unknown', '/x'])
  })

  test('so is one without content', async () => {
    const gate = fakeGate()
    await guard(gate, () => new Response(null, { status: 204 }))()
    await until(() => gate.finished.length > 0)
    expect(gate.finished).toEqual([{ status: 204, reached: 'all' }])
  })

  const slow = (chunks: string[]): ReadableStream =>
    new ReadableStream({
      async pull(controller) {
        await new Promise((resolve) => setTimeout(resolve, 5))
        const chunk = chunks.shift()
        if (chunk === undefined) controller.close()
        else controller.enqueue(new TextEncoder().encode(chunk))
      },
    })

  test('a stream is followed to its end, and not read ahead of its reader', async () => {
    const gate = fakeGate()
    const chunks = ['a', 'b', 'c']
    const response = await guard(gate, () => new Response(slow(chunks), { status: 201 }))()
    expect(gate.finished).toEqual([])
    await new Promise((resolve) => setTimeout(resolve, 30))
    expect(chunks).toHaveLength(1)
    const reader = response.body!.getReader()
    let text = ''
    for (let read = await reader.read(); !read.done; read = await reader.read()) {
      text += new TextDecoder().decode(read.value)
      if (text !== 'a') continue
      // Somebody who takes the first piece has not asked for the second.
      await new Promise((resolve) => setTimeout(resolve, 30))
      expect(chunks).toHaveLength(1)
    }
    expect([response.status, text]).toEqual([201, 'abc'])
    await until(() => gate.finished.length > 0)
    expect(gate.finished).toEqual([{ status: 201, reached: 'all' }])
  })

  test('a stream that is left is not complete', async () => {
    const gate = fakeGate()
    const reader = (await guard(gate, () => new Response(slow(['a', 'b'])))()).body?.getReader()
    await reader?.read()
    await reader?.cancel()
    expect(gate.finished).toEqual([{ status: 200, reached: 'some' }])
  })

  test.each<[reached: string, keeps: number, length: string, body: () => BodyInit]>([
    ['some', 0, '3', () => slow(['a', 'b'])],
    ['some', 0, '3', () => 'ab'],
    ['some', 100, '3', () => 'ab'],
    ['all', 0, '2', () => slow(['a', 'b'])],
    ['all', 100, '2', () => 'ab'],
  ])('%s: what is shorter than it says (keeps %i, %s bytes)', async (reached, keeps, length, body) => {
    const handler = (): Response => new Response(body(), { headers: { 'content-length': length } })
    const fetched = fakeGate({ keeps })
    expect(await (await guard(fetched, handler)()).text()).toBe('ab')
    const served = fakeGate({ keeps })
    const url = await listen(new Hono().get('/x', paid(served), handler))
    const { socket } = await dial(url, 'GET /x HTTP/1.1\r\nx-paid: 1')
    await until(() => served.finished.length > 0)
    socket.destroy()
    for (const { kept, finished } of [fetched, served])
      expect([finished, kept.length]).toEqual([
        [{ status: 200, reached }],
        reached === 'all' && keeps ? 1 : 0,
      ])
  })

  test('a stream that is left unread may have been taken for its head', async () => {
    const gate = fakeGate()
    const { body } = await guard(gate, () => new Response(slow(['a'])))()
    await body?.cancel()
    expect(gate.finished).toEqual([{ status: 200, reached: 'some' }])
  })

  test('a stream that fails passes its error on', async () => {
    const gate = fakeGate({ keeps: 100 })
    const failing = (): ReadableStream =>
      new ReadableStream({ start: (controller) => controller.error(new Error('no')) })
    const response = await guard(gate, () => new Response(failing()))()
    await expect(response.text()).rejects.toThrow('no')
    expect([gate.kept, gate.finished]).toEqual([[], [{ status: 200, reached: 'some' }]])
  })

  test('a handler that fails without an answer is reported', async () => {
    const gate = fakeGate()
    await expect(Promise.resolve(guard(gate, () => Promise.reject('text' as never))())).rejects.toBe('text')
    expect(gate.finished).toEqual([{ status: 500, reached: 'nothing' }])
  })

  test('Response.redirect() gets its headers on a copy', async () => {
    const gate = fakeGate({ keeps: 100 })
    const response = await guard(gate, () => Response.redirect('https://example.com/y', 303))()
    expect([
      response.status,
      response.headers.get('location'),
      response.headers.get('cache-control'),
    ]).toEqual([303, 'https://example.com/y', 'no-store'])
    expect(gate.kept.map(({ status }) => status)).toEqual([303])
  })

  test('Deno tells what became of an answer', async () => {
    for (const reached of ['all', 'some'] as const) {
      const gate = fakeGate()
      let sent = (_how: PromiseLike<void>): void => undefined
      const completed = new Promise<void>((resolve) => (sent = resolve))
      await guard(gate, () => new Response('text'))({ completed })
      expect(gate.finished).toEqual([])
      sent(reached === 'all' ? Promise.resolve() : Promise.reject(new Error('gone')))
      await until(() => gate.finished.length > 0)
      expect(gate.finished).toEqual([{ status: 200, reached }])
    }
  })

  test('the platform is kept alive until the end is recorded', async () => {
    const gate = fakeGate()
    const works: Promise<unknown>[] = []
    const context = {
      waitUntil: (work: Promise<unknown>) => void works.push(work),
      passThroughOnException: () => undefined,
    }
    const response = await guard(gate, () => new Response(slow(['a'])))({}, context)
    expect(works).toHaveLength(1)
    let ended = false
    void works[0]?.then(() => (ended = true))
    await Promise.resolve()
    expect(ended).toBe(false)
    await response.text()
    await works[0]
    gate.shown[0]?.waitUntil?.(Promise.resolve())
    expect(works).toHaveLength(2)
  })
})

describe('fetch', () => {
  test('hands on what the runtime passed, and shows the payment under both requests', async () => {
    const gate = fakeGate({ limit: 1000 })
    const { payment: paymentOf } = await import('@mppkit/server')
    const seen: unknown[] = []
    const guarded = paidFetch(gate)(async (request: Request, env: { db: string }, context: string) => {
      seen.push(env, context, await request.text(), paymentOf(request).id, request.headers.get('x-mine'))
      return new Response('x')
    })
    const original = new Request('https://example.com/x', {
      method: 'POST',
      headers: { ...asPaid, 'x-mine': '1' },
      body: 'body',
    })
    await guarded(original, { db: 'd' }, 'context')
    expect(seen).toEqual([{ db: 'd' }, 'context', 'body', 'quote', '1'])
    expect(paymentOf(original).id).toBe('quote')
  })
})
