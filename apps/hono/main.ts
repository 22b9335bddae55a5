// The search service on Node. Other runtimes start search.ts itself.
import { once } from 'node:events'
import { serve } from '@hono/node-server'
import { sqliteStore } from '@mppkit/sqlite'
import { openRail } from '../lib/rail.ts'
import { listening, run, type App, type AppOptions } from '../lib/run.ts'
import { search } from './search.ts'

/** Starts the search service. */
export async function start({
  port = 0,
  rail: named = 'toy',
  db = ':memory:',
}: AppOptions = {}): Promise<App> {
  const rail = await openRail(named)
  const store = sqliteStore({ path: db })
  const { app, mpp } = search({ rail, secret: process.env.MPP_SECRET_KEY, store })
  await mpp.check()
  const server = serve({ fetch: app.fetch, port, hostname: '127.0.0.1' })
  if (!server.listening) await once(server, 'listening')
  return listening(server, { rail, mpp, store })
}

if (import.meta.main) await run(start, '/search?q=bread')
