import type { Answer, Gate } from '@mppkit/server'
import { Elysia, t } from 'elysia'
import { afterEach, describe, expect, test } from 'vitest'
import { fakeGate, UNPAID } from '../../node/test/lib/fake-gate.ts'
import { paid as asPaid, until } from '../../node/test/lib/wire.ts'
import { paid } from '../src/index.ts'
import { asking, MODES, stop } from './lib/modes.ts'

afterEach(stop)

describe.each(MODES)('an answer of the gate in elysia %s', (_mode, config) => {
  test('comes in one piece, with its own fields', async () => {
    const app = new Elysia(config())
      .onRequest(({ set }) => {
        set.headers['Cache-Control' as 'cache-control'] = 'public'
        set.headers['x-app'] = '1'
        set.status = 201
      })
      .get('/x', () => 'never', paid(fakeGate()))
    const ask = await asking(app, config())
    const { status, headers, rawHeaders, text } = await ask('/x')
    expect([status, text]).toEqual([402, UNPAID])
    expect(headers).toMatchObject({
      'www-authenticate': 'Payment id="a", Payment id="b"',
      'content-type': 'text/plain;charset=UTF-8',
      'cache-control': 'no-store',
      'x-app': '1',
    })
    if (!config().adapter) return
    expect([headers['content-length'], headers['transfer-encoding']]).toEqual([
      String(UNPAID.length),
      undefined,
    ])
    expect(rawHeaders.filter((name) => /^cache-control$/i.test(name))).toHaveLength(1)
  })

  test('may name its fields in any case', async () => {
    const answer: Answer = { status: 403, headers: [['Cache-Control', 'no-store']], body: 'no' }
    const gate: Gate = Object.assign(async () => ({ kind: 'respond' as const, answer }), { offers: [] })
    const app = new Elysia(config())
      .onRequest(({ set }) => void (set.headers['cache-control'] = 'public'))
      .get('/x', () => 'never', paid(gate))
    const ask = await asking(app, config())
    const { status, headers, text } = await ask('/x')
    expect([status, headers['cache-control'], text]).toEqual([403, 'no-store', 'no'])
  })

  test('is a Response for hooks of the app, who leave it alone or look into it', async () => {
    const seen: unknown[] = []
    const wrapped = new Elysia(config())
      .onAfterHandle(({ response }) => (response instanceof Response ? undefined : { data: response }))
      .get('/x', () => 'never', paid(fakeGate()))
    const copied = new Elysia(config())
      .onAfterHandle(async ({ response }) => {
        const { status, headers, ok } = response as unknown as Response
        const copy = (response as unknown as Response).clone()
        const length = (await copy.arrayBuffer()).byteLength
        seen.push([status, ok, headers.get('www-authenticate'), copy.bodyUsed, length])
      })
      .get('/x', () => 'never', paid(fakeGate()))
    const changed = new Elysia(config())
      .onAfterHandle(async ({ response }) => {
        const { headers, status } = response as unknown as Response
        const problem = await (response as unknown as Response).json()
        return new Response(`${problem.title}!`, {
          headers: { ...Object.fromEntries(headers), 'content-length': '10' },
          status,
        })
      })
      .get('/x', () => 'never', paid(fakeGate()))
    for (const [app, text] of [
      [wrapped, UNPAID],
      [copied, UNPAID],
      [changed, 'Pay first!'],
    ] as const) {
      const ask = await asking(app as never, config())
      const got = await ask('/x')
      expect([got.status, got.text, got.headers['cache-control']]).toEqual([402, text, 'no-store'])
      await stop()
    }
    expect(seen).toEqual([[402, false, 'Payment id="a", Payment id="b"', true, UNPAID.length]])
  })

  test('is none of the shapes that a route promises', async () => {
    const app = new Elysia(config()).get('/x', () => ({ a: 1 }), {
      ...paid(fakeGate()),
      response: { 200: t.Object({ a: t.Number() }), 402: t.Object({ title: t.Number() }) },
    })
    const ask = await asking(app as never, config())
    const got = await ask('/x')
    expect([got.status, got.text]).toEqual([402, UNPAID])
  })
})

test.each(MODES)(
  'a paid answer that cannot be sent in elysia %s has delivered nothing',
  async (_mode, config) => {
    const gate = fakeGate()
    const app = new Elysia(config()).get(
      '/x',
      ({ set }) => {
        set.headers['x-own'] = 'one\ntwo'
        return { a: 1 }
      },
      paid(gate),
    )
    const ask = await asking(app as never, config())
    // Without a runtime around it, Elysia rejects.
    const got = await ask('/x', { headers: asPaid }).catch(() => undefined)
    expect([got?.status ?? 500, got?.headers['payment-receipt']]).toEqual([500, undefined])
    await until(() => gate.finished.length > 0)
    expect(gate.finished[0]?.status).toBe(500)
  },
)
