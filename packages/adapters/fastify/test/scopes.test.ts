import type { FastifyInstance } from 'fastify'
import { describe, expect, test } from 'vitest'
import { fakeGate } from '../../node/test/lib/fake-gate.ts'
import { call, paid as asPaid } from '../../node/test/lib/wire.ts'
import { paid, payment } from '../src/index.ts'
import { caught, listen, make, shop } from './lib/app.ts'

describe('fastify: the plugin', () => {
  const routes = async (scope: FastifyInstance): Promise<void> => {
    scope.get('/a', (request) => payment(request).id)
  }

  test('guards its scope and those below, and nothing beside or above', async () => {
    const app = make()
    app.get('/free', () => 'free')
    app.register(async (scope) => {
      // Declared before the plugin, and while it waits to be loaded: Fastify gives both the hooks of the scope.
      scope.get('/before', (request) => payment(request).id)
      scope.register(paid(fakeGate()).plugin)
      scope.get('/after', (request) => payment(request).id)
      scope.register(routes, { prefix: '/below' })
      scope.register(async (deep) => void deep.register(routes, { prefix: '/deep' }))
    })
    app.register(routes, { prefix: '/beside' })
    const url = await listen(app)
    for (const path of ['/before', '/after', '/below/a', '/deep/a']) {
      expect([path, (await call(url, path)).status]).toEqual([path, 402])
      expect([path, (await call(url, path, { headers: asPaid })).text]).toEqual([path, 'quote'])
    }
    expect((await call(url, '/free')).text).toBe('free')
    expect((await call(url, '/beside/a')).status).toBe(500)
  })

  test('asks nothing for what is not there', async () => {
    const gate = fakeGate()
    const app = make()
    app.register(
      async (scope) => {
        scope.register(paid(gate).plugin)
        scope.setNotFoundHandler((_request, reply) => reply.code(404).send('nothing here'))
        scope.get('/lost', (_request, reply) => reply.callNotFound())
      },
      { prefix: '/p' },
    )
    app.setNotFoundHandler((_request, reply) => reply.code(404).send('nothing at all'))
    const url = await listen(app)
    expect((await call(url, '/p/none')).text).toBe('nothing here')
    expect((await call(url, '/none', { headers: asPaid })).text).toBe('nothing at all')
    expect(gate.shown).toEqual([])
    expect((await call(url, '/p/lost')).status).toBe(402)
    const { status, text, headers } = await call(url, '/p/lost', { headers: asPaid })
    expect([status, text, headers['payment-receipt']]).toEqual([404, 'nothing here', undefined])
    expect(gate.finished).toEqual([{ status: 404, reached: 'all' }])
  })

  test('asks before an error handler of its scope, which keeps its say', async () => {
    const gate = fakeGate()
    const app = make()
    app.register(async (scope) => {
      scope.register(paid(gate).plugin)
      scope.setErrorHandler((_error, _request, reply) => reply.code(502).send('scope'))
      const fail = (): never => {
        throw new Error('no')
      }
      scope.get('/a', fail)
      scope.get('/b', { errorHandler: (_error, _request, reply) => void reply.code(503).send('route') }, fail)
    })
    const url = await listen(app)
    for (const [path, expected] of [
      ['/a', [502, 'scope', undefined]],
      ['/b', [503, 'route', undefined]],
    ] as const) {
      const { status, text, headers } = await call(url, path, { headers: asPaid })
      expect([status, text, headers['payment-receipt']]).toEqual(expected)
    }
    expect(gate.finished.map(({ status }) => status)).toEqual([502, 503])
  })

  test('is no key of the options, and the options can be spread and used again', async () => {
    const { mpp } = await shop()
    const gate = mpp.charge({ amount: '1' })
    expect(Object.keys({ ...gate })).toEqual(['preParsing', 'preHandler'])
    const app = make()
    app.route({ method: ['GET', 'POST'], url: '/a', ...gate, handler: () => 'a' })
    app.get('/', gate, () => 'root')
    app.register(async (scope) => void scope.get('/', gate, () => 'b'), { prefix: '/b' })
    const url = await listen(app)
    for (const path of ['/a', '/', '/b', '/b/']) expect((await call(url, path)).status).toBe(402)
    expect((await call(url, '/a', { method: 'POST' })).status).toBe(402)
  })
})

describe('fastify: two gates', () => {
  const gate = () => paid(fakeGate())
  const mistakes: Record<string, (app: FastifyInstance) => unknown> = {
    'a plugin, and a route after it': (app) => {
      app.register(gate().plugin)
      app.get('/x', gate(), () => 'x')
    },
    'a route, and a plugin after it': (app) => {
      app.get('/x', gate(), () => 'x')
      app.register(gate().plugin)
    },
    'a plugin that has been awaited': async (app) => {
      await app.register(gate().plugin)
      app.get('/x', gate(), () => 'x')
    },
    'a plugin above, and a route below': (app) => {
      app.register(gate().plugin)
      app.register(async (below) => {
        below.register(async (deep) => void deep.get('/x', gate(), () => 'x'))
      })
    },
    'two plugins in one scope': (app) => app.register(gate().plugin).register(gate().plugin),
    'one plugin twice': (app) => {
      const { plugin } = gate()
      app.register(plugin).register(plugin)
    },
    'a plugin above, and a plugin below': (app) => {
      app.register(gate().plugin)
      app.register(async (below) => void below.register(gate().plugin))
    },
  }
  test.each(Object.entries(mistakes))('are found at the start: %s', async (_name, make2) => {
    const app = make()
    const failed = await (async () => {
      await make2(app)
      await app.ready()
    })().catch((error: unknown) => error)
    expect(failed).toBeInstanceOf(TypeError)
    expect(String(failed)).toContain('amount: (request) =>')
  })

  const fine: Record<string, (app: FastifyInstance) => unknown> = {
    'side by side': (app) => {
      app.register(async (scope) => void scope.register(gate().plugin).get('/a', () => 'a'))
      app.register(async (scope) => void scope.get('/b', gate(), () => 'b'))
      app.get('/c', gate(), () => 'c')
    },
    'a plugin after a scope that it does not reach': (app) => {
      app.register(async (scope) => void scope.get('/a', gate(), () => 'a'))
      app.register(gate().plugin)
    },
    'one gate in two apps': async (app) => {
      const shared = gate()
      const other = make()
      other.register(shared.plugin)
      await other.ready()
      await other.close()
      app.get('/a', shared, () => 'a')
    },
  }
  test.each(Object.entries(fine))('are none: %s', async (_name, build) => {
    const app = make()
    await build(app)
    await app.ready()
  })

  test('that cannot be seen at the start are an error before money moves', async () => {
    const gates = [fakeGate(), fakeGate()]
    const options = gates.map(paid)
    let starts = 0
    const app = make()
    app.get(
      '/x',
      {
        preParsing: options.map(({ preParsing }) => preParsing),
        preHandler: options.map(({ preHandler }) => preHandler),
      },
      () => void (starts += 1),
    )
    const errors = caught(app)
    const url = await listen(app)
    for (const headers of [asPaid, { 'x-free': '1' }])
      expect((await call(url, '/x', { headers })).status).toBe(500)
    expect(errors).toEqual([expect.any(TypeError), expect.any(TypeError)])
    expect(String(errors[0])).toContain('amount: (request) =>')
    expect([starts, gates[0]?.finished, gates[1]?.shown]).toEqual([0, [], []])
  })
})
