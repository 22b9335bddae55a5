import pg from 'pg'
import postgres from 'postgres'
import { postgresStore, type PgPool, type PostgresSql, type PostgresStore } from '../../src/index.ts'

/** A client of either kind, and how to end it. */
export interface Opened {
  client: PgPool | PostgresSql
  end(): Promise<void>
}

export type Kind = 'pg' | 'postgres.js'

/** @param options.settings As on the command line of the server, e.g. `-c synchronous_commit=off`. */
export function openClient(
  kind: Kind,
  url: string,
  options: { max?: number; settings?: string } = {},
): Opened {
  const { max = 4, settings } = options
  if (kind === 'pg') {
    const pool = new pg.Pool({ connectionString: url, max, ...(settings && { options: settings }) })
    return { client: pool, end: () => pool.end() }
  }
  const sql = postgres(url, { max, ...(settings && { connection: { options: settings } }) })
  // Without waiting for a server that went away.
  return { client: sql, end: () => sql.end({ timeout: 0 }) }
}

/** Stores that end their clients with themselves, and all at once. */
export function createStores() {
  const all: (() => Promise<void>)[] = []
  return {
    open(
      kind: Kind,
      url: string,
      options: { max?: number; settings?: string; table?: string; timeout?: number } = {},
    ): PostgresStore {
      const { max, settings, ...rest } = options
      const { client, end } = openClient(kind, url, {
        ...(max !== undefined && { max }),
        ...(settings !== undefined && { settings }),
      })
      const store = postgresStore({ client, ...rest })
      all.push(async () => {
        await store.close()
        await end()
      })
      return store
    },
    async close() {
      for (const close of all.splice(0)) await close()
    },
  }
}

/** Statements of the test itself, on a connection of their own. */
export async function query(url: string, text: string, values: unknown[] = []): Promise<any[]> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    return (await client.query(text, values)).rows
  } finally {
    await client.end()
  }
}
