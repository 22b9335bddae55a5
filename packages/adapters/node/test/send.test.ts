import { EventEmitter, once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Answer } from '@mppkit/server'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { discard, send } from '../src/index.ts'
import { call, dial, pause, until } from './lib/wire.ts'

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

describe('send', () => {
  const answer = (body: Answer['body'], headers: Answer['headers'] = []): Answer => ({
    status: 402,
    headers,
    body,
  })

  test('keeps the lines of a field apart', async () => {
    const lines: Answer['headers'] = [
      ['www-authenticate', 'Payment id="a"'],
      ['www-authenticate', 'Payment id="b"'],
      ['www-authenticate', 'Payment id="c"'],
      ['x-one', '1'],
    ]
    const url = await listen((_req, res) => {
      res.setHeader('x-mine', 'stays')
      send(res, answer('body', lines))
    })
    const { rawHeaders, headers, text } = await call(url, '/')
    expect(rawHeaders.filter((field) => field === 'www-authenticate')).toHaveLength(3)
    expect([headers['x-mine'], headers['x-one'], headers['content-length'], text]).toEqual([
      'stays',
      '1',
      '4',
      'body',
    ])
  })

  test.each([
    ['text', 'é', '2'],
    ['bytes', Buffer.from('ab'), '2'],
    ['nothing', null, undefined],
  ])('knows the length of %s', async (_what, body, length) => {
    const url = await listen((_req, res) => send(res, { status: 204 + (body ? 198 : 0), headers: [], body }))
    const { headers, text } = await call(url, '/')
    expect([headers['content-length'], text]).toEqual([length, body === null ? '' : body.toString()])
  })

  test('tells no length of a 204 that was kept with a body of none', async () => {
    const url = await listen((_req, res) => send(res, { status: 204, headers: [], body: Buffer.alloc(0) }))
    const { status, headers } = await call(url, '/')
    expect([status, headers['content-length']]).toEqual([204, undefined])
  })

  test('holds nothing of an upload whose client has gone', () => {
    const listened: string[] = []
    const gone = {
      httpVersionMajor: 1,
      complete: false,
      destroyed: true,
      headers: { 'transfer-encoding': 'chunked' },
      once(event: string) {
        listened.push(event)
        return gone
      },
      resume: () => void listened.push('resume'),
    }
    discard(gone as unknown as IncomingMessage)
    expect(listened).toEqual([])
  })

  test('gives a client ten seconds for what nobody reads', () => {
    vi.useFakeTimers()
    try {
      let destroyed = 0
      const headers = { 'content-length': '10' }
      const unread = Object.assign(new EventEmitter(), { httpVersionMajor: 1, complete: false, headers })
      const late = Object.assign(unread, { resume: () => undefined, destroy: () => (destroyed += 1) })
      discard(late as unknown as IncomingMessage)
      vi.advanceTimersByTime(9_999)
      expect(destroyed).toBe(0)
      vi.advanceTimersByTime(1)
      expect(destroyed).toBe(1)
    } finally {
      vi.useRealTimers()
    }
  })

  test('passes a stream on as it is taken, and leaves nothing behind at each pause', async () => {
    let listeners = 0
    const url = await listen((_req, res) => {
      let left = 64
      const stream = new ReadableStream<Uint8Array>({
        pull(controller) {
          listeners = Math.max(listeners, res.listenerCount('drain'), res.listenerCount('close'))
          if ((left -= 1) < 0) controller.close()
          else controller.enqueue(new Uint8Array(65_536))
        },
      })
      send(res, answer(stream))
    })
    expect((await call(url, '/')).text).toHaveLength(64 * 65_536)
    expect(listeners).toBeLessThan(5)
  })

  test('passes a stream on with back-pressure, and cancels it when the client goes', async () => {
    let pulled = 0
    let cancelled = false
    const stream = (): ReadableStream<Uint8Array> =>
      new ReadableStream({
        pull(controller) {
          pulled++
          controller.enqueue(new Uint8Array(65_536))
        },
        cancel() {
          cancelled = true
        },
      })
    const url = await listen((_req, res) => send(res, answer(stream())))
    const { socket, read } = await dial(url, 'GET / HTTP/1.1')
    await read('HTTP/1.1 402')
    socket.pause()
    await pause(200)
    const before = pulled
    await pause(100)
    expect(pulled).toBe(before)
    socket.resetAndDestroy()
    await until(() => cancelled)
  })

  test('ends a stream, and gives none for HEAD', async () => {
    const url = await listen((_req, res) => send(res, answer(new Blob(['abc']).stream())))
    expect((await call(url, '/')).text).toBe('abc')
    expect((await call(url, '/', { method: 'HEAD' })).text).toBe('')
  })

  test('breaks the connection when a stream fails', async () => {
    const failing = (): ReadableStream<Uint8Array> =>
      new ReadableStream({ start: (controller) => controller.error(new Error('no')) })
    const url = await listen((_req, res) => send(res, answer(failing())))
    await expect(call(url, '/')).rejects.toThrow()
  })
})
