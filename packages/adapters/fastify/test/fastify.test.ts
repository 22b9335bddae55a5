import { Agent } from 'node:http'
import { connect } from 'node:http2'
import { createGunzip, gzipSync } from 'node:zlib'
import Fastify from 'fastify'
import { describe, expect, test } from 'vitest'
import { askSeam } from '../../node/test/lib/ask-seam.ts'
import { fakeGate, UNPAID } from '../../node/test/lib/fake-gate.ts'
import { call, dial, paid as asPaid, pause, until } from '../../node/test/lib/wire.ts'
import { paid, payment } from '../src/index.ts'
import { caught, listen, make, shop } from './lib/app.ts'
import { serve } from './serve.ts'

askSeam('fastify', serve, { listed: true })

const json = { 'content-type': 'application/json' }
const schema = { body: { type: 'object', required: ['a'], properties: { a: { type: 'number' } } } }

describe('fastify: the order of things', () => {
  test('input is judged after the price and before the money', async () => {
    const { mpp, alice, sales } = await shop()
    const app = make()
    app.post('/x', { ...mpp.charge({ amount: '1' }), schema }, (request) => request.body)
    const url = await listen(app)
    const post = (body: string, authorization?: string): ReturnType<typeof call> =>
      call(url, '/x', { method: 'POST', headers: { ...json, ...(authorization && { authorization }) }, body })
    for (const bad of ['{"b":1}', '{"a":', '']) {
      const unpaid = await post(bad)
      expect([bad, unpaid.status]).toEqual([bad, 402])
      expect(unpaid.headers['content-type']).toBe('application/problem+json')
      const credential = await alice.answer(String(unpaid.headers['www-authenticate']))
      expect([bad, (await post(bad, credential)).status]).toEqual([bad, 400])
      expect((await post(bad, 'Payment eyJhIjoxfQ')).status).toBe(402)
    }
    expect(await sales()).toBe(0)
    const good = '{ "a": 1.0 }'
    const credential = await alice.answer(String((await post(good)).headers['www-authenticate']))
    const { status, text, headers } = await post(good, credential)
    expect([status, text, typeof headers['payment-receipt']]).toEqual([200, '{"a":1}', 'string'])
    expect(await sales()).toBe(1)
  })

  test('a body that Fastify refuses costs nothing', async () => {
    const { mpp, alice, sales } = await shop()
    const app = make({ bodyLimit: 10 })
    app.post('/x', mpp.charge({ amount: '1' }), (request) => request.body)
    const url = await listen(app)
    for (const [body, type, status] of [
      ['"more than ten"', 'application/json', 413],
      ['<a/>', 'text/xml', 415],
    ] as const) {
      const headers = { 'content-type': type }
      const unpaid = await call(url, '/x', { method: 'POST', headers, body })
      expect(unpaid.status).toBe(402)
      const authorization = await alice.answer(String(unpaid.headers['www-authenticate']))
      const refused = await call(url, '/x', { method: 'POST', headers: { ...headers, authorization }, body })
      expect(refused.status).toBe(status)
    }
    expect(await sales()).toBe(0)
  })

  test('hooks run in Fastify’s order: authentication, gate, parser, validation, checks, payment, handler', async () => {
    const order: string[] = []
    const gate = fakeGate({ settling: async () => void order.push('payment') })
    const app = make()
    app.register(paid(gate).plugin)
    app.addHook('onRequest', async (request, reply) => {
      order.push('onRequest')
      if (!request.headers['x-user']) return reply.code(401).send('who?')
    })
    app.addContentTypeParser('text/x', { parseAs: 'string' }, (_request, body, done) => {
      order.push('parser')
      done(null, body)
    })
    app.addHook('preValidation', async () => void order.push('preValidation'))
    app.post('/x', { preHandler: async () => void order.push('preHandler') }, () => {
      order.push('handler')
      return 'x'
    })
    const url = await listen(app)
    const ask = async (headers: Record<string, string>): Promise<number> =>
      (
        await call(url, '/x', {
          method: 'POST',
          headers: { 'content-type': 'text/x', ...headers },
          body: 'x',
        })
      ).status
    expect([await ask({}), order.splice(0)]).toEqual([401, ['onRequest']])
    expect([await ask({ 'x-user': 'a' }), order.splice(0)]).toEqual([402, ['onRequest']])
    expect(await ask({ 'x-user': 'a', ...asPaid })).toBe(200)
    expect(order).toEqual(['onRequest', 'parser', 'preValidation', 'payment', 'preHandler', 'handler'])
  })

  test('preHandlers beside the gate run in the order of their array', async () => {
    const order: string[] = []
    const gate = paid(fakeGate({ settling: async () => void order.push('payment') }))
    const app = make()
    const note = (name: string) => async () => void order.push(name)
    app.get('/x', { ...gate, preHandler: [note('before'), gate.preHandler, note('after')] }, () => 'x')
    expect((await call(await listen(app), '/x', { headers: asPaid })).status).toBe(200)
    expect(order).toEqual(['before', 'payment', 'after'])
  })

  test.each(['preParsing', 'preHandler'] as const)(
    'a route whose own %s replaces the gate’s serves nobody, and says why',
    async (name) => {
      let starts = 0
      const hook = async (): Promise<void> => undefined
      const app = make()
      app.get('/x', { ...paid(fakeGate()), [name]: hook }, () => void (starts += 1))
      const errors = caught(app)
      const url = await listen(app)
      const statuses = [await call(url, '/x'), await call(url, '/x', { headers: asPaid })].map(
        (got) => got.status,
      )
      expect([statuses[1], starts]).toEqual([500, 0])
      if (name === 'preHandler') expect(statuses[0]).toBe(500)
      expect(errors[0]).toBeInstanceOf(TypeError)
      expect(String(errors[0])).toContain('preHandler: [check, gate.preHandler]')
    },
  )

  test('halves of one gate on two routes do not make up for each other', async () => {
    const gate = fakeGate()
    const options = paid(gate)
    const app = make()
    const none = (...rest: unknown[]): void => (rest.at(-1) as () => void)()
    app.get('/opens', { ...options, preHandler: none }, (_request, reply) => {
      reply.hijack()
      reply.raw.end('content')
    })
    app.get('/admits', { ...options, preParsing: none }, () => 'content')
    const errors = caught(app)
    const url = await listen(app)
    for (const path of ['/opens', '/admits'])
      expect([path, (await call(url, path, { headers: asPaid })).status]).toEqual([path, 500])
    for (const error of errors) expect(String(error)).toContain('preHandler: [check, gate.preHandler]')
    expect([errors.length, gate.finished]).toEqual([2, []])
  })

  test('a cache before the payment sells nothing to a credential that nobody has looked at', async () => {
    const gate = fakeGate()
    const app = make()
    app.addHook('preHandler', async (request, reply) => {
      if (request.headers['x-refuse']) return reply.code(Number(request.headers['x-refuse'])).send('no')
      if (request.headers['x-fail']) throw Object.assign(new Error('no'), { statusCode: 418 })
      return reply.send('from the cache')
    })
    app.get('/x', paid(gate), () => 'fresh')
    const errors = caught(app)
    const url = await listen(app)
    const ask = (headers: Record<string, string>): ReturnType<typeof call> =>
      call(url, '/x', { headers: { ...asPaid, ...headers } })
    const { status, text } = await ask({})
    expect([status, text, String(errors[0])]).toEqual([500, 'handled', expect.stringContaining('onRequest')])
    for (const code of [400, 403]) expect((await ask({ 'x-refuse': String(code) })).status).toBe(code)
    expect((await ask({ 'x-refuse': '399' })).status).toBe(500)
    expect((await ask({ 'x-fail': '1' })).status).toBe(418)
    expect((await ask({ 'x-free': '1' })).text).toBe('from the cache')
    expect(gate.finished).toEqual([])
  })

  test('headers that other plugins have set stay on an answer of the gate, and their onSend runs', async () => {
    const app = make()
    app.addHook('onRequest', async (_request, reply) => {
      reply.header('access-control-allow-origin', '*').header('set-cookie', 'a=1')
    })
    app.addHook('onSend', async (_request, reply) => void reply.header('x-sent', '1'))
    app.get('/x', paid(fakeGate()), () => 'x')
    const { status, headers, text } = await call(await listen(app), '/x')
    expect([status, text]).toEqual([402, UNPAID])
    expect([headers['access-control-allow-origin'], headers['set-cookie'], headers['x-sent']]).toEqual([
      '*',
      ['a=1'],
      '1',
    ])
  })

  test('what a gate throws is an error, whatever it is', async () => {
    const gate = Object.assign(() => Promise.reject(undefined as unknown as Error), { offers: [] })
    const late = Object.assign(
      async () => ({ kind: 'admit' as const, admit: () => Promise.reject(undefined as unknown as Error) }),
      { offers: [] },
    )
    const app = make()
    let starts = 0
    app.get('/early', paid(gate), () => void (starts += 1))
    app.get('/late', paid(late), () => void (starts += 1))
    const errors = caught(app)
    const url = await listen(app)
    for (const path of ['/early', '/late']) expect((await call(url, path)).text).toBe('handled')
    expect(errors.map(String)).toEqual(Array(2).fill('Error: mppkit: the gate threw'))
    expect(starts).toBe(0)
  })

  test('whoever goes before the payment is admitted has paid nothing', async () => {
    let settled = 0
    let validated = false
    const gate = fakeGate({ settling: async () => void (settled += 1) })
    const app = make()
    app.addHook('preValidation', async (_request, reply) => {
      validated = true
      await new Promise((resolve) => reply.raw.once('close', resolve))
    })
    app.get('/x', paid(gate), () => 'x')
    const { socket } = await dial(await listen(app), 'GET /x HTTP/1.1\r\nx-paid: yes')
    await until(() => validated)
    socket.resetAndDestroy()
    await pause(50)
    expect([settled, gate.finished]).toEqual([0, []])
  })
})

describe('fastify: HEAD', () => {
  test('a HEAD route that Fastify adds is guarded like its GET', async () => {
    const { mpp, alice } = await shop()
    const app = make()
    app.get('/x', mpp.charge({ amount: '1' }), () => 'content')
    app.register(async (scope) => {
      scope.register(mpp.charge({ amount: '1' }).plugin)
      scope.get('/y', () => 'content')
    })
    const url = await listen(app)
    for (const path of ['/x', '/y']) {
      const { status, headers, text } = await call(url, path, { method: 'HEAD' })
      expect([status, text]).toEqual([402, ''])
      const authorization = await alice.answer(String(headers['www-authenticate']))
      expect((await call(url, path, { headers: { authorization } })).text).toBe('content')
    }
  })
})

describe('fastify: the target', () => {
  test('is what the router matched, also where the app rewrites it', async () => {
    const gate = fakeGate()
    const app = make({ rewriteUrl: ({ url = '/' }) => url.replace('/old', '/new') })
    app.get('/new/:id', paid(gate), (request) => request.params)
    expect((await call(await listen(app), '/old/1%202?q=%20', { headers: asPaid })).text).toBe('{"id":"1 2"}')
    expect(gate.shown[0]?.target).toBe('/new/1%202?q=%20')
  })
})

describe('fastify: bodies', () => {
  const body = '{"a":1}'

  test('packed bodies: the gate first, and the digest is over the bytes of the wire', async () => {
    const gate = fakeGate({ limit: 1000 })
    const app = make()
    app.register(paid(gate).plugin)
    app.addHook('preParsing', async (request, _reply, payload) => {
      const unpacked = payload.pipe(createGunzip())
      delete request.headers['content-length']
      return unpacked
    })
    app.post('/x', (request) => request.body)
    const packed = gzipSync(body)
    const { text } = await call(await listen(app), '/x', {
      method: 'POST',
      headers: { ...asPaid, ...json },
      body: packed,
    })
    expect([text, Buffer.from(gate.bodies[0] ?? []).equals(packed)]).toEqual([body, true])
  })

  test('a hook that takes the body before the gate is told so, before anyone has paid', async () => {
    const app = make()
    app.addHook('preParsing', async (_request, _reply, payload) => payload.pipe(createGunzip()))
    app.post('/x', paid(fakeGate({ limit: 1000 })), (request) => request.body)
    const errors = caught(app)
    const { status } = await call(await listen(app), '/x', {
      method: 'POST',
      headers: json,
      body: gzipSync(body),
    })
    expect([status, String(errors[0])]).toEqual([500, expect.stringMatching(/Register the gate before it/)])
  })

  test('a body that nobody reads does not break the connection', async () => {
    const app = make()
    app.get('/x', paid(fakeGate({ limit: 1000 })), () => 'x')
    app.addContentTypeParser('text/x', (_request, _payload, done) => done(null))
    app.post('/y', paid(fakeGate({ limit: 1000 })), () => 'y')
    const url = await listen(app)
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    const headers = { ...asPaid, 'content-type': 'text/x', 'content-length': '7' }
    for (const [method, path] of [
      ['GET', '/x'],
      ['POST', '/y'],
      ['GET', '/x'],
    ] as const)
      expect((await call(url, path, { method, headers, body, agent })).status).toBe(200)
    agent.destroy()
  })

  test('an upload that the gate does not read reaches the parser as it comes', async () => {
    const app = make()
    app.addContentTypeParser('*', (_request, payload, done) => done(null, payload))
    app.post('/x', paid(fakeGate()), async (request) => {
      for await (const chunk of request.body as AsyncIterable<Buffer>) return chunk.toString()
      return 'nothing'
    })
    const head = 'POST /x HTTP/1.1\r\nx-paid: yes\r\ncontent-type: a/b\r\ncontent-length: 9'
    const { socket, read } = await dial(await listen(app), head)
    socket.write('first')
    expect(await read('\r\n\r\nfirst')).toMatch(/^HTTP\/1\.1 200 /)
    socket.destroy()
  })

  test('inject() is loopback, and its body is bound and parsed', async () => {
    const { mpp, alice } = await shop()
    const app = make()
    app.post('/x', { ...mpp.charge({ amount: '1' }), schema }, (request) => ({
      got: request.body,
      by: payment(request).payer,
    }))
    for (const payload of [{ a: 1 }, { a: 2, long: 'x'.repeat(100_000) }]) {
      const request = { method: 'POST', url: '/x', payload } as const
      const unpaid = await app.inject(request)
      expect([unpaid.statusCode, String(unpaid.headers['www-authenticate'])]).toEqual([
        402,
        expect.stringContaining('digest="sha-256=:'),
      ])
      const authorization = await alice.answer(String(unpaid.headers['www-authenticate']))
      const answer = await app.inject({ ...request, headers: { authorization } })
      expect([answer.statusCode, answer.json()]).toEqual([200, { got: payload, by: 'alice' }])
      expect(answer.headers['payment-receipt']).toBeTypeOf('string')
      const again = await app.inject({ ...request, headers: { authorization } })
      expect(again.statusCode).toBe(402)
    }
    const far = await app.inject({ method: 'POST', url: '/x', remoteAddress: '203.0.113.1' })
    expect([far.statusCode, far.headers['www-authenticate']]).toEqual([403, undefined])
  })

  test('HTTP/2: the body that the gate has read is parsed', async () => {
    const gate = fakeGate({ limit: 1000 })
    const app = Fastify({ http2: true, http2SessionTimeout: 50 })
    app.post('/x', paid(gate), (request) => request.body)
    const session = connect(await app.listen({ host: '127.0.0.1', port: 0 }))
    const stream = session.request({ ':method': 'POST', ':path': '/x', ...asPaid, ...json })
    const headers = new Promise<Record<string, unknown>>((resolve) => stream.once('response', resolve))
    stream.end(body)
    let text = ''
    for await (const chunk of stream.setEncoding('utf8')) text += String(chunk)
    expect([(await headers)['payment-receipt'], text]).toEqual(['receipt', body])
    expect(gate.finished).toEqual([{ status: 200, reached: 'all' }])
    session.destroy()
    await app.close()
  })
})
