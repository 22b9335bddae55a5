import { Hono } from 'hono'
import { apiOf, askDiscovery, guardsOf } from '../../../server/test/lib/discovery.ts'
import { createMpp } from '../src/index.ts'

askDiscovery('hono', async (options) => {
  const mpp = createMpp(options)
  const guards = guardsOf(mpp)
  const api = mpp.openapi(apiOf(guards))
  const app = new Hono()
  app.get('/openapi.json', (c) => c.json(api.document, 200, api.headers))
  app.get('/llms.txt', (c) => c.text(api.llms, 200, api.headers))
  app.get('/constant/:id', guards.constant, (c) => c.text('sold'))
  app.get('/told', guards.told, (c) => c.text('sold'))
  app.post('/overridden', guards.overridden, (c) => c.text('sold'))
  app.use('/withheld', guards.withheld)
  app.get('/withheld', (c) => c.text('sold'))
  app.get('/identity', guards.identity, (c) => c.text('sold'))
  app.get('/page', guards.page, (c) => c.text('sold'))
  app.get('/computed', guards.computed, (c) => c.text('sold'))
  app.get('/free', (c) => c.text('pong'))
  return { ask: async (path, init) => app.request(path, init), close: mpp.close }
})
