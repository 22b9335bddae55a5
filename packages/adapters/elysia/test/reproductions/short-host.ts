// Compiled or not, Elysia looks for the path from the eleventh character of the URL on, which a short host moves.
import { equal } from 'node:assert/strict'
import { Elysia } from 'elysia'

const app = new Elysia().get('/dear/x', ({ path }) => path)
for (const [host, status] of [
  ['a.b', 200],
  ['a.bc', 404],
] as const)
  equal((await app.handle(new Request(`http://${host}/cheap/dear/x`))).status, status)
