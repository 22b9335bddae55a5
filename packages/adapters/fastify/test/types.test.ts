import Fastify, { type FastifyTypeProvider } from 'fastify'
import { describe, expectTypeOf, test } from 'vitest'
import { fakeGate } from '../../node/test/lib/fake-gate.ts'
import { paid, payment } from '../src/index.ts'

/** What a schema says, as the packages for type providers do it. */
interface Named extends FastifyTypeProvider {
  validator: this['schema'] extends { says: infer Said } ? Said : unknown
}

const guard = paid(fakeGate())

describe('fastify: types', () => {
  test('of a route stay what they are', () => {
    const app = Fastify()
    app.post<{ Body: { a: number }; Querystring: { q: string }; Params: { id: string } }>(
      '/:id',
      guard,
      (request) => {
        expectTypeOf(request.body.a).toEqualTypeOf<number>()
        expectTypeOf(request.query.q).toEqualTypeOf<string>()
        expectTypeOf(request.params.id).toEqualTypeOf<string>()
        expectTypeOf(payment(request).attempt).toEqualTypeOf<number>()
        return { ok: true }
      },
    )
    app.get<{ Reply: { 200: { a: number } } }>('/reply', guard, (_request, reply) => {
      // @ts-expect-error the route answers numbers
      void (() => reply.code(200).send({ a: 'text' }))
      void reply.code(200).send({ a: 1 })
    })
    app.route<{ Body: { a: number } }>({
      method: 'POST',
      url: '/whole',
      ...guard,
      preHandler: [async (request) => expectTypeOf(request.body.a).toEqualTypeOf<number>(), guard.preHandler],
      handler: (request) => request.body.a,
    })
  })

  test('of a type provider are inferred from the schema beside the gate', () => {
    const app = Fastify().withTypeProvider<Named>()
    const schema = { body: {} as { says: { a: number } } }
    app.post('/x', { ...guard, schema }, (request) => {
      expectTypeOf(request.body).toEqualTypeOf<{ a: number }>()
      return payment(request).id
    })
    app.register(guard.plugin)
  })

  test('of HTTP/2 and HTTPS servers fit', () => {
    const app = Fastify({ http2: true })
    app.get('/x', guard, (request) => payment(request).id)
    app.register(guard.plugin)
    const secure = Fastify({ https: {} })
    secure.get('/x', guard, (request) => payment(request).id)
    secure.register(guard.plugin)
  })
})
