// What came over the wire is not shown by a bare Request, and Elysia routes what is: a dot segment is gone before any hook.
import { equal } from 'node:assert/strict'
import { Elysia } from 'elysia'

const app = new Elysia().get('/dear/x', ({ request, path }) => `${path} ${request.url}`)
for (const target of ['/cheap/../dear/x', '/cheap/%2e%2e/dear/x', '/cheap\\..\\dear\\x']) {
  const response = await app.handle(new Request(`http://localhost${target}`))
  equal(await response.text(), '/dear/x http://localhost/dear/x')
}
