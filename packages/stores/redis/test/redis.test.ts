import { Redis } from 'ioredis'
import { afterAll, beforeAll, describe } from 'vitest'
import { testStore } from '../../../testing/src/lib/test-store.ts'
import { findRedis, startRedis, type LocalService } from '../../../testing/src/services.ts'
import { openIoredis, openNodeRedis } from './process.ts'

const missing = findRedis() === undefined
const title = 'redisStore on a real server'

describe.skipIf(missing)(missing ? `${title} (skipped: no redis-server on this machine)` : title, () => {
  let server: LocalService
  let admin: Redis
  beforeAll(async () => {
    server = await startRedis()
    admin = new Redis(server.url)
    admin.on('error', () => {})
  })
  afterAll(async () => {
    admin?.disconnect()
    await server?.stop()
  })

  const clients = { ioredis: openIoredis, 'node-redis': openNodeRedis } as const
  for (const client of ['ioredis', 'node-redis'] as const) {
    testStore(`redis through ${client}`, async () => {
      const ends: (() => void)[] = []
      const open = async () => {
        const { end, store } = await clients[client](server.url)
        ends.push(end)
        return store
      }
      return {
        store: await open(),
        another: open,
        clock: 'server',
        processes: { module: new URL('./process.ts', import.meta.url), options: { url: server.url, client } },
        interrupt: async () => void (await admin.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes')),
        async restart() {
          await server.kill()
          await server.start()
        },
        close: async () => ends.forEach((end) => end()),
      }
    })
  }
})
