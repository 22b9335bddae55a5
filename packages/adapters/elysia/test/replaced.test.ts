import { Elysia, status } from 'elysia'
import { afterEach, describe, expect, test } from 'vitest'
import { fakeGate, UNPAID } from '../../node/test/lib/fake-gate.ts'
import { paid as asPaid, pause, until } from '../../node/test/lib/wire.ts'
import { paid } from '../src/index.ts'
import { asking, MODES, stop, type App } from './lib/modes.ts'

afterEach(stop)

type Verb =
  | 'all'
  | 'get'
  | 'post'
  | 'group'
  | 'guard'
  | 'use'
  | 'onRequest'
  | 'onAfterHandle'
  | 'onError'
  | Hook
type Hook = 'onBeforeHandle' | 'onTransform' | 'derive' | 'resolve'

/** An app of which no types are asked. */
type Any = App & { [name in Verb]: (...given: unknown[]) => Any }

const TEXT = { method: 'POST', headers: { 'content-type': 'text/plain' }, body: 'x' }
const PAID_TEXT = { ...TEXT, headers: { ...TEXT.headers, ...asPaid } }
const ASKED = [{}, { headers: asPaid }, TEXT, PAID_TEXT]

const nothing = (): undefined => undefined

describe.each(MODES)('hooks beside a gate in elysia %s', (_mode, config) => {
  const compiles = config().aot !== false
  const tells = config().adapter !== undefined
  let errors: unknown[] = []
  let starts = 0

  function make(): Any {
    errors = []
    starts = 0
    return new Elysia(config()).onError(({ error }) => void errors.push(error)) as never
  }
  const handler = (): string => ((starts += 1), 'content')

  type Mount = (app: Any, hooks: object) => unknown
  const spread = (hooks: object): object => ({ ...hooks, beforeHandle: nothing })
  const MOUNTS: [name: string, mount: Mount][] = [
    ['a route', (app, hooks) => app.all('/x', handler, spread(hooks))],
    [
      'a route of an app with hooks',
      (app, hooks) => app.derive(() => ({ a: 1 })).all('/x', handler, spread(hooks)),
    ],
    [
      'a route of a guard',
      (app, hooks) => app.guard(spread(hooks), (inner: Any) => inner.all('/x', handler)),
    ],
    ['a group', (app, hooks) => app.group('', spread(hooks), (inner: Any) => inner.all('/x', handler))],
    [
      'a scope',
      (app, hooks) =>
        app
          .use(
            (new Elysia({ aot: config().aot ?? true }) as never as Any).guard({
              as: 'scoped',
              ...spread(hooks),
            }),
          )
          .all('/x', handler),
    ],
  ]

  test.each(MOUNTS)('a beforeHandle that replaces the gate’s is a TypeError: %s', async (_where, mount) => {
    const gate = fakeGate({ limit: 10 })
    const app = make()
    mount(app, paid(gate))
    const ask = await asking(app, config())
    for (const asked of ASKED) {
      const got = await ask('/x', asked)
      expect([got.status, got.text]).toEqual([500, expect.not.stringMatching(/^content/)])
      expect(errors.at(-1)).toBeInstanceOf(TypeError)
      expect(String(errors.at(-1))).toContain('app.guard(')
    }
    expect(gate.finished).toEqual([])
    // Compiled, before the handler; otherwise after it.
    expect(starts > 0).toBe(!compiles)
  })

  test('so it is after the gate has guarded another route, alone and first of all hooks', async () => {
    const hooks = paid(fakeGate())
    const app = new Elysia(config()) as never as Any
    app.get('/y', handler, hooks).get('/z', handler, hooks).get('/x', handler, spread(hooks))
    const ask = await asking(app, config())
    for (const headers of [{}, asPaid]) {
      const got = await ask('/x', { headers })
      expect([got.status, got.text]).toEqual([500, expect.stringContaining('app.guard(')])
      for (const path of ['/y', '/z']) expect((await ask(path)).text).toBe(UNPAID)
    }
  })

  test('a beforeHandle before the gate’s, in one list, is none', async () => {
    const gate = fakeGate()
    const hooks = paid(gate)
    const refuse = ({ query }: { query: Record<string, string> }): unknown =>
      query['refuse'] ? status(401, 'refused') : undefined
    const app = make()
    app.get('/x', handler, { ...hooks, beforeHandle: [refuse, hooks.beforeHandle] })
    const ask = await asking(app, config())
    const seen: number[] = []
    for (const headers of [{}, asPaid])
      for (const path of ['/x', '/x?refuse=1']) seen.push((await ask(path, { headers })).status)
    expect([seen, errors]).toEqual([[402, 401, 200, 401], []])
  })

  test('a parse that replaces the gate’s may leave the body to it, or is an error', async () => {
    const gate = fakeGate({ limit: 10 })
    const app = make()
    app
      .post('/left', handler, { ...paid(gate), parse: nothing })
      .post('/read', handler, {
        ...paid(gate),
        parse: ({ request }: { request: Request }) => request.text(),
      })
      .post('/named', handler, { ...paid(gate), parse: 'text' })
    const ask = await asking(app, config())
    for (const path of ['/read', '/named']) {
      expect((await ask(path, TEXT)).status).toBe(500)
      expect(String(errors.at(-1))).toContain('app.guard(')
      expect((await ask(path, PAID_TEXT)).status).toBe(500)
    }
    expect([starts, gate.finished]).toEqual([0, []])
    // Elysia has parsed a text by then; what nobody parses is there to be read.
    const own = { 'content-type': 'application/x-own' }
    expect((await ask('/left', { ...TEXT, headers: own })).status).toBe(402)
    expect((await ask('/left', { ...TEXT, headers: { ...own, ...asPaid } })).status).toBe(200)
    expect(gate.bodies.map((bytes) => Buffer.from(bytes).toString())).toEqual(['x', 'x'])
  })

  test('without the gate’s afterResponse, Node tells the end; elsewhere an unpaid request makes it a TypeError', async () => {
    const gate = fakeGate()
    const app = make()
    app
      .get('/x', handler, { ...paid(gate), afterResponse: nothing })
      .get('/whole', () => 'whole', paid(fakeGate()))
    const ask = await asking(app, config())
    for (const path of ['/x', '/whole']) expect((await ask(path)).status).toBe(402)
    await pause(1100)
    expect((await ask('/whole', { headers: asPaid })).text).toBe('whole')
    const seen = [(await ask('/x')).status, (await ask('/x', { headers: asPaid })).status]
    if (tells) {
      expect(seen).toEqual([402, 200])
      await until(() => gate.finished.length > 0)
      expect(gate.finished).toEqual([{ status: 200, reached: 'all' }])
    } else {
      expect([seen, starts, gate.finished]).toEqual([[500, 500], 0, []])
      expect(errors.at(-1)).toBeInstanceOf(TypeError)
      expect(String(errors.at(-1))).toContain('app.guard(')
    }
  })

  test('a hook of the app that fails after the gate has answered says nothing of the gate', async () => {
    const gate = fakeGate()
    const app = new Elysia(config()) as never as Any
    let fails = true
    app
      .onAfterHandle(() => {
        if (fails) throw new Error('of the app')
      })
      .get('/x', handler, paid(gate))
    const ask = await asking(app, config())
    // Not compiled, Elysia sends what there was when a hook failed.
    expect((await ask('/x')).status).toBe(compiles ? 500 : 402)
    await pause(1100)
    fails = false
    expect((await ask('/x')).status).toBe(402)
  })

  test.each(['mapResponse', 'error', 'resolve', 'transform', 'afterHandle'])(
    'a %s of the route’s own leaves a paid answer its receipt, and its end',
    async (name) => {
      const gate = fakeGate({ keeps: 100 })
      const app = make()
      app
        .get('/x', handler, { ...paid(gate), [name]: nothing })
        .get('/throws', () => Promise.reject(new Error('no')), { ...paid(gate), [name]: nothing })
      const ask = await asking(app, config())
      expect((await ask('/x')).text).toBe(UNPAID)
      const got = await ask('/x', { headers: asPaid })
      expect([got.status, got.text, got.headers['payment-receipt']]).toEqual([200, 'content', 'receipt'])
      expect((await ask('/throws', { headers: asPaid })).status).toBe(500)
      await until(() => gate.finished.length === 2)
      expect(gate.finished[0]).toEqual({ status: 200, reached: 'all' })
      expect(gate.finished[1]?.status).toBe(500)
    },
  )

  const HOOKS: Hook[] = ['onBeforeHandle', 'onTransform', 'derive', 'resolve']
  const ANSWERS: [name: string, answer: () => unknown, hooks: Hook[]][] = [
    ['status(200)', () => status(200, 'cached'), HOOKS],
    ['status(201)', () => status(201, 'cached'), HOOKS],
    ['a text', () => 'cached', ['onBeforeHandle']],
    ['a Response', () => new Response('cached'), ['onBeforeHandle']],
    ['a redirect', () => Response.redirect('https://example.com/y', 302), ['onBeforeHandle']],
  ]
  test.each(ANSWERS)(
    'a hook of the app that answers with %s between the gate’s opening and its word is a TypeError',
    async (_name, answer, hooks) => {
      for (const hook of hooks) {
        const gate = fakeGate({ limit: 10 })
        const app = make()
        app[hook](answer).post('/x', handler, paid(gate))
        const ask = await asking(app, config())
        for (const asked of [TEXT, PAID_TEXT]) {
          const got = await ask('/x', asked)
          expect([got.status, got.text]).toEqual([500, expect.not.stringMatching(/^cached/)])
          expect(errors.at(-1)).toBeInstanceOf(TypeError)
          expect(String(errors.at(-1))).toContain('belong into onRequest')
        }
        expect([starts, gate.finished]).toEqual([0, []])
        await stop()
      }
    },
  )

  test.each([401, 403, 404, 422, 429, 503])(
    'a refusal of the app before the gate passes: %i',
    async (code) => {
      for (const hook of HOOKS) {
        const gate = fakeGate({ limit: 10 })
        const app = make()
        app[hook](() => status(code as 401, 'refused')).all('/x', handler, paid(gate))
        const ask = await asking(app, config())
        for (const asked of ASKED) {
          const got = await ask('/x', asked)
          expect([got.status, got.text]).toEqual([code, 'refused'])
        }
        expect([errors, starts, gate.finished]).toEqual([[], 0, []])
        await stop()
      }
    },
  )

  test('errors of the app before the gate, and routes that are not there, are answered as ever', async () => {
    const gate = fakeGate({ limit: 10 })
    const app = new Elysia(config()) as never as Any
    app
      .onError(({ code, set }: { code: unknown; set: { status: number } }) => {
        if (code === 'NOT_FOUND') return
        set.status = 200
        return 'mended'
      })
      .onBeforeHandle(() => Promise.reject(new Error('of the app')))
      .all('/x', handler, paid(gate))
    const ask = await asking(app, config())
    for (const asked of ASKED) {
      const got = await ask('/x', asked)
      expect([got.status, got.text]).toEqual([200, 'mended'])
      expect((await ask('/y', asked)).status).toBe(404)
    }
    expect([starts, gate.finished]).toEqual([0, []])
  })

  test('who has paid finds nothing of the answer before there is one', async () => {
    const seen: string[][] = []
    const app = make()
    app.post('/x', ({ set }: { set: { headers: object } }) => void seen.push(Object.keys(set.headers)), {
      ...paid(fakeGate({ limit: 10 })),
    })
    const ask = await asking(app, config())
    expect((await ask('/x', PAID_TEXT)).headers['payment-receipt']).toBe('receipt')
    expect(seen).toEqual([[]])
  })

  test('who need not pay is let in, and onRequest of the app answers before any gate', async () => {
    const gate = fakeGate({ limit: 10 })
    const app = make()
    let cached: string | undefined
    app.onRequest(() => cached).all('/x', handler, paid(gate))
    const ask = await asking(app, config())
    for (const { headers, ...asked } of [{ headers: {} }, TEXT])
      expect((await ask('/x', { ...asked, headers: { ...headers, 'x-free': '1' } })).text).toBe('content')
    cached = 'cached'
    for (const asked of ASKED) expect((await ask('/x', asked)).text).toBe('cached')
    expect([errors, gate.finished]).toEqual([[], []])
  })

  test('routes beside a group with a gate stay free', async () => {
    const hooks = paid(fakeGate())
    const app = make()
    app.group('/group', (inner: Any) => inner.guard(hooks).get('/x', handler)).all('/free', handler)
    const ask = await asking(app, config())
    expect((await ask('/group/x')).status).toBe(402)
    for (const asked of ASKED) expect((await ask('/free', asked)).text).toBe('content')
  })
})
