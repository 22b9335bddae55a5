import { Cluster, Redis } from 'ioredis'
import { createClient, createCluster } from 'redis'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import type { Store } from '@mppkit/core'
import { freePort } from '../../../testing/src/lib/redis-server.ts'
import { testStore } from '../../../testing/src/lib/test-store.ts'
import { findRedis, startRedis, type LocalService } from '../../../testing/src/services.ts'
import { redisStore } from '../src/index.ts'
import { startProxy } from './proxy.ts'

const missing = findRedis() === undefined
const suite = (title: string, body: () => void) =>
  describe.skipIf(missing)(missing ? `${title} (skipped: no redis-server on this machine)` : title, body)
const write = { value: 'mine', ttl: 60 }
const holds = (question: () => Promise<boolean>) =>
  vi.waitFor(async () => expect(await question()).toBe(true), { timeout: 15_000, interval: 50 })
/** For writes that cannot be acknowledged. */
const waitReplicas = { count: 1, timeout: 300 }
/** For those that must be, however slow the disks of the machine are. */
const patient = { count: 1, timeout: 4000 }

suite('redisStore with a replica', () => {
  let primary: LocalService
  let replica: LocalService
  let admin: Redis
  let key: string
  let ends: (() => void)[]
  beforeAll(async () => {
    primary = await startRedis()
    replica = await startRedis({ args: ['--replicaof', '127.0.0.1', `${primary.port}`] })
    admin = new Redis(primary.url)
    await holds(async () => (await admin.info('replication')).includes('state=online'))
  })
  afterAll(async () => {
    admin?.disconnect()
    await replica?.stop()
    await primary?.stop()
  })
  beforeEach(() => {
    key = crypto.randomUUID()
    ends = []
  })
  afterEach(() => ends.forEach((end) => end()))

  async function clientOf(kind: 'ioredis' | 'node-redis', url: string) {
    if (kind === 'ioredis') {
      const client = new Redis(url, { maxRetriesPerRequest: 0 })
      ends.push(() => client.disconnect())
      return client
    }
    const client = createClient({ url })
    client.on('error', () => {})
    await client.connect()
    ends.push(() => client.destroy())
    return client
  }

  for (const kind of ['ioredis', 'node-redis'] as const) {
    test(`${kind}: a replica is refused by check(), and shows nothing`, async () => {
      const store = redisStore({ client: await clientOf(kind, replica.url) })
      await expect(store.check()).rejects.toThrow(
        new RegExp(`^redisStore: redis://127.0.0.1:${replica.port} is a replica.*connect to the primary`),
      )
      await expect(store.get(key)).rejects.toThrow(/READONLY/)
      await expect(store.due('q', 1)).rejects.toThrow(/READONLY/)
      await expect(store.swap(key, 'absent', write)).rejects.toThrow(/READONLY/)
      await redisStore({ client: await clientOf(kind, primary.url) }).check()
    })

    test(`${kind}: a server that evicts is refused by check()`, async () => {
      const store = redisStore({ client: await clientOf(kind, primary.url) })
      try {
        for (const policy of ['allkeys-lru', 'volatile-ttl']) {
          await admin.config('SET', 'maxmemory-policy', policy)
          await expect(store.check()).rejects.toThrow(
            new RegExp(`${policy}.*set maxmemory-policy noeviction`),
          )
        }
      } finally {
        await admin.config('SET', 'maxmemory-policy', 'noeviction')
      }
      await store.check()
    })

    test(`${kind}: a server without an append-only file is refused by check(), unless replicas have what was written`, async () => {
      const forgetful = await startRedis({ args: ['--appendonly', 'no'] })
      ends.push(() => void forgetful.stop())
      const client = await clientOf(kind, forgetful.url)
      await expect(redisStore({ client }).check()).rejects.toThrow(/appendonly no.*set appendonly yes/)
      await redisStore({ client, waitReplicas }).check()
    })

    test(`${kind}: waitReplicas rejects while too few replicas have a write, also for who repeats it`, async () => {
      const client = await clientOf(kind, primary.url)
      const store = redisStore({ client, waitReplicas: patient })
      const hasty = redisStore({ client, waitReplicas })
      const first = await store.swap(`${key}1`, 'absent', write)
      expect(first).toMatchObject({ ok: true })
      const copy = new Redis(replica.url)
      ends.push(() => copy.disconnect())
      // Acknowledged: so it is there, and needs not be waited for.
      expect(await copy.get(`{mppkit}:entry:${key}1`)).toContain('mine')

      replica.pause()
      try {
        await expect(hasty.swap(key, 'absent', write)).rejects.toThrow(
          /0 of 1 replicas had the write within 300 ms/,
        )
        // The write stands, so whoever repeats it is refused by it, and would take that for a success.
        const other = redisStore({ client: await clientOf(kind, primary.url), waitReplicas })
        await expect(other.swap(key, 'absent', write)).rejects.toThrow(/0 of 1 replicas/)
        expect(await store.get(key)).toMatchObject({ value: 'mine' })
      } finally {
        replica.resume()
      }
      await expect
        .poll(() => store.swap(key, 'absent', write).catch(() => undefined), { timeout: 10_000 })
        .toMatchObject({ ok: false, entry: { value: 'mine' } })
      expect(await copy.get(`{mppkit}:entry:${key}`)).toContain('mine')
    })

    test(`${kind}: waitReplicas tells the scripts again, and still waits`, async () => {
      const client = await clientOf(kind, primary.url)
      const store = redisStore({ client, waitReplicas: patient })
      const hasty = redisStore({ client, waitReplicas })
      await admin.script('FLUSH', 'SYNC')
      expect(await store.swap(key, 'absent', write)).toMatchObject({ ok: true })
      await admin.script('FLUSH', 'SYNC')
      replica.pause()
      try {
        await expect(hasty.swap(`${key}2`, 'absent', write)).rejects.toThrow(/0 of 1 replicas/)
      } finally {
        replica.resume()
      }
    })
  }

  test('a write that ioredis sends a second time is waited for like the first', async () => {
    const proxy = await startProxy(primary.port)
    const client = new Redis(proxy.url)
    client.on('error', () => {})
    ends.push(() => client.disconnect())
    await redisStore({ client, waitReplicas: patient }).swap(`${key}1`, 'absent', write)
    const store = redisStore({ client, waitReplicas })
    await store.get(key)
    replica.pause()
    try {
      const before = proxy.connections()
      const cut = proxy.cutAnswer('ok')
      const swap = store.swap(key, 'absent', write)
      await expect(swap).rejects.toThrow(/0 of 1 replicas had the write within 300 ms/)
      await cut
      expect(proxy.connections()).toBe(before + 1)
    } finally {
      replica.resume()
      client.disconnect()
      await proxy.stop()
    }
  })

  test('a primary that has lost its replicas shows nothing, where min-replicas-to-write asks for them', async () => {
    const store = redisStore({ client: await clientOf('ioredis', primary.url) })
    await admin.config('SET', 'min-replicas-to-write', '2')
    try {
      await expect(store.get(key)).rejects.toThrow(/NOREPLICAS/)
      await expect(store.due('q', 1)).rejects.toThrow(/NOREPLICAS/)
      await expect(store.swap(key, 'absent', write)).rejects.toThrow(/NOREPLICAS/)
    } finally {
      await admin.config('SET', 'min-replicas-to-write', '0')
    }
  })
})

suite('redisStore on a cluster', () => {
  let primary: LocalService
  let replica: LocalService
  beforeAll(async () => {
    const node = async () =>
      startRedis({ args: ['--cluster-enabled', 'yes', '--cluster-port', `${await freePort()}`] })
    primary = await node()
    replica = await node()
    const [first, second] = [new Redis(primary.url), new Redis(replica.url)]
    try {
      await first.call('CLUSTER', 'ADDSLOTSRANGE', '0', '16383')
      const bus = /:(\d+)@(\d+)/.exec((await first.cluster('NODES')) as string)!
      await second.call('CLUSTER', 'MEET', '127.0.0.1', bus[1]!, bus[2]!)
      const id = (await first.call('CLUSTER', 'MYID')) as string
      await holds(async () => String(await second.cluster('NODES')).includes(id))
      await holds(async () => (await second.call('CLUSTER', 'REPLICATE', id).catch(String)) === 'OK')
      for (const one of [first, second]) {
        await holds(async () => String(await one.cluster('INFO')).includes('cluster_state:ok'))
      }
      await holds(async () => (await first.info('replication')).includes('state=online'))
    } finally {
      first.disconnect()
      second.disconnect()
    }
  })
  afterAll(async () => {
    await replica?.stop()
    await primary?.stop()
  })

  // It is told of the replica only, and may read from it: the store must not.
  function openIoredis(options: { waitReplicas?: typeof waitReplicas } = {}) {
    const client = new Cluster([{ host: '127.0.0.1', port: replica.port }], {
      scaleReads: 'all',
      redisOptions: { maxRetriesPerRequest: 0 },
    })
    client.on('error', () => {})
    return { store: redisStore({ client, ...options }), end: () => client.disconnect() }
  }

  async function openNodeRedis() {
    const client = createCluster({ rootNodes: [{ url: replica.url }], useReplicas: true })
    client.on('error', () => {})
    await client.connect()
    return { store: redisStore({ client }), end: () => client.destroy() }
  }

  for (const [name, open] of [
    ['ioredis', async () => openIoredis()],
    ['ioredis, waiting for the replica', async () => openIoredis({ waitReplicas: patient })],
    ['node-redis', openNodeRedis],
  ] as const) {
    testStore(`redis cluster through ${name}`, async () => {
      const ends: (() => void)[] = []
      const another = async (): Promise<Store> => {
        const { end, store } = await open()
        ends.push(end)
        return store
      }
      return {
        store: await another(),
        another,
        clock: 'server',
        close: async () => ends.forEach((end) => end()),
      }
    })

    test(`${name}: check() asks the primary of our slot`, async () => {
      const { end, store } = await open()
      await store.check()
      end()
    })
  }

  test('waitReplicas rejects while the replica has not the write', async () => {
    const ready = openIoredis({ waitReplicas: patient })
    const { end, store } = openIoredis({ waitReplicas })
    const key = crypto.randomUUID()
    await ready.store.swap(`${key}1`, 'absent', write)
    ready.end()
    replica.pause()
    try {
      await expect(store.swap(key, 'absent', write)).rejects.toThrow(/0 of 1 replicas had the write/)
    } finally {
      replica.resume()
      end()
    }
  })
})
