import type { Store } from '@mppkit/core'
import { createStores, type Kind } from './clients.ts'

/** For the child processes of the suite. */
export async function openStore({ kind, url }: { kind: Kind; url: string }): Promise<Store> {
  const stores = createStores()
  const store = stores.open(kind, url, { max: 2 })
  return { ...store, close: () => stores.close() }
}
