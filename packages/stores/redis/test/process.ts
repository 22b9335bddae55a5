import { Redis } from 'ioredis'
import { createClient } from 'redis'
import type { Store } from '@mppkit/core'
import { redisStore } from '../src/index.ts'

/** For the child processes of `testStore`. */
export async function openStore(options: { url: string; client: 'ioredis' | 'node-redis' }): Promise<Store> {
  const { end, store } =
    options.client === 'ioredis' ? openIoredis(options.url) : await openNodeRedis(options.url)
  return {
    ...store,
    async close() {
      await store.close()
      end()
    },
  }
}

/** As the README recommends it: what cannot be sent is rejected at once. */
export function openIoredis(url: string) {
  const client = new Redis(url, { maxRetriesPerRequest: 0 })
  client.on('error', () => {})
  return { client, store: redisStore({ client }), end: () => client.disconnect() }
}

export async function openNodeRedis(url: string) {
  const client = createClient({ url, disableOfflineQueue: true })
  client.on('error', () => {})
  await client.connect()
  return { client, store: redisStore({ client }), end: () => client.destroy() }
}
