// The whole suite once more for each adapter, with payments in Redis.
import { redisStore } from '@mppkit/redis'
import { findRedis, startRedis, type LocalService } from '@mppkit/testing/services'
import { Redis } from 'ioredis'
import { afterAll, beforeAll, describe } from 'vitest'
import { serve as express } from '../../packages/adapters/express/test/serve.ts'
import { serve as hono } from '../../packages/adapters/hono/test/serve.ts'
import { handlerOf, serve } from '../../packages/server/test/lib/serve-fetch.ts'
import { testAdapter } from '../../packages/testing/src/lib/test-adapter.ts'

const missing = findRedis() === undefined
const title = 'payments in redis'

describe.skipIf(missing)(missing ? `${title} (skipped: no redis-server on this machine)` : title, () => {
  let server: LocalService
  const clients: Redis[] = []
  beforeAll(async () => {
    server = await startRedis()
  })
  afterAll(async () => {
    for (const client of clients) client.disconnect()
    await server?.stop()
  })

  // A connection for each store object, as separate instances of a server have.
  const on = (prefix: string) => ({
    store: async () => {
      const client = new Redis(server.url, { maxRetriesPerRequest: 0 })
      clients.push(client)
      return redisStore({ client, prefix })
    },
  })

  testAdapter('express on redis', express, on('express'))
  testAdapter('hono on redis', hono, on('hono'))
  testAdapter('fetch on redis', (app) => serve(handlerOf(app)), on('fetch'))
})
