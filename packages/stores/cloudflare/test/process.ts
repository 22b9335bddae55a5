import type { Store } from '@mppkit/core'
import { proxyStore, type Remote } from './lib/proxy.ts'

/** The store as another process reaches it, for the races of `testStore`. */
export async function openStore(remote: Remote): Promise<Store> {
  return proxyStore(remote)
}
