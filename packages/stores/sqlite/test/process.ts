import type { Store } from '@mppkit/core'
import { sqliteStore } from '../src/index.ts'

/** The store as another process opens it, for the races of `testStore`. */
export async function openStore({ path }: { path: string }): Promise<Store> {
  return sqliteStore({ path, timeout: 60_000 })
}
