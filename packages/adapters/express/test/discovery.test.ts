import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import express, { type Request, type Response } from 'express'
import { apiOf, askDiscovery, guardsOf } from '../../../server/test/lib/discovery.ts'
import { createMpp } from '../src/index.ts'

askDiscovery('express', async (options) => {
  const mpp = createMpp(options)
  const guards = guardsOf(mpp)
  const api = mpp.openapi(apiOf(guards))
  const sold = (_req: Request, res: Response): void => void res.send('sold')
  const app = express()
  app.get('/openapi.json', (_req, res) => res.set(api.headers).json(api.document))
  app.get('/llms.txt', (_req, res) => res.set(api.headers).type('text/plain').send(api.llms))
  app.get('/constant/:id', guards.constant, sold)
  app.get('/told', guards.told, sold)
  app.post('/overridden', guards.overridden, sold)
  app.use('/withheld', guards.withheld)
  app.get('/withheld', sold)
  app.get('/identity', guards.identity, sold)
  app.get('/page', guards.page, sold)
  app.get('/computed', guards.computed, sold)
  app.get('/free', (_req, res) => res.send('pong'))
  const server = app.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const url = `http://127.0.0.1:${String((server.address() as AddressInfo).port)}`
  return {
    ask: (path, init) => fetch(url + path, init),
    close() {
      mpp.close()
      server.close()
      server.closeAllConnections()
    },
  }
})
