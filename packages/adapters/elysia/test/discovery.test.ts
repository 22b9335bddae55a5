import { Elysia } from 'elysia'
import { apiOf, askDiscovery, guardsOf } from '../../../server/test/lib/discovery.ts'
import { createMpp } from '../src/index.ts'

askDiscovery('elysia', async (options) => {
  const mpp = createMpp(options)
  const guards = guardsOf(mpp)
  // Before the routes: mounted, hooks are rearranged by Elysia, and must be known all the same.
  const { headers } = mpp.openapi(apiOf(guards))
  const app = new Elysia()
    .get('/openapi.json', () => Response.json(mpp.openapi(apiOf(guards)).document, { headers }))
    .get('/llms.txt', () => new Response(mpp.openapi(apiOf(guards)).llms, { headers }))
    .get('/constant/:id', () => 'sold', guards.constant)
    .get('/told', () => 'sold', { ...guards.told })
    .post('/overridden', () => 'sold', guards.overridden)
    .guard(guards.withheld, (scope) => scope.get('/withheld', () => 'sold'))
    .get('/identity', () => 'sold', guards.identity)
    .get('/page', () => 'sold', guards.page)
    .get('/computed', () => 'sold', guards.computed)
    .get('/free', () => 'pong')
  return {
    ask: async (path, init) => app.handle(new Request(`http://localhost${path}`, init)),
    close: mpp.close,
  }
})
