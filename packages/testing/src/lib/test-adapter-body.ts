import { createHash } from 'node:crypto'
import { gzipSync } from 'node:zlib'
import { expect } from 'vitest'
import type { Raw } from './buyer.ts'
import { headOf } from './buyer-wire.ts'
import {
  brief,
  challengesOf,
  expectPaid,
  expectRefusal,
  pause,
  withCredential,
  type Bench,
} from './test-adapter-bench.ts'

/** What a payment has to do with the request's body. */
export function bodyQuestions(bench: Bench): void {
  const { ask, credential, errors, open, pay, quote, route, send, store } = bench
  const echo = route('/body/echo', { kind: 'echo' }, { verb: 'post' })
  const put = route('/body/put', { kind: 'echo' }, { verb: 'put' })
  const loose = route(
    '/body/loose',
    { kind: 'echo' },
    { verb: 'post', price: { amount: '1', bindBody: false } },
  )
  const small = route(
    '/body/small',
    { kind: 'echo' },
    { verb: 'post', price: { amount: '1', maxBody: 1024 } },
  )
  const parsed = route('/body/parsed', { kind: 'echo' }, { verb: 'post', parseFirst: true })
  const parsedSmall = route(
    '/body/parsed-small',
    { kind: 'echo' },
    { verb: 'post', parseFirst: true, price: { amount: '1', maxBody: 1024 } },
  )
  const read = route('/body/read', { kind: 'text', body: 'read' })

  const json = (target: string, body: string): Raw => ({
    target,
    method: 'POST',
    headers: [['Content-Type', 'application/json']],
    body,
  })

  ask(
    'digest',
    ['CORE-046', 'CORE-047'],
    'a challenge for a request with a body names the body’s digest',
    async () => {
      for (const body of ['{"hello": "world"}', ' ', 'é\n'.repeat(1000)]) {
        const [challenge] = await quote(json(echo.target, body))
        expect(challenge!.digest).toBe(digestOf(body))
      }
      const [withPut] = await quote({ ...json(put.target, '{}'), method: 'PUT' })
      expect(withPut!.digest).toMatch(/^sha-256=:/)
    },
  )

  const types = [
    undefined,
    'application/json',
    'application/json; charset=utf-8',
    'application/x-www-form-urlencoded',
    'multipart/form-data; boundary=x',
    'text/plain',
    'text/event-stream',
    'application/octet-stream',
    'application/xml',
    'image/png',
    'x/y',
    'nonsense',
  ]
  ask(
    'content-types',
    ['CORE-046', 'CORE-064', 'CORE-065', 'CORE-066'],
    'a body is bound byte for byte, of whatever type, in chunks or not, valid or not',
    async () => {
      for (const type of types) {
        for (const body of [
          '{"not json',
          'a=1&b=2',
          '--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n--x--\r\n',
        ]) {
          const headers: [string, string][] = type === undefined ? [] : [['Content-Type', type]]
          const raw = { target: echo.target, method: 'POST', headers }
          for (const sent of [
            { ...raw, body },
            { ...raw, chunks: [body.slice(0, 3), body.slice(3)] },
          ]) {
            const [challenge] = await quote(sent)
            expect([type, challenge!.digest]).toEqual([type, digestOf(body)])
          }
          const paid = await credential({ ...raw, body })
          const starts = echo.starts
          for (const other of [
            { ...raw, body: `${body} ` },
            { ...raw, chunks: [body, ' '] },
          ])
            expectRefusal(await send(withCredential(other, paid)), 'verification-failed', 'invalid-challenge')
          expect([type, echo.starts]).toEqual([type, starts])
        }
      }
    },
  )

  ask(
    'binary-body',
    ['CORE-046', 'CORE-064'],
    'bytes that are no text, and bytes that are packed, are bound as they were sent',
    async () => {
      const bytes = new Uint8Array(4096).map((_, index) => (index * 7) % 256)
      const gzip: [string, string][] = [['Content-Encoding', 'gzip']]
      for (const [body, headers] of [
        [bytes, []],
        [gzipSync('{"packed":true}'), gzip],
      ] as [Uint8Array, [string, string][]][]) {
        const raw = {
          target: put.target,
          method: 'PUT',
          headers: [['Content-Type', 'application/octet-stream'] as [string, string], ...headers],
        }
        const [challenge] = await quote({ ...raw, body })
        expect(challenge!.digest).toBe(digestOf(body))
        const other = Uint8Array.from(body)
        other[other.length - 1]! ^= 1
        const paid = await bench.sign(challenge!)
        expectRefusal(await send(withCredential({ ...raw, body: other }, paid)), 'verification-failed')
        expectPaid(await send(withCredential({ ...raw, body }, paid)))
      }
    },
  )

  const erased = route('/body/erased', { kind: 'echo' }, { verb: 'delete' })
  ask(
    'other-verbs',
    ['CORE-046', 'CORE-064', 'CORE-065'],
    'a body is bound under every method that carries one',
    async () => {
      for (const [target, method] of [
        [put.target, 'PUT'],
        [erased.target, 'DELETE'],
      ] as const) {
        const raw = { target, method, headers: [['Content-Type', 'text/plain']] as [string, string][] }
        const paid = await credential({ ...raw, body: 'this one' })
        expectRefusal(await send(withCredential({ ...raw, body: 'another' }, paid)), 'verification-failed')
        const got = await send(withCredential({ ...raw, body: 'this one' }, paid))
        expectPaid(got)
        expect(got.json()).toEqual({ body: 'this one' })
      }
      // GET with a body is rare, but it must not be a way past the binding.
      const raw = {
        target: read.target,
        body: 'a body',
        headers: [['Content-Type', 'text/plain']] as [string, string][],
      }
      const [plain] = await quote(read)
      const got = await send(withCredential(raw, await bench.sign(plain!)))
      expect([200, 400, 402]).toContain(got.status)
    },
  )

  ask('no-digest', ['CORE-046', 'CORE-062'], 'a request without a body has no digest', async () => {
    for (const raw of [read, { target: echo.target, method: 'POST' }, json(echo.target, '')]) {
      const [challenge] = await quote(raw)
      expect(challenge!.digest).toBeUndefined()
    }
  })

  ask('echo', ['CORE-007', 'CORE-064'], 'the handler reads the body that was paid for', async () => {
    for (const body of ['{"a":1}', '[]', `{"long":"${'x'.repeat(200_000)}"}`]) {
      const got = await pay(json(echo.target, body))
      expectPaid(got)
      expect(got.json()).toEqual({ body })
    }
  })

  ask(
    'other-body',
    ['CORE-064', 'CORE-065', 'CORE-066', 'CORE-139'],
    'another body, more of it or none is refused and uses nothing up',
    async () => {
      const raw = json(echo.target, '{"a":1}')
      const good = await credential(raw)
      const before = [store.written.length, echo.starts]
      for (const body of ['{"a":2}', '{"a":1} ', '{"a": 1}', '', '{"a":1}{"a":1}']) {
        expectRefusal(
          await send(withCredential({ ...raw, body }, good)),
          'verification-failed',
          'invalid-challenge',
        )
      }
      const { body: _, ...without } = raw
      expectRefusal(await send(withCredential(without, good)), 'verification-failed', 'invalid-challenge')
      expect([store.written.length, echo.starts]).toEqual(before)
      expectPaid(await send(withCredential(raw, good)))
    },
  )

  ask('added-body', ['CORE-064', 'CORE-066'], 'a body where none was quoted is refused', async () => {
    const raw = { target: echo.target, method: 'POST' }
    const good = await credential(raw)
    expectRefusal(
      await send(withCredential(json(echo.target, '{"dear":true}'), good)),
      'verification-failed',
      'invalid-challenge',
    )
    expectPaid(await send(withCredential(raw, good)))
  })

  ask(
    'chunked',
    ['CORE-064', 'CORE-065'],
    'the same bytes in chunks are the same body, and reach the handler',
    async () => {
      const { body: _, ...raw } = json(echo.target, '')
      const good = await credential(json(echo.target, '{"a":1,"b":2}'))
      const got = await send(withCredential({ ...raw, chunks: ['{"a"', ':1,', '"b":2}'] }, good))
      expectPaid(got)
      expect(got.json()).toEqual({ body: '{"a":1,"b":2}' })
      const other = await credential({ ...raw, chunks: ['{"c"', ':3}'] })
      expectPaid(await send(withCredential(json(echo.target, '{"c":3}'), other)))
    },
  )

  ask(
    'unbound-body',
    [],
    'a route that does not bind the body takes any, and lets the handler read it',
    async () => {
      const [challenge] = await quote(json(loose.target, '{"a":1}'))
      expect(challenge!.digest).toBeUndefined()
      const got = await send(withCredential(json(loose.target, '{"b":2}'), await bench.sign(challenge!)))
      expectPaid(got)
      expect(got.json()).toEqual({ body: '{"b":2}' })
    },
  )

  ask('max-body', ['CORE-139'], 'a body beyond the limit of the route is 413', async () => {
    expect((await send(json(small.target, 'x'.repeat(2048)))).status).toBe(413)
    const { body: _, ...raw } = json(small.target, '')
    expect((await send({ ...raw, chunks: Array.from({ length: 40 }, () => 'x'.repeat(64)) })).status).toBe(
      413,
    )
    expect((await send(json(small.target, 'x'.repeat(1000)))).status).toBe(402)
  })

  ask(
    'announced-body',
    ['CORE-139'],
    'a body that says that it is too large is 413 before any of it has come',
    async () => {
      const before = [store.written.length, small.starts]
      for (const length of ['1025', '99999999']) {
        const wire = await bench.connect()
        wire.write(headOf({ target: small.target, method: 'POST' }, [['Content-Length', length]]))
        const got = await Promise.race([wire.next('POST'), pause(3_000)])
        wire.reset()
        expect([length, got ? brief(got) : 'no answer']).toEqual([length, expect.stringMatching(/^413 /)])
      }
      expect([store.written.length, small.starts]).toEqual(before)
    },
  )

  ask('huge-body', ['CORE-139'], 'nobody can make the server hold a huge unpaid body', async () => {
    const before = [store.written.length, echo.starts]
    const refused = await send(json(echo.target, 'x'.repeat(5_000_000))).then(
      (got) => got.status,
      () => 'cut off',
    )
    expect([413, 'cut off']).toContain(refused)
    const { body: _, ...raw } = json(echo.target, '')
    const exchange = open({ ...raw, chunks: endless() })
    const answer = await exchange.status().catch(() => 'cut off')
    expect([413, 'cut off']).toContain(answer)
    expect(exchange.sent()).toBeLessThan(32 << 20)
    exchange.reset()
    expect((await send(read)).status).toBe(402)
    expect([store.written.length, echo.starts]).toEqual(before)
  })

  ask(
    'parsed-first',
    [],
    'a body that a parser ate before the gate saw it is still bound, or is reported before anyone pays',
    async () => {
      const raw = json(parsed.target, '{"a":1}')
      const before = errors.length
      const first = await send(raw)
      if (first.status === 402) {
        const got = await pay(raw)
        expectPaid(got)
        expect(JSON.parse(got.json().body)).toEqual({ a: 1 })
        return
      }
      expect([first.status, first.text]).toEqual([500, 'handled'])
      expect(errors.slice(before)).toEqual([expect.any(Error)])
      expect(String(errors[before])).toMatch(/body/)
      expect(parsed.starts).toBe(0)
    },
  )

  ask(
    'parsed-bound',
    ['CORE-046', 'CORE-064', 'CORE-066', 'CORE-139'],
    'behind a parser, too, another body is refused, and one beyond the limit of the route',
    async () => {
      const raw = json(parsed.target, '{"a":1}')
      const first = await send(raw)
      const large = await send(json(parsedSmall.target, 'x'.repeat(2048)))
      if (first.status === 500) return expect([large.status, large.text]).toEqual([500, 'handled'])
      const [challenge] = challengesOf(first)
      expect(challenge!.digest).toBe(digestOf('{"a":1}'))
      const paid = await bench.sign(challenge!)
      const starts = parsed.starts
      for (const body of ['{"a":2}', '{"a": 1}', ''])
        expectRefusal(
          await send(withCredential({ ...raw, body }, paid)),
          'verification-failed',
          'invalid-challenge',
        )
      expect(parsed.starts).toBe(starts)
      expectPaid(await send(withCredential(raw, paid)))
      expect(brief(large)).toMatch(/^413 /)
      expect((await send(json(parsedSmall.target, 'x'.repeat(1000)))).status).toBe(402)
    },
  )
}

function digestOf(body: string | Uint8Array): string {
  return `sha-256=:${createHash('sha256').update(body).digest('base64')}:`
}

function* endless(): Generator<string> {
  const piece = 'x'.repeat(65_536)
  // Beyond any buffer of the loopback, and then some.
  for (let sent = 0; sent < 64 << 20; sent += piece.length) yield piece
}
