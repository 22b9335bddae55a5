import { Agent } from 'node:http'
import { afterEach, describe, expect, test } from 'vitest'
import type { AppRoute, Reply, Serve, Served } from '../../../../testing/src/lib/adapter-app.ts'
import { fakeGate, UNPAID, type FakeGate, type FakeOptions } from './fake-gate.ts'
import { call, dial, paid, pause, until } from './wire.ts'

export interface SeamOptions {
  /** The framework normalises dot segments before it routes. */
  normalises?: boolean
  /** The runtime shows no socket, so hang-ups are seen at the next byte at best. */
  blind?: boolean
  /** The framework lists its routes: two gates are found at the start. */
  listed?: boolean
  /** The framework shows that there are two gates before the first has let anyone in. */
  early?: boolean
}

/**
 * What an adapter owes the seam, asked with a gate that has no server behind it. The whole of the protocol is asked by
 * `testAdapter`; here is only what a real gate would hide.
 */
export function askSeam(
  name: string,
  serve: Serve,
  { normalises = false, blind = false, listed = false, early = false }: SeamOptions = {},
): void {
  let open: Served | undefined
  let errors: unknown[] = []
  let starts = 0

  afterEach(() => open?.close())

  interface Asked extends Partial<Omit<AppRoute, 'gates' | 'reply'>> {
    gate?: FakeOptions
    gates?: FakeGate[]
  }

  async function start(reply: Reply, asked: Asked = {}): Promise<{ url: string; gate: FakeGate }> {
    const { gate: options, gates = [fakeGate(options)], ...route } = asked
    errors = []
    starts = 0
    const started = route.started ?? (() => undefined)
    open = await serve({
      routes: [{ verb: 'all', path: '/x', ...route, gates, reply, started: () => (starts++, started()) }],
      onError: (error) => errors.push(error),
    })
    return { url: open.url, gate: gates[0] as FakeGate }
  }

  const json: Reply = { kind: 'json', body: { ok: true } }

  describe(`${name}: an unpaid request`, () => {
    test('is answered by the gate alone', async () => {
      const { url } = await start(json)
      const { status, headers, rawHeaders, text } = await call(url, '/x')
      expect([status, text, starts]).toEqual([402, UNPAID, 0])
      expect(headers['www-authenticate']).toBe('Payment id="a", Payment id="b"')
      expect(headers['content-length']).toBe(String(UNPAID.length))
      expect(rawHeaders.filter((field) => field.toLowerCase() === 'payment-receipt')).toEqual([])
    })

    test('with HEAD gets the head only', async () => {
      const { url } = await start(json)
      const { status, headers, text } = await call(url, '/x', { method: 'HEAD' })
      expect([status, text, headers['www-authenticate']]).toEqual([402, '', 'Payment id="a", Payment id="b"'])
    })

    test('shows itself as it came', async () => {
      const { url, gate } = await start(json)
      await call(url, '/x?b=%20&a', { method: 'PUT', headers: { Authorization: ['Payment a', 'Payment b'] } })
      const [shown] = gate.shown
      expect([shown?.method, shown?.target]).toEqual(['PUT', '/x?b=%20&a'])
      expect(shown?.headers.get('authorization')).toBe('Payment a, Payment b')
      expect(shown?.headers.get('accept-payment')).toBe(null)
      if (blind) return
      expect(shown?.transport).toBe('loopback')
      expect(shown?.remote).toMatch(/127\.0\.0\.1$/)
    })

    test('passes freely where the gate asks for nothing', async () => {
      const { url, gate } = await start(json)
      const { status, headers } = await call(url, '/x', { headers: { 'x-free': '1' } })
      expect([status, headers['payment-receipt'], headers['cache-control'], starts]).toEqual([
        200,
        undefined,
        undefined,
        1,
      ])
      expect(gate.finished).toEqual([])
    })
  })

  describe(`${name}: the target`, () => {
    test('is whole under a mounted prefix', async () => {
      const { url, gate } = await start(json, { prefix: '/api/v1' })
      const { status } = await call(url, '/api/v1/x?q=1', { headers: paid })
      expect([status, gate.shown[0]?.target]).toEqual([200, '/api/v1/x?q=1'])
    })

    test('with a dot segment is what the router matched', async () => {
      const { url, gate } = await start(json, { tree: true })
      const raw = ['/x/cheap/%2e%2e/dear', '/x/cheap/../dear']
      for (const target of raw) await call(url, target)
      expect(gate.shown.map(({ target }) => target)).toEqual(normalises ? ['/x/dear', '/x/dear'] : raw)
    })
  })

  describe(`${name}: a paid answer`, () => {
    const chunks = async function* (): AsyncIterable<Uint8Array> {
      yield Buffer.from('one')
    }
    const good: Reply[] = [
      json,
      { kind: 'json', body: {}, status: 201, headers: [['cache-control', 'public']] },
      { kind: 'text', body: 'hello' },
      { kind: 'bytes', body: Buffer.from([1, 2, 3]) },
      { kind: 'empty', status: 204 },
      { kind: 'stream', chunks },
      { kind: 'cookies' },
    ]
    test.each(
      good.map((reply) => [`${reply.kind} ${'status' in reply ? String(reply.status) : ''}`, reply] as const),
    )('carries what the grant gives: %s', async (_kind, reply) => {
      const { url, gate } = await start(reply)
      const { status, headers } = await call(url, '/x', { headers: paid })
      expect(status).toBeLessThan(300)
      expect([headers['payment-receipt'], headers['cache-control']]).toEqual(['receipt', 'private'])
      if (reply.kind === 'cookies') expect(headers['set-cookie']).toEqual(['a=1', 'b=2'])
      await until(() => gate.finished.length > 0)
      expect(gate.finished).toEqual([{ status, reached: 'all' }])
    })

    const other: Reply[] = [
      { kind: 'json', body: {}, status: 404 },
      { kind: 'text', body: 'broken', status: 500 },
      { kind: 'redirect', to: '/elsewhere', status: 303 },
      { kind: 'empty', status: 304 },
      { kind: 'throw' },
    ]
    test.each(
      other.map(
        (reply) => [`${reply.kind} ${'status' in reply ? String(reply.status) : ''}`, reply] as const,
      ),
    )('carries no receipt: %s', async (_kind, reply) => {
      const { url, gate } = await start(reply)
      const { status, headers } = await call(url, '/x', { headers: paid })
      expect(status).toBeGreaterThan(299)
      expect([headers['payment-receipt'], headers['cache-control']]).toEqual([undefined, 'no-store'])
      await until(() => gate.finished.length > 0)
      expect(gate.finished).toEqual([{ status, reached: 'all' }])
      if (reply.kind === 'throw') expect(errors).toHaveLength(1)
    })

    test('streams: its first byte leaves before its last is made', async () => {
      let release = (): void => undefined
      const gateOpen = new Promise<void>((resolve) => (release = resolve))
      const { url } = await start({
        kind: 'stream',
        async *chunks() {
          yield Buffer.from('first')
          await gateOpen
          yield Buffer.from('last')
        },
      })
      const { read, socket } = await dial(url, 'GET /x HTTP/1.1\r\nx-paid: yes')
      expect(await read('first')).toMatch(/payment-receipt: receipt/i)
      release()
      await read('last')
      socket.destroy()
    })

    test('lets the handler read its payment', async () => {
      const { url } = await start({ kind: 'payment' })
      const { text } = await call(url, '/x', { headers: paid })
      expect(JSON.parse(text)).toMatchObject({ id: 'quote', attempt: 1, method: 'toy', reference: 'r1' })
    })
  })

  describe(`${name}: the end`, () => {
    test('is reported once when the client goes before the first byte', async () => {
      const { url, gate } = await start(json, { started: () => new Promise(() => undefined) })
      const { socket } = await dial(url, 'GET /x HTTP/1.1\r\nx-paid: yes')
      await until(() => starts === 1)
      const { signal } = gate.shown[0] ?? {}
      socket.resetAndDestroy()
      if (blind) return
      await until(() => gate.finished.length > 0)
      expect(gate.finished).toEqual([{ status: 499, reached: 'some' }])
      expect(signal?.aborted).toBe(true)
    })

    test('is reported once when the client goes in the middle', async () => {
      const { url, gate } = await start({
        kind: 'stream',
        async *chunks() {
          for (;;) {
            yield Buffer.from('more')
            await pause(20)
          }
        },
      })
      const { socket, read } = await dial(url, 'GET /x HTTP/1.1\r\nx-paid: yes')
      await read('more')
      socket.resetAndDestroy()
      await until(() => gate.finished.length > 0)
      await pause(60)
      expect(gate.finished).toEqual([{ status: 200, reached: 'some' }])
    })

    test('is reported once when the client goes while the payment is settled, and no handler runs', async () => {
      let release = (): void => undefined
      const settled = new Promise<void>((resolve) => (release = resolve))
      const { url, gate } = await start(json, { gate: { settling: () => settled } })
      const { socket } = await dial(url, 'GET /x HTTP/1.1\r\nx-paid: yes')
      await until(() => gate.shown.length === 1)
      socket.resetAndDestroy()
      await pause(50)
      release()
      await until(() => gate.finished.length > 0)
      await pause(20)
      expect(gate.finished).toHaveLength(1)
      if (!blind) expect([gate.finished[0], starts]).toEqual([{ status: 499, reached: 'nothing' }, 0])
    })

    test('is reported once when the handler breaks off', async () => {
      const { url, gate } = await start({ kind: 'break', first: Buffer.from('first') })
      await expect(call(url, '/x', { headers: paid })).rejects.toThrow()
      await until(() => gate.finished.length > 0)
      await pause(20)
      expect(gate.finished).toEqual([{ status: 200, reached: 'some' }])
    })
  })

  describe(`${name}: keeping`, () => {
    test('an answer in one piece is kept before its first byte', async () => {
      let release = (): void => undefined
      const keeping = (): Promise<void> => new Promise((resolve) => (release = resolve))
      const { url, gate } = await start(
        { kind: 'json', body: { ok: true }, headers: [['x-mine', '1']] },
        { gate: { keeps: 1000, keeping } },
      )
      let answered = false
      const answer = call(url, '/x', { headers: paid }).finally(() => (answered = true))
      await until(() => gate.kept.length === 1)
      await pause(50)
      expect([answered, gate.finished]).toEqual([false, []])
      release()
      const { status, text, headers } = await answer
      const [kept] = gate.kept
      expect([status, text, headers['payment-receipt']]).toEqual([200, '{"ok":true}', 'receipt'])
      expect([kept?.status, Buffer.from(kept?.body ?? '').toString()]).toEqual([200, '{"ok":true}'])
      expect(kept?.headers).toContainEqual(['x-mine', '1'])
      expect(kept?.headers).toContainEqual(['payment-receipt', 'receipt'])
      expect(kept?.headers.find(([field]) => field === 'content-type')?.[1]).toMatch(/^application\/json/)
      await until(() => gate.finished.length > 0)
      expect(gate.finished).toEqual([{ status: 200, reached: 'all' }])
    })

    test('every line of a field is kept', async () => {
      const { url, gate } = await start({ kind: 'cookies' }, { gate: { keeps: 1000 } })
      await call(url, '/x', { headers: paid })
      expect(gate.kept[0]?.headers.filter(([field]) => field === 'set-cookie')).toEqual([
        ['set-cookie', 'a=1'],
        ['set-cookie', 'b=2'],
      ])
    })

    test('an answer without content is kept', async () => {
      const { url, gate } = await start(
        { kind: 'redirect', to: '/elsewhere', status: 303 },
        { gate: { keeps: 1000 } },
      )
      const { status, headers } = await call(url, '/x', { headers: paid })
      expect([status, headers['location']]).toEqual([303, '/elsewhere'])
      expect(gate.kept[0]?.headers).toContainEqual(['location', '/elsewhere'])
    })

    test('a stream is neither kept nor held', async () => {
      let release = (): void => undefined
      const last = new Promise<void>((resolve) => (release = resolve))
      const chunks = async function* (): AsyncIterable<Uint8Array> {
        yield Buffer.from('first')
        await last
        yield Buffer.from('last')
      }
      const { url, gate } = await start({ kind: 'stream', chunks }, { gate: { keeps: 1000 } })
      const { read, socket } = await dial(url, 'GET /x HTTP/1.1\r\nx-paid: yes')
      expect(await read('first')).toMatch(/payment-receipt: receipt/i)
      release()
      await read('last')
      await until(() => gate.finished.length > 0)
      expect([gate.kept, gate.finished]).toEqual([[], [{ status: 200, reached: 'all' }]])
      socket.destroy()
    })

    test('a larger answer is not kept', async () => {
      const { url, gate } = await start({ kind: 'text', body: 'x'.repeat(2000) }, { gate: { keeps: 1000 } })
      const { text } = await call(url, '/x', { headers: paid })
      expect([text.length, gate.kept]).toEqual([2000, []])
    })

    test('nothing is kept when the gate keeps nothing', async () => {
      const { url, gate } = await start(json)
      await call(url, '/x', { headers: paid })
      expect(gate.kept).toEqual([])
    })
  })

  describe(`${name}: the request's body`, () => {
    const text = JSON.stringify({ a: 1.5, b: 'é'.repeat(40_000) })
    const pieces = async function* (): AsyncIterable<Uint8Array> {
      const bytes = Buffer.from(text)
      for (let at = 0; at < bytes.length; at += 20_000) {
        yield bytes.subarray(at, at + 20_000)
        await pause(5)
      }
    }
    const bodies = {
      whole: text,
      small: '{}',
      chunked: pieces(),
      'chunked small': [Buffer.from('{}')],
      empty: '',
    }
    test.each(Object.entries(bodies))('is given back: %s', async (kind, body) => {
      const { url, gate } = await start({ kind: 'echo' }, { gate: { limit: 1_000_000 } })
      const agent = new Agent({ keepAlive: true, maxSockets: 1 })
      const headers = { ...paid, 'content-type': 'application/json' }
      const sent = typeof body === 'string' ? body : kind === 'chunked' ? text : '{}'
      const answer = await call(url, '/x', { method: 'POST', headers, body: body as string, agent })
      expect([answer.status, JSON.parse(answer.text)]).toEqual([200, { body: sent }])
      expect(Buffer.from(gate.bodies[0] ?? []).toString()).toBe(sent)
      const second = await call(url, '/x', { method: 'POST', headers, body: '{"second":1}', agent })
      expect(JSON.parse(second.text)).toEqual({ body: '{"second":1}' })
      agent.destroy()
    })

    test('need not be read by anyone: the connection stays whole', async () => {
      const { url } = await start(json, { gate: { limit: 1_000_000 } })
      const agent = new Agent({ keepAlive: true, maxSockets: 1 })
      for (const body of [text, pieces(), '', text]) {
        const { status } = await call(url, '/x', { method: 'POST', headers: paid, body, agent })
        expect(status).toBe(200)
      }
      agent.destroy()
    })

    test('is remembered where the framework parses first', async () => {
      const { url, gate } = await start({ kind: 'echo' }, { gate: { limit: 1_000_000 }, parseFirst: true })
      const headers = { ...paid, 'content-type': 'application/json' }
      const { status, text: got } = await call(url, '/x', { method: 'POST', headers, body: '{ "a": 1 }' })
      expect([status, JSON.parse(got)]).toEqual([200, { body: '{ "a": 1 }' }])
      expect(Buffer.from(gate.bodies[0] ?? []).toString()).toBe('{ "a": 1 }')
    })

    const big = async function* (): AsyncIterable<Uint8Array> {
      for (let i = 0; i < 80; i++) yield Buffer.alloc(65_536)
    }
    test.each([
      ['by its Content-Length', Buffer.alloc(80 * 65_536)],
      ['by its chunks', big()],
    ])('of 5 MB is refused %s, and the client hears of it', async (_how, body) => {
      const { url } = await start({ kind: 'echo' }, { gate: { limit: 1_048_576 } })
      const { status } = await call(url, '/x', { method: 'POST', headers: paid, body })
      expect([status, starts]).toEqual([413, 0])
    })

    test('that breaks off reaches no handler', async () => {
      const { url } = await start({ kind: 'echo' }, { gate: { limit: 1000 } })
      const { socket } = await dial(url, 'POST /x HTTP/1.1\r\nx-paid: yes\r\ncontent-length: 10')
      socket.write('12345')
      await pause(30)
      socket.resetAndDestroy()
      await pause(50)
      expect(starts).toBe(0)
    })
  })

  describe(`${name}: mistakes`, () => {
    test('a second gate throws before the handler, and names the remedy', async () => {
      const gates = [fakeGate(), fakeGate()] as const
      if (listed) {
        const failed = await start(json, { gates: [...gates] }).catch((error: unknown) => error)
        expect(failed).toBeInstanceOf(TypeError)
        expect(String(failed)).toContain('amount: (request) =>')
        return
      }
      const { url } = await start(json, { gates: [...gates] })
      const { status, headers } = await call(url, '/x', { headers: paid })
      expect([status, headers['payment-receipt'], starts]).toEqual([500, undefined, 0])
      expect(errors[0]).toBeInstanceOf(TypeError)
      expect(String(errors[0])).toContain('amount: (request) =>')
      expect(gates[1].shown).toEqual([])
      if (early) return
      await until(() => gates[0].finished.length > 0)
      expect(gates[0].finished[0]?.status).toBe(500)
    })

    test('payment() where no gate stands throws', async () => {
      const { url } = await start({ kind: 'payment' }, { gates: [] })
      const { status } = await call(url, '/x')
      expect(status).toBe(500)
      expect(errors[0]).toBeInstanceOf(TypeError)
    })
  })
}
