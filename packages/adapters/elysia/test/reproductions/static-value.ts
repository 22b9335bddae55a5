// A route whose handler is a plain value is served without its hooks when it has all four of these kinds.
import { equal } from 'node:assert/strict'
import { Elysia } from 'elysia'

const refuse = (): Response => new Response('refused', { status: 403 })
const none = (): undefined => undefined
const hooks = { parse: none, transform: none, beforeHandle: refuse, afterHandle: none }
const app = new Elysia().get('/value', 'given away', hooks).get('/function', () => 'given away', hooks)

const statusOf = async (path: string): Promise<number> =>
  (await app.handle(new Request(`http://localhost${path}`))).status
equal(await statusOf('/value'), 200)
equal(await statusOf('/function'), 403)
