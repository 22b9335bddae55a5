import Fastify, { type InjectOptions } from 'fastify'
import { apiOf, askDiscovery, guardsOf } from '../../../server/test/lib/discovery.ts'
import { createMpp } from '../src/index.ts'

askDiscovery('fastify', async (options) => {
  const mpp = createMpp(options)
  const guards = guardsOf(mpp)
  const api = mpp.openapi(apiOf(guards))
  const app = Fastify()
  app.get('/openapi.json', (_request, reply) => reply.headers(api.headers).send(api.document))
  app.get('/llms.txt', (_request, reply) => reply.headers(api.headers).type('text/plain').send(api.llms))
  app.get('/constant/:id', guards.constant, () => 'sold')
  app.get('/told', { ...guards.told, logLevel: 'silent' }, () => 'sold')
  app.post('/overridden', guards.overridden, () => 'sold')
  app.register(async (scope) => {
    scope.register(guards.withheld.plugin)
    scope.get('/withheld', () => 'sold')
  })
  app.get('/identity', guards.identity, () => 'sold')
  app.get('/page', guards.page, () => 'sold')
  app.get('/computed', guards.computed, () => 'sold')
  app.get('/free', () => 'pong')
  return {
    async ask(url, { method = 'GET', body, headers: given } = {}) {
      const headers = { ...(body && { 'content-type': 'text/plain' }), ...(given as Record<string, string>) }
      const sent = { method, url, headers, ...(body && { body }) }
      const { payload, statusCode, headers: got } = await app.inject(sent as InjectOptions)
      const fields = Object.entries(got).flatMap(([name, value]) =>
        [value ?? []].flat().map((line): [string, string] => [name, String(line)]),
      )
      return new Response(payload, { status: statusCode, headers: fields })
    },
    async close() {
      mpp.close()
      await app.close()
    },
  }
})
