import { Elysia, t } from 'elysia'
import { expect, expectTypeOf, test } from 'vitest'
import { fakeGate } from '../../node/test/lib/fake-gate.ts'
import { paid, payment } from '../src/index.ts'

const hooks = paid(fakeGate())

test('handlers keep their types under a gate', () => {
  const app = new Elysia()
    .decorate('db', { name: 'db' })
    .get(
      '/photos/:id',
      (context) => {
        expectTypeOf(context.params).toEqualTypeOf<{ id: string }>()
        expectTypeOf(context.db.name).toBeString()
        return payment(context).id
      },
      hooks,
    )
    .post(
      '/prints',
      ({ body, query }) => {
        expectTypeOf(body).toEqualTypeOf<{ size: number }>()
        expectTypeOf(query).toEqualTypeOf<{ fast?: boolean }>()
        return { made: body.size }
      },
      {
        ...hooks,
        body: t.Object({ size: t.Number() }),
        query: t.Object({ fast: t.Optional(t.Boolean()) }),
        response: { 200: t.Object({ made: t.Number() }), 404: t.String() },
      },
    )
    .guard(hooks, (inner) =>
      inner.put('/inner/:at', ({ params, body }) => `${params.at} ${body}`, { body: t.String() }),
    )
    .group('/group', hooks, (inner) => inner.get('/x', ({ db }) => db.name))
    .guard({ as: 'scoped', ...hooks })
  type Routes = (typeof app)['~Routes']
  expectTypeOf<Routes['photos'][':id']['get']['response'][200]>().toEqualTypeOf<string>()
  expectTypeOf<Routes['prints']['post']['body']>().toEqualTypeOf<{ size: number }>()
  expectTypeOf<Routes['prints']['post']['response'][200]>().toEqualTypeOf<{ made: number }>()
  expect(app.routes).toHaveLength(4)
})
