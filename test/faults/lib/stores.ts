import type { Store, Write } from '@mppkit/core'
import { postgresStore } from '@mppkit/postgres'
import { redisStore } from '@mppkit/redis'
import { sqliteStore } from '@mppkit/sqlite'
import type { Settings } from './settings.ts'

type Database = import('node:sqlite').DatabaseSync

export interface OpenStore {
  store: Store
  /** Sets the bound of an SQLite file to what it has now, or lifts it. */
  fill(full: 'full' | 'free'): void
  close(): Promise<void>
}

/** The store of a run as a process opens it; without its fence, if that is what the run is to show. */
export async function openStore({ store: { name, url }, hurry, without }: Settings): Promise<OpenStore> {
  const opened = await open(name, url)
  const store = hurry > 1 ? hurried(opened.store, hurry) : opened.store
  return { ...opened, store: without === 'fencing' ? fenceless(store) : store }
}

async function open(name: Settings['store']['name'], url: string): Promise<OpenStore> {
  // Loaded when they are needed: sellers are started by the hundred.
  if (name === 'redis') {
    const { Redis } = await import('ioredis')
    const client = new Redis(url, { maxRetriesPerRequest: 0, retryStrategy: () => 200 })
    client.on('error', () => {})
    const store = redisStore({ client, timeout: 3000 })
    return {
      store,
      fill: () => {},
      async close() {
        await store.close?.()
        client.disconnect()
      },
    }
  }
  if (name === 'postgres') {
    const { Pool } = await import('pg')
    const client = new Pool({ connectionString: url, max: 6 })
    client.on('error', () => {})
    const store = postgresStore({ client, timeout: 3000 })
    return { store, fill: () => {}, close: () => client.end() }
  }
  return openSqlite(url)
}

/** Makes what a store needs, once in a run. */
export async function prepareStore({ store: { name, url } }: Settings): Promise<void> {
  if (name !== 'postgres') return
  const { Pool } = await import('pg')
  const client = new Pool({ connectionString: url })
  await postgresStore({ client }).migrate()
  await client.end()
}

/** `max_page_count` is a matter of the connection, which the store does not show: it is seen when it is opened. */
async function openSqlite(path: string): Promise<OpenStore> {
  const { DatabaseSync } = await import('node:sqlite')
  const { prepare } = DatabaseSync.prototype
  const seen: Database[] = []
  DatabaseSync.prototype.prepare = function (this: Database, ...rest) {
    seen.push(this)
    return prepare.apply(this, rest)
  }
  const store = sqliteStore({ path })
  DatabaseSync.prototype.prepare = prepare
  const database = seen[0]!
  return {
    store,
    fill(full) {
      const pages =
        full === 'full' ? Number(prepare.call(database, 'PRAGMA page_count').get()!['page_count']) : 2 ** 31
      database.exec(`PRAGMA max_page_count = ${pages}`)
    },
    close: () => store.close!(),
  }
}

/**
 * Lets recovery look sooner at payments for which no handler has started, and at refunds that a dead process began. The leases of payments stay as they
 * are, and what is leased is not touched.
 */
function hurried(store: Store, by: number): Store {
  return {
    ...store,
    swap(key, expect, next) {
      const isDoubtful = next !== 'delete' && next.value.includes('"started":0,')
      if (next === 'delete' || !(isDoubtful || key.startsWith('refund:')))
        return store.swap(key, expect, next)
      const write: Write = { ...next }
      if (next.due) write.due = { queue: next.due.queue, in: next.due.in / by }
      if (next.lease !== undefined && !isDoubtful) write.lease = next.lease / by
      return store.swap(key, expect, write)
    },
  }
}

/** Without the guard "a write is a swap on one's own last version": whoever writes a payment's record wins. */
function fenceless(store: Store): Store {
  return {
    ...store,
    async swap(key, expect, next) {
      for (let version = expect; ;) {
        const result = await store.swap(key, version, next)
        if (result.ok || !key.startsWith('pay:')) return result
        version = result.entry?.version ?? 'absent'
        if (next === 'delete' && version === 'absent') return result
      }
    },
  }
}
