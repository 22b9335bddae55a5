// Nor does a bare Request show that its target came in absolute form: all of them have absolute URLs.
import { equal } from 'node:assert/strict'
import { Elysia } from 'elysia'

const app = new Elysia().get('/dear/x', ({ request, path }) => `${path} ${request.url}`)
const response = await app.handle(new Request('http://other.example/dear/x'))
equal(await response.text(), '/dear/x http://other.example/dear/x')
