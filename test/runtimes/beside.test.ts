import { deliver, peerOf, type Beside, type Grant } from '@mppkit/server'
import { describe, expect, test } from 'vitest'

/* What runtimes pass beside a request, played; that they pass it is shown in the runtimes themselves. */

const request = (url = 'http://other.example/', signal?: AbortSignal): Request =>
  new Request(url, signal ? { signal } : {})

const bun = (address: string | null, url = 'http://localhost:3000/'): Beside => ({
  requestIP: () => (address === null ? null : { address }),
  url: new URL(url),
})

describe('the transport is judged by the socket', () => {
  test.each([
    ['Bun, IPv4', bun('127.0.0.1'), 'loopback', '127.0.0.1'],
    ['Bun, IPv6', bun('::1'), 'loopback', '::1'],
    ['Bun, IPv4 in IPv6', bun('::ffff:127.0.0.1'), 'loopback', '::ffff:127.0.0.1'],
    ['Bun, from elsewhere', bun('203.0.113.9'), 'plain', '203.0.113.9'],
    ['Bun with TLS', bun('203.0.113.9', 'https://0.0.0.0:443/'), 'tls', '203.0.113.9'],
    ['Bun on a Unix socket', bun(null), 'unknown', undefined],
    ['Deno, here', { remoteAddr: { hostname: '127.0.0.1' } }, 'loopback', '127.0.0.1'],
    ['Deno, from elsewhere', { remoteAddr: { hostname: '203.0.113.9' } }, 'unknown', '203.0.113.9'],
    ['Deno on a Unix socket', { remoteAddr: {} }, 'unknown', undefined],
    ['workerd', { waitUntil: () => undefined }, 'unknown', undefined],
    ['nothing', undefined, 'unknown', undefined],
  ] as const)('%s', (_name, beside, transport, remote) => {
    // Whatever the URL says: it may be what the client has sent.
    for (const url of ['http://localhost/', 'https://127.0.0.1/'])
      expect(peerOf(beside as Beside | undefined, request(url))).toEqual({ transport, remote })
  })

  test('a request that Bun does not know has no address', () => {
    expect(peerOf(bun('127.0.0.1'))).toEqual({ transport: 'unknown', remote: undefined })
  })
})

function fakeGrant() {
  const finished: unknown[] = []
  const grant = {
    headers: () => [],
    keeps: 0,
    keep: async () => undefined,
    finish: async (outcome: unknown) => void finished.push(outcome),
  } as unknown as Grant
  return { grant, finished }
}

const GONE = { status: 499, reached: 'nothing' }

describe('a buyer who has left has not been served', () => {
  test('before the handler runs', async () => {
    const { grant, finished } = fakeGrant()
    let runs = 0
    const incoming = { signal: AbortSignal.abort() }
    await deliver(grant, incoming, undefined, () => new Response(String((runs += 1))))
    expect([finished, runs]).toEqual([[GONE], 0])
  })

  test('while it runs, although the runtime takes the answer', async () => {
    for (const beside of [undefined, { completed: Promise.resolve() }]) {
      const { grant, finished } = fakeGrant()
      const gone = new AbortController()
      let cancelled = false
      const body = new ReadableStream({ cancel: () => void (cancelled = true) })
      await deliver(grant, { signal: gone.signal }, beside, () => {
        gone.abort()
        return new Response(body)
      })
      await beside?.completed
      // The handler was started: what it has done may be what the buyer came for.
      expect([finished, cancelled]).toEqual([[{ status: 499, reached: 'some' }], true])
    }
  })

  test('in the middle of a stream, although Deno says that it is done', async () => {
    const { grant, finished } = fakeGrant()
    const completed = Promise.resolve()
    const pieces = new ReadableStream({
      async pull(controller) {
        await new Promise((resolve) => setTimeout(resolve, 5))
        controller.enqueue(new Uint8Array(1))
      },
    })
    const response = await deliver(grant, {}, { completed }, () => new Response(pieces))
    const reader = response.body?.getReader()
    await reader?.read()
    await reader?.cancel()
    await completed
    expect(finished).toEqual([{ status: 200, reached: 'some' }])
  })

  test('a signal that fires when all has been sent is no leaving', async () => {
    const { grant, finished } = fakeGrant()
    const done = new AbortController()
    await deliver(grant, { signal: done.signal }, { completed: Promise.resolve() }, () => new Response('all'))
    done.abort()
    await Promise.resolve()
    expect(finished).toEqual([{ status: 200, reached: 'all' }])
  })
})
