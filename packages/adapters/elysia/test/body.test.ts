import { BodyError } from '@mppkit/server'
import { Elysia, t } from 'elysia'
import { afterEach, describe, expect, test } from 'vitest'
import { fakeGate, type FakeGate } from '../../node/test/lib/fake-gate.ts'
import { paid as asPaid, pause, until, type Reply } from '../../node/test/lib/wire.ts'
import { paid } from '../src/index.ts'
import { asking, MODES, stop } from './lib/modes.ts'

afterEach(stop)

describe.each(MODES)('the request’s body in elysia %s', (_mode, config) => {
  function echo(gate: FakeGate): Elysia {
    return new Elysia(config()).post('/x', ({ body }) => body as object, paid(gate)) as never
  }
  const parts = '--b\r\ncontent-disposition: form-data; name="a"\r\n\r\n1\r\n--b--\r\n'
  test.each([
    ['application/json', '{ "a": "1" }'],
    ['application/json; charset=utf-8', '{"a":"1"}'],
    ['application/x-www-form-urlencoded', 'a=1'],
    ['multipart/form-data; boundary=b', parts],
  ])('is parsed as ever: %s', async (type, body) => {
    const gate = fakeGate({ limit: 1000 })
    const ask = await asking(echo(gate), config())
    const got = await ask('/x', { method: 'POST', headers: { ...asPaid, 'content-type': type }, body })
    expect([got.status, JSON.parse(got.text)]).toEqual([200, { a: '1' }])
    expect(gate.bodies.map((bytes) => Buffer.from(bytes).toString())).toEqual([body])
  })

  test('of a type that nobody parses is bound too', async () => {
    const gate = fakeGate({ limit: 1000 })
    const ask = await asking(echo(gate), config())
    for (const headers of [{ 'content-type': 'application/x-own' }, {}] as Record<string, string>[])
      await ask('/x', { method: 'POST', headers, body: 'own' })
    expect(gate.bodies.map((bytes) => Buffer.from(bytes).toString())).toEqual(['own', 'own'])
  })

  test('reaches parsers of the app, and handlers that pass the request on', async () => {
    const gate = fakeGate({ limit: 1000 })
    const app = new Elysia(config())
      .guard(paid(gate), (inner) =>
        inner.post('/own', ({ body }) => body as string, {
          parse: async ({ request }) => `own ${await request.text()}`,
        }),
      )
      .post('/raw', ({ request }) => new Response(request.body), paid(gate))
      .post('/again', async ({ request }) => new Request('http://a.example', request).text(), paid(gate))
    const ask = await asking(app, config())
    const asked = {
      method: 'POST',
      headers: { ...asPaid, 'content-type': 'application/json' },
      body: '{"a":1}',
    }
    expect((await ask('/own', asked)).text).toBe('own {"a":1}')
    expect((await ask('/raw', asked)).text).toBe('{"a":1}')
    expect((await ask('/again', asked)).text).toBe('{"a":1}')
  })

  test('that is invalid is refused before anyone is asked to pay, and a valid one is not', async () => {
    const gate = fakeGate({ limit: 1000 })
    let admitted = 0
    const app = new Elysia(config()).post('/x', ({ body }) => ((admitted += 1), body.a), {
      ...paid(gate),
      body: t.Object({ a: t.Number() }),
    })
    const ask = await asking(app, config())
    const asked = (body: string, headers = {}): Promise<Reply> =>
      ask('/x', { method: 'POST', headers: { 'content-type': 'application/json', ...headers }, body })
    expect((await asked('{"b":1}')).status).toBe(422)
    expect((await asked('{"b":1}', asPaid)).status).toBe(422)
    expect((await asked('{"a":1}')).status).toBe(402)
    expect((await asked('{"a":1}', asPaid)).text).toBe('1')
    await until(() => gate.finished.length > 0)
    await pause(5)
    expect([admitted, gate.finished.length]).toEqual([1, 1])
  })

  test('beyond the limit is not read, and 413', async () => {
    const gate = fakeGate({ limit: 10 })
    const ask = await asking(echo(gate), config())
    const headers = { ...asPaid, 'content-type': 'application/json' }
    expect((await ask('/x', { method: 'POST', headers, body: `"${'x'.repeat(100)}"` })).status).toBe(413)
  })

  test('that was read before the gate is reported', async () => {
    const errors: unknown[] = []
    const gate = fakeGate({ limit: 1000 })
    const app = new Elysia(config())
      .onError(({ error }) => void errors.push(error))
      .onParse(({ request }) => request.text())
      .post('/x', () => 'never', paid(gate))
    const ask = await asking(app, config())
    for (const headers of [{}, asPaid] as Record<string, string>[]) {
      const asked = { method: 'POST', headers: { 'content-type': 'text/plain', ...headers }, body: 'x' }
      expect((await ask('/x', asked)).status).toBe(500)
    }
    expect([...new Set(errors)]).toEqual([expect.any(BodyError), expect.any(BodyError)])
    expect(String(errors[0])).toContain('app.guard(')
  })
})
