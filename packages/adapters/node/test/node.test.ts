import { EventEmitter, once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { connect as connectHttp2, createServer as createHttp2Server } from 'node:http2'
import type { AddressInfo } from 'node:net'
import { gzipSync } from 'node:zlib'
import { afterEach, describe, expect, test } from 'vitest'
import { incoming, isGone, readBody, send, watch } from '../src/index.ts'
import { fakeGate, type FakeGate } from './lib/fake-gate.ts'
import { call, dial, paid, pause, until } from './lib/wire.ts'

let server: Server | undefined

afterEach(async () => {
  server?.closeAllConnections()
  await new Promise((resolve) => (server ? server.close(resolve) : resolve(undefined)))
})

type Handler = (req: IncomingMessage, res: ServerResponse) => unknown

async function listen(handler: Handler): Promise<string> {
  server = createServer((req, res) => void handler(req, res)).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return `http://127.0.0.1:${String((server.address() as AddressInfo).port)}`
}

describe('incoming', () => {
  test('speaks of TLS where the socket is encrypted', async () => {
    const res = { destroyed: false } as ServerResponse
    const shown = (socket: object): string =>
      incoming({ method: 'GET', url: '/', rawHeaders: [], socket } as never, res).transport
    expect(shown({ encrypted: true, remoteAddress: '203.0.113.1' })).toBe('tls')
    for (const remoteAddress of ['127.0.0.1', '127.8.9.1', '::1', '::ffff:127.0.0.1'])
      expect(shown({ remoteAddress })).toBe('loopback')
    for (const remoteAddress of ['10.0.0.1', '::ffff:10.0.0.1', '2001:db8::1', '1127.0.0.1', undefined])
      expect(shown({ remoteAddress })).toBe('plain')
  })

  test('signal stays quiet when the answer is complete', async () => {
    let signal: AbortSignal | undefined
    const url = await listen((req, res) => {
      signal = incoming(req, res).signal
      res.end('x')
    })
    await call(url, '/')
    await pause(20)
    expect(signal?.aborted).toBe(false)
  })
})

describe('readBody', () => {
  async function read(limit: number, patience?: number): Promise<{ url: string; reasons: unknown[] }> {
    const reasons: unknown[] = []
    const url = await listen(async (req, res) => {
      try {
        await readBody(req, limit, patience)
        reasons.push('read')
      } catch (error) {
        reasons.push((error as { reason: string }).reason)
        send(res, { status: 400, headers: [], body: (error as Error).message })
      }
    })
    return { url, reasons }
  }

  test('gives up on a slow body', async () => {
    const { url, reasons } = await read(1000, 50)
    const { socket, read: wait } = await dial(url, 'POST / HTTP/1.1\r\ncontent-length: 10')
    socket.write('12345')
    await wait('within 0.05 seconds')
    expect(reasons).toEqual(['too-slow'])
    socket.destroy()
  })

  test('knows a body that broke off', async () => {
    const { url, reasons } = await read(1000)
    const { socket } = await dial(url, 'POST / HTTP/1.1\r\ntransfer-encoding: chunked')
    socket.write('5\r\n12345\r\n')
    await pause(30)
    socket.resetAndDestroy()
    await until(() => reasons.length > 0)
    expect(reasons).toEqual(['broken'])
  })

  test('stops taking a chunked body where the limit is passed', async () => {
    let held = 0
    const url = await listen(async (req) => {
      await readBody(req, 100_000).catch(() => undefined)
      await pause(100)
      held = req.readableLength
    })
    const { socket } = await dial(url, 'POST / HTTP/1.1\r\ntransfer-encoding: chunked')
    for (let i = 0; i < 50; i++) socket.write(`10000\r\n${'x'.repeat(65_536)}\r\n`)
    await until(() => held > 0)
    expect(held).toBeLessThan(300_000)
    socket.resetAndDestroy()
  })

  test('is memoised, and judges each limit', async () => {
    const seen: unknown[] = []
    const url = await listen(async (req, res) => {
      const first = await readBody(req, 10)
      seen.push(
        first.length,
        (await readBody(req, 10)) === first,
        await readBody(req, 2).catch(({ reason }) => reason),
      )
      for await (const chunk of req) seen.push(String(chunk))
      seen.push((await readBody(req, 10)) === first)
      res.end()
    })
    await call(url, '/', { method: 'POST', body: 'abc' })
    expect(seen).toEqual([3, true, 'too-large', 'abc', true])
  })

  test.each([
    [
      'async iteration',
      async (req: IncomingMessage) => {
        let text = ''
        for await (const chunk of req) text += String(chunk)
        return text
      },
    ],
    [
      'events',
      async (req: IncomingMessage) => {
        let text = ''
        req.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
        await once(req, 'end')
        return text
      },
    ],
  ])('gives the bytes back to %s, whenever it starts', async (_how, consume) => {
    const url = await listen(async (req, res) => {
      await readBody(req, 1_000_000)
      await pause(Number(req.headers['x-wait']))
      res.end(await consume(req))
    })
    for (const wait of ['0', '20'])
      for (const body of ['a', 'b'.repeat(300_000)])
        expect((await call(url, '/', { method: 'POST', headers: { 'x-wait': wait }, body })).text).toBe(body)
  })
})

describe('watch', () => {
  async function guarded(gate: FakeGate, handler: Handler): Promise<string> {
    return listen(async (req, res) => {
      const opening = await gate(incoming(req, res))
      const decision = opening.kind === 'admit' ? await opening.admit() : opening
      if (decision.kind === 'respond') return send(res, decision.answer)
      if (decision.kind === 'proceed') watch(res, decision.grant)
      handler(req, res)
    })
  }

  test('an answer on a connection that stays open is reported as often as it is given', async () => {
    const gate = fakeGate()
    const url = await guarded(gate, (_req, res) => res.end('x'))
    const { socket, read } = await dial(url, 'GET /1 HTTP/1.1\r\nx-paid: 1')
    await read('\r\n\r\nx')
    socket.write('GET /2 HTTP/1.1\r\nx-paid: 1\r\nHost: h\r\n\r\n')
    await until(() => gate.finished.length === 2)
    expect(gate.shown.map(({ target }) => target)).toEqual(['/1', '/2'])
    socket.destroy()
  })

  test.each(['reset', 'end'] as const)(
    'an answer that waits for its turn hears of the %s of its connection, though Node up to 22 does not tell it',
    async (how) => {
      const gate = fakeGate()
      const url = await listen(async (req, res) => {
        if (req.url === '/first') return
        const { emit } = res
        res.emit = (event: string, ...rest: unknown[]) =>
          event !== 'close' && Reflect.apply(emit, res, [event, ...rest])
        const shown = incoming(req, res)
        const opening = await gate(shown)
        const decision = opening.kind === 'admit' && (await opening.admit())
        if (decision && decision.kind === 'proceed') watch(res, decision.grant)
        expect([shown.signal?.aborted, isGone(req, res)]).toEqual([false, false])
        await until(() => shown.signal?.aborted === true)
        expect([incoming(req, res).signal?.aborted, isGone(req, res)]).toEqual([true, true])
      })
      const { socket } = await dial(url, 'GET /first HTTP/1.1')
      for (const path of ['/1', '/2']) socket.write(`GET ${path} HTTP/1.1\r\nx-paid: 1\r\nHost: h\r\n\r\n`)
      await until(() => gate.shown.length === 2)
      if (how === 'reset') socket.resetAndDestroy()
      else socket.end()
      await until(() => gate.finished.length === 2)
      expect(gate.finished).toEqual(Array(2).fill({ status: 499, reached: 'some' }))
    },
  )

  test('a handler that takes a part of an upload and answers has answered', async () => {
    const gate = fakeGate()
    const first = async (req: IncomingMessage): Promise<unknown> => {
      for await (const chunk of req) return chunk
      return undefined
    }
    const url = await guarded(gate, async (req, res) => res.end(await first(req)))
    const { socket, read } = await dial(url, 'POST / HTTP/1.1\r\nx-paid: 1\r\ncontent-length: 9')
    socket.write('first')
    await read('\r\n\r\nfirst')
    await until(() => gate.finished.length > 0)
    expect(gate.finished).toEqual([{ status: 200, reached: 'all' }])
    socket.destroy()
  })

  test('what is kept is what the handler made, not what somebody around the gate, who packs it, has made of it', async () => {
    const gate = fakeGate({ keeps: 100 })
    const url = await listen((req, res) => {
      const { writeHead, end } = res
      // As `on-headers` and compression do.
      res.writeHead = (status: number) => {
        res.setHeader('content-encoding', 'gzip')
        res.removeHeader('content-length')
        return writeHead.call(res, status)
      }
      res.end = ((chunk: string) => end.call(res, gzipSync(chunk), 'utf8')) as never
      void gate(incoming(req, res)).then(async (opening) => {
        const decision = opening.kind === 'admit' && (await opening.admit())
        if (decision && decision.kind === 'proceed') watch(res, decision.grant)
        res.setHeader('x-own', 'yes').end('plain')
      })
    })
    const got = await fetch(url, { headers: paid })
    expect([got.headers.get('content-encoding'), await got.text()]).toEqual(['gzip', 'plain'])
    const { headers, body } = gate.kept[0]!
    expect(String(body)).toBe('plain')
    expect(headers).toContainEqual(['x-own', 'yes'])
    expect(headers).toContainEqual(['payment-receipt', 'receipt'])
    expect(headers.map(([name]) => name)).not.toContain('content-encoding')
  })

  test.each<[string, string, (res: ServerResponse) => unknown]>([
    ['some', 'written in part', (res) => (res.write('ha'), res.end('lf'))],
    ['some', 'not written at all', (res) => res.end()],
    ['some', 'announced in place', (res) => res.writeHead(200, { 'Content-Length': 9 }).end('half')],
    ['all', 'written in an encoding', (res) => res.end(Buffer.from('8 bytes.').toString('base64'), 'base64')],
    ['all', 'written in letters that take two', (res) => (res.write('éé'), res.end('éé', () => undefined))],
    ['all', 'none, as with 204', (res) => res.writeHead(204).end()],
  ])('%s: an answer whose announced length is %s', async (reached, _how, answer) => {
    const gate = fakeGate()
    const url = await guarded(gate, (_req, res) => answer(res.setHeader('content-length', 8)))
    const { socket } = await dial(url, 'GET / HTTP/1.1\r\nx-paid: 1')
    await until(() => gate.finished.length > 0)
    expect(gate.finished[0]?.reached).toBe(reached)
    socket.destroy()
  })

  test('lists and numbers stay what they are', async () => {
    const gate = fakeGate({ keeps: 100 })
    const url = await guarded(gate, (_req, res) => {
      res.setHeader('x-number', 5)
      res.writeHead(200, ['Set-Cookie', 'a=1', 'Set-Cookie', 'b=2'] as never)
      res.end('x')
    })
    const { headers } = await call(url, '/', { headers: paid })
    expect([headers['set-cookie'], headers['x-number']]).toEqual([['a=1', 'b=2'], '5'])
    expect(gate.kept[0]?.headers.filter(([name]) => name.toLowerCase() === 'set-cookie')).toHaveLength(2)
  })

  test('HTTP/2 answers get their headers and their end', async () => {
    const gate = fakeGate({ keeps: 100 })
    const http2 = createHttp2Server((req, res) => {
      void (async () => {
        const opening = await gate(incoming(req as never, res as never))
        const decision = opening.kind === 'admit' ? await opening.admit() : opening
        if (decision.kind === 'respond') return send(res as never, decision.answer)
        if (decision.kind === 'proceed') watch(res as never, decision.grant)
        res.end('x')
      })()
    }).listen(0, '127.0.0.1')
    await once(http2, 'listening')
    const session = connectHttp2(`http://127.0.0.1:${String((http2.address() as AddressInfo).port)}`)
    const ask = async (headers: Record<string, string>): Promise<Record<string, unknown>> => {
      const stream = session.request({ ':path': '/', ...headers })
      stream.resume()
      const [got] = (await once(stream, 'response')) as [Record<string, unknown>]
      await once(stream, 'close')
      return got
    }
    expect((await ask({}))[':status']).toBe(402)
    expect(await ask(paid)).toMatchObject({
      ':status': 200,
      'payment-receipt': 'receipt',
      'cache-control': 'private',
    })
    await until(() => gate.finished.length > 0)
    expect(gate.finished).toEqual([{ status: 200, reached: 'all' }])
    session.close()
    http2.close()
  })

  test.each([
    [8, 'some'],
    [5, 'all'],
  ])('HTTP/2 answers of 5 bytes that announce %i', async (announced, reached) => {
    const gate = fakeGate()
    const http2 = createHttp2Server((req, res) => {
      void gate(incoming(req as never, res as never)).then(async (opening) => {
        const decision = opening.kind === 'admit' && (await opening.admit())
        if (decision && decision.kind === 'proceed') watch(res as never, decision.grant)
        res.setHeader('content-length', announced)
        res.end('5byte')
      })
    }).listen(0, '127.0.0.1')
    await once(http2, 'listening')
    const session = connectHttp2(`http://127.0.0.1:${String((http2.address() as AddressInfo).port)}`)
    session.request({ ':path': '/', ...paid }).on('error', () => undefined)
    await until(() => gate.finished.length > 0)
    expect(gate.finished[0]?.reached).toBe(reached)
    session.destroy()
    http2.close()
  })

  test('HTTP/2 answers that are left in the middle are not complete', async () => {
    const gate = fakeGate()
    const http2 = createHttp2Server((req, res) => {
      void (async () => {
        const opening = await gate(incoming(req as never, res as never))
        const decision = opening.kind === 'admit' ? await opening.admit() : opening
        if (decision.kind === 'proceed') watch(res as never, decision.grant)
        res.write('x')
      })()
    }).listen(0, '127.0.0.1')
    await once(http2, 'listening')
    const session = connectHttp2(`http://127.0.0.1:${String((http2.address() as AddressInfo).port)}`)
    const stream = session.request({ ':path': '/', ...paid })
    await once(stream, 'data')
    stream.close(8)
    await until(() => gate.finished.length > 0)
    expect(gate.finished).toEqual([{ status: 200, reached: 'some' }])
    session.close()
    http2.close()
  })

  test.each([
    ['a socket that dies under an answer is no end of it', { socket: { destroyed: true } }, 'some'],
    ['an answer is whole when it has left', { socket: { destroyed: false } }, 'all'],
    ['so is one that was injected', { socket: { destroyed: true }, isLightMyRequest: true }, 'all'],
  ])('%s', (_what, { socket, ...kind }, reached) => {
    const gate = fakeGate()
    const native = { writeHead: String, write: String, end: String, flushHeaders: String }
    const state = { headersSent: true, statusCode: 200, writableEnded: true, writableFinished: true }
    const req = { httpVersionMajor: 1, socket }
    const res = Object.assign(new EventEmitter(), { ...native, ...state, ...kind, req })
    const finish = async (outcome: object): Promise<void> => void gate.finished.push(outcome as never)
    watch(res as never, { keeps: 0, finish } as never)
    // Node 20 emits both, however it ended.
    res.emit('finish')
    res.emit('close')
    expect(gate.finished).toEqual([{ status: 200, reached }])
  })

  test.each([204, 304])('a held %s tells no length', async (status) => {
    const gate = fakeGate({ keeps: 100 })
    const url = await guarded(gate, (_req, res) => void res.writeHead(status).end())
    const got = await call(url, '/', { headers: paid })
    expect([got.status, got.headers['content-length'], gate.kept.length]).toEqual([status, undefined, 1])
    const other = await guarded(gate, (_req, res) => {
      res.statusCode = status
      res.end()
    })
    const set = await call(other, '/', { headers: paid })
    expect([set.status, set.headers['content-length'], gate.kept.length]).toEqual([status, undefined, 2])
  })

  test('HTTP/2 bodies are read to their end, and remembered', async () => {
    const http2 = createHttp2Server((req, res) => {
      void (async () => {
        const first = await readBody(req as never, 1000)
        res.end(Buffer.concat([first, await readBody(req as never, 1000)]))
      })()
    }).listen(0, '127.0.0.1')
    await once(http2, 'listening')
    const session = connectHttp2(`http://127.0.0.1:${String((http2.address() as AddressInfo).port)}`)
    for (const body of ['{"a":1}', '']) {
      const stream = session.request({ ':path': '/', ':method': 'POST' }).setEncoding('utf8')
      stream.end(body)
      let text = ''
      for await (const chunk of stream) text += String(chunk)
      expect(text).toBe(body + body)
    }
    session.close()
    http2.close()
  })

  test('a held answer counts as ended, like any other', async () => {
    let release = (): void => undefined
    const gate = fakeGate({ keeps: 100, keeping: () => new Promise((resolve) => (release = resolve)) })
    const ended: boolean[] = []
    const url = await listen(async (req, res) => {
      const opening = await gate(incoming(req, res))
      const decision = opening.kind === 'admit' ? await opening.admit() : opening
      if (decision.kind === 'proceed') watch(res, decision.grant)
      ended.push(res.writableEnded)
      res.end('x')
      ended.push(res.writableEnded, res.writableFinished)
    })
    const answer = call(url, '/', { headers: paid })
    await until(() => gate.kept.length === 1)
    release()
    expect([(await answer).text, ended]).toEqual(['x', [false, true, false]])
  })

  test('a body that flows elsewhere already is not read twice', async () => {
    const url = await listen(async (req, res) => {
      const elsewhere: Buffer[] = []
      req.on('data', (chunk: Buffer) => elsewhere.push(chunk))
      const error = await readBody(req, 1000).catch(({ reason }: { reason: string }) => reason)
      await once(req, 'end')
      res.end(`${String(error)} ${Buffer.concat(elsewhere).toString()}`)
    })
    expect((await call(url, '/', { method: 'POST', body: 'text' })).text).toBe('consumed text')
  })
})
