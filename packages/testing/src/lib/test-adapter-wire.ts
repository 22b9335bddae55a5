import { createHash } from 'node:crypto'
import { decodeRequest } from '@mppkit/core'
import { expect } from 'vitest'
import { headOf, type Wire } from './buyer-wire.ts'
import type { Got, Raw } from './buyer.ts'
import {
  challengesOf,
  expectPaid,
  expectRefusal,
  pause,
  withCredential,
  type Bench,
} from './test-adapter-bench.ts'

/** What HTTP/1 allows on one connection, and what it does not allow but somebody sends. */
export function wireQuestions(bench: Bench): void {
  const { ask, connect, credential, quote, route, send, sign, store } = bench
  const content = route('/wire/content', { kind: 'text', body: 'the paid content' })
  const dearer = route('/wire/dearer', { kind: 'text', body: 'dearer' }, { price: { amount: '2' } })
  const echo = route('/wire/echo', { kind: 'echo' }, { verb: 'post' })
  const any = route('/wire/any', { kind: 'text', body: 'the paid content' }, { verb: 'all' })
  const small = route(
    '/wire/small',
    { kind: 'echo' },
    { verb: 'post', price: { amount: '1', maxBody: 1024 } },
  )
  const posted = (target: string, body: string): Raw => ({ target, method: 'POST', body })

  /** Runs `work` on a connection of its own. */
  async function on<T>(work: (wire: Wire) => Promise<T>): Promise<T> {
    const wire = await connect()
    try {
      return await work(wire)
    } finally {
      wire.close()
    }
  }

  /** Sends the body of a request in chunks, and a great deal more after it. */
  async function inChunks(wire: Wire, raw: Raw): Promise<Got> {
    const chunk = (text: string): string => `${text.length.toString(16)}\r\n${text}\r\n`
    wire.write(headOf(raw, [['Transfer-Encoding', 'chunked']]) + chunk(raw.body as string))
    for (let more = 0; more < 60; more += 1) wire.write(chunk('x'.repeat(5000)))
    wire.write('0\r\n\r\n')
    return wire.next(raw.method)
  }

  ask(
    'keep-alive',
    ['CORE-001', 'CORE-007', 'CORE-037'],
    'one connection carries many requests, unpaid and paid, with and without a body',
    async () => {
      let wire = await connect()
      const ids = new Set<string>()
      const next = async (raw: Raw): Promise<Got> => {
        const got = await wire.send(raw)
        expect(got.complete).toBe(true)
        if (/close/i.test(got.get('connection') ?? '')) {
          wire.close()
          wire = await connect()
        }
        return got
      }
      try {
        for (const raw of Array.from({ length: 6 }, (_, index) =>
          index % 2 === 0 ? { target: content.target } : posted(echo.target, `body ${String(index)}`),
        )) {
          const [challenge] = challengesOf(await next(raw))
          ids.add(challenge!.id)
          const got = await next(withCredential(raw, await sign(challenge!)))
          expectPaid(got)
          expect(got.text).toBe('body' in raw ? JSON.stringify({ body: raw.body }) : 'the paid content')
        }
      } finally {
        wire.close()
      }
      expect(ids.size).toBe(6)
    },
  )

  ask(
    'unread-body',
    ['CORE-059', 'CORE-139'],
    'a body that nobody wanted to read is never taken for the next request',
    async () => {
      const paid = await credential(content)
      const starts = content.starts
      const smuggled = headOf(withCredential(content, paid)).repeat(20)
      const unwanted: [raw: Raw, statuses: number[]][] = [
        [{ ...posted(small.target, smuggled.padEnd(9000)), method: 'POST' }, [413]],
        // Or a redirect of the framework itself, to a plain target.
        [posted('//wire/echo', smuggled), [400, 404, 308]],
        [{ target: any.target, method: 'OPTIONS', body: smuggled }, [204]],
        [withCredential(posted(echo.target, smuggled), `${paid}, ${paid}`), [400]],
      ]
      for (const [raw, statuses] of unwanted) {
        for (const chunked of [false, true]) {
          await on(async (wire) => {
            const got = await (chunked ? inChunks(wire, raw) : wire.send(raw))
            expect([raw.target, chunked, statuses.includes(got.status) || got.status]).toEqual([
              raw.target,
              chunked,
              true,
            ])
            // What a framework does after an answer of its own is its own matter.
            if (got.status === 308) return
            // A server may give the connection up; it must neither mistake the body nor wait for nobody.
            const after = await Promise.race([
              wire.send({ target: dearer.target }).catch(() => undefined),
              pause(3000).then(() => 'neither answered nor closed'),
            ])
            expect([raw.target, chunked, after]).not.toContain('neither answered nor closed')
            if (typeof after === 'object')
              expect(decodeRequest(challengesOf(after)[0]!.request).amount).toMatch(/^200/)
          })
        }
      }
      expect(content.starts).toBe(starts)
      expectPaid(await send(withCredential(content, paid)))
    },
  )

  ask(
    'pipelined',
    ['CORE-059', 'CORE-143', 'CORE-154'],
    'requests sent without waiting are answered in their order, and a copy among them buys nothing',
    async () => {
      const amounts = await on(async (wire) => {
        wire.write(headOf(content) + headOf(dearer) + headOf(content))
        const got: Got[] = []
        for (let count = 0; count < 3; count += 1) {
          const one = await wire.next().catch(() => undefined)
          if (one) got.push(one)
        }
        return got.map((one) => decodeRequest(challengesOf(one)[0]!.request).amount)
      })
      const [cheap, dear] = await Promise.all(
        [content, dearer].map(async (asked) => decodeRequest((await quote(asked))[0]!.request).amount),
      )
      expect(amounts.length).toBeGreaterThan(0)
      expect(amounts).toEqual([cheap, dear, cheap].slice(0, amounts.length))

      const paid = await credential(content)
      const starts = content.starts
      const statuses = await on(async (wire) => {
        wire.write(headOf(withCredential(content, paid)).repeat(3))
        const seen: number[] = []
        for (let count = 0; count < 3; count += 1) {
          const one = await wire.next().catch(() => undefined)
          if (one) seen.push(one.status)
        }
        return seen
      })
      expect(statuses.filter((status) => status === 200)).toHaveLength(1)
      expect(statuses.filter((status) => ![200, 402, 409].includes(status))).toEqual([])
      expect(content.starts).toBe(starts + 1)
    },
  )

  ask(
    'expect-continue',
    ['CORE-046', 'CORE-064'],
    'a client that waits for 100 before it sends its body is asked for it, quoted for it, and served',
    async () => {
      const body = 'sent only when asked for'
      const asking = (paid?: string): Promise<Got> =>
        on(async (wire) => {
          const raw = {
            target: echo.target,
            method: 'POST',
            headers: [['Expect', '100-continue']] as [string, string][],
          }
          const whole = paid === undefined ? raw : withCredential(raw, paid)
          wire.write(headOf(whole, [['Content-Length', String(body.length)]]))
          const first = wire.next('POST')
          const early = await Promise.race([first, pause(1000)])
          if (early && early.status !== 100) return early
          wire.write(body)
          const got = await first
          return got.status === 100 ? wire.next('POST') : got
        })
      const [challenge] = challengesOf(await asking())
      expect(challenge!.digest).toBe(`sha-256=:${createHash('sha256').update(body).digest('base64')}:`)
      const got = await asking(await sign(challenge!))
      expectPaid(got)
      expect(got.json()).toEqual({ body })
    },
  )

  ask(
    'in-pieces',
    ['CORE-064', 'CORE-065'],
    'a head and a body that come piece by piece are taken together',
    async () => {
      const raw = posted(echo.target, 'one two three four five')
      const paid = await credential(raw)
      const got = await on(async (wire) => {
        const head = headOf(withCredential(raw, paid), [['Content-Length', String(raw.body!.length)]])
        for (const piece of [
          head.slice(0, 20),
          head.slice(20, -3),
          head.slice(-3),
          'one ',
          'two thr',
          'ee four',
          ' five',
        ]) {
          wire.write(piece)
          await pause(10)
        }
        return wire.next('POST')
      })
      expectPaid(got)
      expect(got.json()).toEqual({ body: raw.body })
    },
  )

  const streamed = route('/wire/streamed', {
    kind: 'stream',
    async *chunks() {
      yield new TextEncoder().encode('one ')
      await pause(5)
      yield new TextEncoder().encode('two')
    },
  })
  ask(
    'http-1.0',
    ['CORE-001', 'CORE-007'],
    'a client of HTTP/1.0 is served whole and without chunks, or turned away by the runtime',
    async () => {
      const old = (raw: Raw): Promise<Got> =>
        on(async (wire) => {
          wire.write(headOf(raw, [], '1.0'))
          return wire.next()
        })
      for (const [asked, body] of [
        [content, 'the paid content'],
        [streamed, 'one two'],
      ] as const) {
        const first = await old(asked)
        if ([400, 426, 505].includes(first.status)) continue
        const got = await old(withCredential(asked, await sign(challengesOf(first)[0]!)))
        expectPaid(got)
        expect([got.text, got.get('transfer-encoding')]).toEqual([body, null])
      }
      expect((await send(content)).status).toBe(402)
    },
  )

  ask(
    'odd-methods',
    ['CORE-001', 'CORE-059', 'CORE-139'],
    'no spelling of a method, and no method that nobody thought of, gets the content of a route for all methods',
    async () => {
      const paid = await credential(any)
      const starts = any.starts
      const writes = store.written.length
      const methods = [
        'get',
        'Get',
        'post',
        'options',
        'head',
        'PROPFIND',
        'PURGE',
        'QUERY',
        'TRACE',
        'BREW',
        'GET2',
      ]
      for (const method of methods) {
        for (const raw of [
          { target: any.target, method },
          withCredential({ target: any.target, method }, paid),
        ]) {
          // A client that is cut off got nothing either; one runtime may read `get` as GET, which was paid for.
          if (method.toUpperCase() === 'GET' && 'headers' in raw) continue
          const got = await on((wire) => {
            wire.write(headOf(raw))
            return wire.next(method.toUpperCase())
          }).catch(() => undefined)
          if (!got) continue
          expect([method, got.text]).not.toEqual([method, 'the paid content'])
          if (got.status < 400) expect([method.toUpperCase(), got.status]).toEqual(['OPTIONS', 204])
        }
      }
      const star = await on((wire) => {
        wire.write(headOf({ method: 'OPTIONS', target: '*' }))
        return wire.next('OPTIONS')
      }).catch(() => undefined)
      expect(star?.text ?? '').not.toContain('the paid content')
      expect([any.starts, store.written.length]).toEqual([starts, writes])
      expectPaid(await send(withCredential(any, paid)))
    },
  )

  ask(
    'override-headers',
    ['CORE-001', 'CORE-059'],
    'headers by which some servers change method, path, host or protocol change no price and open nothing',
    async () => {
      const [own] = await quote(any)
      const overrides: [string, string][] = [
        ['X-HTTP-Method-Override', 'OPTIONS'],
        ['X-HTTP-Method', 'HEAD'],
        ['X-Method-Override', 'OPTIONS'],
        ['X-Original-URL', '/challenge/free'],
        ['X-Rewrite-URL', '/challenge/free'],
        ['X-Forwarded-Host', 'other.example'],
        ['X-Forwarded-Prefix', '/free'],
        ['Forwarded', 'host=other.example;proto=http'],
        [
          'X-Middleware-Subrequest',
          'src/middleware:src/middleware:src/middleware:src/middleware:src/middleware',
        ],
        ['Upgrade', 'websocket'],
      ]
      for (const header of overrides) {
        const raw = { target: any.target, headers: [header] }
        const got = await send(raw)
        expect([header[0], got.status]).toEqual([header[0], 402])
        const [challenge] = challengesOf(got)
        expect([challenge!.realm, challenge!.request]).toEqual([own!.realm, own!.request])
      }
      const paid = await credential({ target: any.target, headers: overrides.slice(0, -1) })
      expectPaid(await send(withCredential(any, paid)))
    },
  )

  ask(
    'raw-bytes',
    ['CORE-002', 'CORE-069', 'CORE-139'],
    'bytes that have no place in a header are refused, and harm nobody',
    async () => {
      const paid = await credential(content)
      const starts = content.starts
      const writes = store.written.length
      const lines = [
        'Authorization: Payment \xff\xfe\x80',
        `Authorization: ${paid}\xe9`,
        `Authorization: ${paid.slice(0, 40)}\0${paid.slice(40)}`,
        `Authorization: Payment\0${paid.slice(8)}`,
        `Authorization: ${paid.slice(0, 40)}\x7f`,
        `Authorization: ${paid.slice(0, 40)}\r${paid.slice(40)}`,
        `Authorization: ${paid.slice(0, 40)}\n${paid.slice(40)}`,
        `Authorization: ${paid.slice(0, 40)}\r\n ${paid.slice(40)}`,
        `Author\0ization: ${paid}`,
        'Idempotency-Key: \xe9\xff',
        'Accept-Payment: \xff/charge, \xe9',
        'Accept-Payment: \0',
        `X-Padding: ${'x'.repeat(200_000)}`,
        'Content-Length: -1',
        'Content-Length: 99999999999999999999999',
        'Content-Length: 5, 5',
        'Transfer-Encoding: chunked, identity, nonsense',
      ]
      for (const line of lines) {
        const got = await on((wire) => {
          wire.write(
            `GET ${content.target} HTTP/1.1\r\nHost: localhost\r\n${line}\r\nConnection: close\r\n\r\n`,
          )
          return Promise.race([wire.next().catch(() => undefined), pause(2000)])
        })
        const [name] = line.split(':')
        // Whatever the runtime does not refuse itself is asked for money.
        if (got) expect([name, got.status, got.text]).not.toEqual([name, 200, 'the paid content'])
        if (got && got.status === 402) expectRefusal(got)
        else if (got)
          expect([name, [400, 408, 411, 413, 417, 431, 501]]).toEqual([
            name,
            expect.arrayContaining([got.status]),
          ])
      }
      expect([content.starts, store.written.length]).toEqual([starts, writes])
      expectPaid(await send(withCredential(content, paid)))
    },
  )
}
