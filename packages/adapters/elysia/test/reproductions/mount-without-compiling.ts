// Without compiling, a mounted handler is called without the hooks of its route.
import { equal } from 'node:assert/strict'
import { Elysia } from 'elysia'

for (const aot of [true, false]) {
  const app = new Elysia({ aot }).mount('/m', () => new Response('given away'), {
    beforeHandle: () => new Response('refused', { status: 403 }),
  } as never)
  const { status } = await app.handle(new Request('http://localhost/m/x'))
  equal(status, aot ? 403 : 200)
}
