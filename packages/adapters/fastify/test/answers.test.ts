import { Readable } from 'node:stream'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { describe, expect, test } from 'vitest'
import { fakeGate, type FakeOptions } from '../../node/test/lib/fake-gate.ts'
import { call, dial, paid as asPaid, pause, until } from '../../node/test/lib/wire.ts'
import { paid } from '../src/index.ts'
import { caught, listen, make } from './lib/app.ts'

type Answering = (request: FastifyRequest, reply: FastifyReply) => unknown

describe('fastify: every way to answer', () => {
  const web = (body: BodyInit | null, init?: ResponseInit): Response => new Response(body, init)
  const good: Record<string, Answering> = {
    'send object': (_request, reply) => reply.send({ a: 1 }),
    'send text': (_request, reply) => reply.send('text'),
    'send buffer': (_request, reply) => reply.send(Buffer.from('text')),
    'send typed array': (_request, reply) => reply.send(new Uint8Array([1, 2])),
    'send nothing': (_request, reply) => reply.code(204).send(),
    'send stream': (_request, reply) => reply.send(Readable.from(['te', 'xt'])),
    'send web stream': (_request, reply) => reply.send(web('text').body),
    'send Response': (_request, reply) =>
      reply.send(
        web('text', { status: 201, headers: { 'cache-control': 'public', 'payment-receipt': 'forged' } }),
      ),
    'send Response without body': (_request, reply) => reply.send(web(null, { status: 204 })),
    'return object': () => ({ a: 1 }),
    'return text': async () => 'text',
    'return Response': async () => web('text'),
    'return stream': async () => Readable.from(['te', 'xt']),
    'return reply': async (_request, reply) => {
      setTimeout(() => void reply.send('text'), 5)
      return reply
    },
    'send, and return nothing': async (_request, reply) => {
      reply.send('text')
    },
    'send twice': async (_request, reply) => {
      reply.send('first')
      return 'second'
    },
    trailers: (_request, reply) => reply.trailer('x-sum', async () => '1').send('text'),
    'raw end': (_request, reply) => {
      reply.hijack()
      reply.raw.end('text')
    },
    'raw writeHead': (_request, reply) => {
      reply.hijack()
      reply.raw.writeHead(200, { 'Cache-Control': 'public' }).end('text')
    },
    'raw write': async (_request, reply) => {
      reply.hijack()
      reply.raw.write('te')
      await pause(5)
      reply.raw.end('xt')
    },
    'early hints first': (_request, reply) => {
      reply.writeEarlyHints({ link: '</a.css>; rel=preload' })
      return 'text'
    },
    'headers set before': (_request, reply) =>
      reply.headers({ 'cache-control': 'public', 'Payment-Receipt': 'forged' }).send({}),
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
    const app = make().get('/x', paid(gate), answer)
    const { status, headers, rawHeaders } = await call(await listen(app), '/x', { headers: asPaid })
    expect(status).toBeLessThan(300)
    expect([headers['payment-receipt'], headers['cache-control']]).toEqual(['receipt', 'private'])
    expect(
      rawHeaders.filter((field) => /^(cache-control|payment-receipt|content-length)$/i.test(field)).length,
    ).toBeLessThan(4)
    await until(() => gate.finished.length > 0)
    expect(gate.finished).toEqual([{ status, reached: 'all' }])
  })

  const bare: Record<string, Answering> = {
    '404 object': (_request, reply) => reply.code(404).send({}),
    throw: () => {
      throw new Error('no')
    },
    reject: () => Promise.reject(new Error('no')),
    'send an error': (_request, reply) => reply.send(new Error('no')),
    callNotFound: (_request, reply) => reply.callNotFound(),
    redirect: (_request, reply) => reply.redirect('/elsewhere'),
    'Response 503': () => web('no', { status: 503 }),
    'no such payload': (_request, reply) => reply.type('text/x').send({ a: 1 }),
    'no such header': (_request, reply) => reply.header('x-a', 'a\nb').send('text'),
    'used Response': async () => {
      const used = web('text')
      await used.text()
      return used
    },
    'stream that fails at once': () => new Readable({ read: () => undefined }).destroy(new Error('no')),
  }
  test.each(Object.entries(bare))('without one: %s', async (_name, answer) => {
    const gate = fakeGate({ keeps: 10_000 })
    const app = make().get('/x', paid(gate), answer)
    caught(app)
    const { status, headers } = await call(await listen(app), '/x', { headers: asPaid })
    expect(status).toBeGreaterThan(299)
    expect([headers['payment-receipt'], headers['cache-control']]).toEqual([undefined, 'no-store'])
    await until(() => gate.finished.length > 0)
    expect(gate.finished).toEqual([{ status, reached: 'all' }])
  })
})

describe('fastify: answers', () => {
  test('what another onSend makes of the payload is what is kept and sent', async () => {
    const gate = fakeGate({ keeps: 10_000 })
    const app = make().addHook('onSend', async (_request, reply, payload) => {
      reply.header('x-shouted', '1')
      return String(payload).toUpperCase()
    })
    app.get('/x', paid(gate), () => 'text')
    const { text, headers } = await call(await listen(app), '/x', { headers: asPaid })
    expect([text, headers['content-length'], headers['x-shouted']]).toEqual(['TEXT', '4', '1'])
    expect(Buffer.from(gate.kept[0]?.body ?? '').toString()).toBe('TEXT')
    expect(gate.kept[0]?.headers).toContainEqual(['x-shouted', '1'])
  })

  test('an onSend that fails leaves no receipt', async () => {
    const gate = fakeGate({ keeps: 10_000 })
    let first = true
    const app = make().addHook('onSend', async () => {
      if (!first) return
      first = false
      throw new Error('no')
    })
    app.get('/x', paid(gate), () => 'text')
    caught(app)
    const { status, headers } = await call(await listen(app), '/x', { headers: asPaid })
    expect([status, headers['payment-receipt'], gate.kept[0]?.status]).toEqual([500, undefined, 500])
    await until(() => gate.finished.length > 0)
    expect(gate.finished).toEqual([{ status: 500, reached: 'all' }])
  })

  test('while an answer is held it counts as sent', async () => {
    let release = (): void => undefined
    const gate = fakeGate({ keeps: 10_000, keeping: () => new Promise((resolve) => (release = resolve)) })
    const sent: boolean[] = []
    const app = make().get('/x', paid(gate), async (_request, reply) => {
      reply.send('first')
      sent.push(reply.sent)
      return 'second'
    })
    const errors = caught(app)
    const answer = call(await listen(app), '/x', { headers: asPaid })
    await until(() => gate.kept.length === 1)
    await pause(20)
    release()
    expect([(await answer).text, sent, errors]).toEqual(['first', [true], []])
  })

  test('a handler that takes too long is an error, and its late answer is nobody’s', async () => {
    const gate = fakeGate({ keeps: 10_000 })
    const app = make().get('/x', { ...paid(gate), handlerTimeout: 50 }, async () => {
      await pause(120)
      return 'late'
    })
    const { status, headers, text } = await call(await listen(app), '/x', { headers: asPaid })
    expect([status, headers['payment-receipt']]).toEqual([503, undefined])
    expect(text).not.toContain('late')
    await pause(120)
    expect(gate.finished).toEqual([{ status: 503, reached: 'all' }])
    expect(gate.kept.map(({ status: kept }) => kept)).toEqual([503])
  })

  test('a route whose time is up while the payment is settled lets it be used again', async () => {
    const gate = fakeGate({ settling: () => pause(120) })
    let starts = 0
    const app = make().get('/x', { ...paid(gate), handlerTimeout: 50 }, () => void (starts += 1))
    const { status } = await call(await listen(app), '/x', { headers: asPaid })
    await until(() => gate.finished.length > 0)
    expect([status, starts, gate.finished]).toEqual([503, 0, [{ status: 499, reached: 'nothing' }]])
  })

  test('a client that goes is reported also where the app listens for it', async () => {
    const gate = fakeGate()
    const aborted: string[] = []
    const app = make({ requestTimeout: 0 }).addHook('onRequestAbort', async (request) => {
      aborted.push(request.url)
    })
    let started = false
    app.get('/x', paid(gate), async () => {
      started = true
      await pause(200)
      return 'late'
    })
    const { socket } = await dial(await listen(app), 'GET /x HTTP/1.1\r\nx-paid: yes')
    await until(() => started)
    socket.resetAndDestroy()
    await until(() => gate.finished.length > 0)
    expect([gate.finished, aborted]).toEqual([[{ status: 499, reached: 'some' }], ['/x']])
    await pause(220)
    expect(gate.finished).toHaveLength(1)
  })

  test('a connection that times out is reported', async () => {
    const gate = fakeGate()
    const app = make({ connectionTimeout: 80 }).get('/x', paid(gate), () => new Promise(() => undefined))
    await expect(call(await listen(app), '/x', { headers: asPaid })).rejects.toThrow()
    await until(() => gate.finished.length > 0)
    expect(gate.finished).toEqual([{ status: 499, reached: 'some' }])
  })
})
