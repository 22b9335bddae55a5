import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Store } from '@mppkit/core'
import { findPostgres, findRedis, startPostgres, startRedis } from '@mppkit/testing/services'

/** Stores that several processes can share, and the one that they cannot. */
export const KINDS = ['memory', 'sqlite', 'redis', 'postgres'] as const
export type Kind = (typeof KINDS)[number]

/** Where the data of a store are. */
export interface Place {
  kind: Kind
  /** A URL, or a file. */
  at: string
}

/** Opens a store in this process. */
export async function openStore({ kind, at }: Place): Promise<Store> {
  switch (kind) {
    case 'memory':
      return (await import('@mppkit/server')).memoryStore({ max: 10_000_000 })
    case 'sqlite':
      return (await import('@mppkit/sqlite')).sqliteStore({ path: at })
    case 'redis': {
      const { Redis } = await import('ioredis')
      const client = new Redis(at, { maxRetriesPerRequest: 0 })
      return (await import('@mppkit/redis')).redisStore({ client })
    }
    case 'postgres': {
      const { default: pg } = await import('pg')
      const client = new pg.Pool({ connectionString: at, max: 16 })
      const store = (await import('@mppkit/postgres')).postgresStore({ client })
      await store.migrate()
      return store
    }
  }
}

/** Starts what a store needs; undefined where this machine does not have it. */
export async function startPlace(kind: Kind): Promise<(Place & { stop(): Promise<void> }) | undefined> {
  if (kind === 'memory') return { kind, at: '', stop: async () => {} }
  if (kind === 'sqlite') {
    const folder = mkdtempSync(join(tmpdir(), 'mppkit-bench-'))
    const stop = async (): Promise<void> => rmSync(folder, { recursive: true, force: true })
    return { kind, at: join(folder, 'payments.db'), stop }
  }
  if (kind === 'redis' ? !findRedis() : !findPostgres()) return undefined
  const service = await (kind === 'redis' ? startRedis() : startPostgres())
  return { kind, at: service.url, stop: () => service.stop() }
}
