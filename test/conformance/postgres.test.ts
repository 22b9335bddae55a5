// The whole suite once more, with payments in a PostgreSQL database, through both of its clients.
import { postgresStore } from '@mppkit/postgres'
import { findPostgres, startPostgres, type LocalService } from '@mppkit/testing/services'
import pg from 'pg'
import postgres from 'postgres'
import { afterAll, beforeAll, describe } from 'vitest'
import { serve as express } from '../../packages/adapters/express/test/serve.ts'
import { handlerOf, serve } from '../../packages/server/test/lib/serve-fetch.ts'
import { testAdapter } from '../../packages/testing/src/lib/test-adapter.ts'

const reason = findPostgres() === undefined ? ' (skipped: PostgreSQL is not installed on this machine)' : ''

describe.skipIf(reason !== '')(`on PostgreSQL${reason}`, () => {
  let server: LocalService
  const ends: (() => Promise<void>)[] = []
  beforeAll(async () => {
    server = await startPostgres()
  })
  afterAll(async () => {
    for (const end of ends) await end()
    await server?.stop()
  })

  testAdapter('express on postgres through pg', express, {
    async store() {
      const pool = new pg.Pool({ connectionString: server.url })
      ends.push(() => pool.end())
      const store = postgresStore({ client: pool, table: 'through_pg' })
      await store.migrate()
      return store
    },
  })

  testAdapter('fetch on postgres through postgres.js', (app) => serve(handlerOf(app)), {
    async store() {
      const sql = postgres(server.url)
      ends.push(() => sql.end({ timeout: 0 }))
      const store = postgresStore({ client: sql, table: 'through_sql' })
      await store.migrate()
      return store
    },
  })
})
