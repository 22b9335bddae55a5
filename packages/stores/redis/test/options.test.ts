import { Cluster, Redis } from 'ioredis'
import { createClient, createClientPool, createCluster, createSentinel } from 'redis'
import { describe, expect, test } from 'vitest'
import { redisStore } from '../src/index.ts'
import { wireOf } from '../src/lib/client.ts'
import { refuseUnfit, type Said } from '../src/lib/fitness.ts'

/** Nobody listens on port 1. */
const nowhere = 'redis://me:s3cret@127.0.0.1:1'
const quiet = { maxRetriesPerRequest: 0, lazyConnect: true }
const client = new Redis(nowhere, quiet)
client.on('error', () => {})
const nodes = [{ url: nowhere }]

describe('redisStore: options', () => {
  test('checks its options, and each error names the remedy', () => {
    const made = (options: object) => () => redisStore({ client, ...options } as never)
    for (const prefix of ['', '{a}', 'a{', '}', 5])
      expect(made({ prefix })).toThrow(/`prefix` must be text without/)
    for (const timeout of [0, -1, 1.5, Number.NaN, Infinity, '5', 2 ** 31]) {
      expect(made({ timeout })).toThrow(/`timeout` must be a whole number of milliseconds/)
    }
    for (const count of [0, -1, 1.5, '1', undefined]) {
      expect(made({ waitReplicas: { count, timeout: 100 } })).toThrow(
        /`waitReplicas.count` must be an integer/,
      )
    }
    // WAIT with a timeout of 0 waits for ever.
    for (const timeout of [0, 1.5, 5000, undefined]) {
      expect(made({ waitReplicas: { count: 1, timeout } })).toThrow(/`waitReplicas.timeout` must be/)
    }
    expect(made({ waitReplicas: { count: 1, timeout: 4999 } })).not.toThrow()
    for (const options of [{ prefix: '' }, { timeout: 0 }, { waitReplicas: { count: 0, timeout: 1 } }]) {
      expect(made(options)).toThrow(TypeError)
    }
  })

  test('knows the clients by their shape', () => {
    for (const wrong of [undefined, null, 'redis://localhost', {}, { get() {} }, new Map()]) {
      expect(() => redisStore({ client: wrong as never })).toThrow(TypeError)
      expect(() => redisStore({ client: wrong as never })).toThrow(
        /must be an ioredis client .* or one of node-redis/,
      )
    }
    const pool = createClientPool({ url: nowhere })
    expect(() => redisStore({ client: pool as never })).toThrow(/no pool/)
    const sentinel = createSentinel({ name: 'x', sentinelRootNodes: [{ host: '127.0.0.1', port: 1 }] })
    expect(() => redisStore({ client: sentinel as never })).toThrow(/for Sentinels take ioredis/)

    const waitReplicas = { count: 1, timeout: 100 }
    const lazy = new Cluster([nowhere], { lazyConnect: true })
    for (const one of [client, lazy, createClient({ url: nowhere })]) {
      expect(() => redisStore({ client: one, waitReplicas })).not.toThrow()
    }
    const cluster = createCluster({ rootNodes: nodes })
    expect(() => redisStore({ client: cluster })).not.toThrow()
    expect(() => redisStore({ client: cluster, waitReplicas })).toThrow(/needs ioredis for a cluster/)
    lazy.disconnect()
  })

  test('names the address without user name and password, however the client was told', () => {
    const addressOf = (one: unknown) => wireOf(one, 1).address
    const ioredis = (options: object) => ({ status: 'wait', call() {}, options })
    const ours = 'redis://127.0.0.1:1'
    expect(addressOf(client)).toBe(ours)
    expect(addressOf(createClient({ url: nowhere }))).toBe(ours)
    expect(addressOf(createClient({ socket: { host: '127.0.0.1', port: 1 }, password: 's3cret' }))).toBe(ours)
    expect(addressOf(createClient())).toBe('redis://localhost:6379')
    expect(addressOf(createCluster({ rootNodes: [...nodes, { socket: { port: 2, host: 'b' } }] }))).toBe(
      `${ours}, redis://b:2`,
    )
    const mixed = new Cluster([nowhere, 7000, { host: 'c', port: 3 }], { lazyConnect: true })
    expect(addressOf(mixed)).toBe(`${ours}, redis://localhost:7000, redis://c:3`)
    mixed.disconnect()
    expect(addressOf(ioredis({ path: '/run/redis.sock', password: 's3cret' }))).toBe('/run/redis.sock')
    const sentinels = [{ host: 'a', port: 1 }]
    expect(addressOf(ioredis({ sentinels, name: 'payments', password: 's3cret' }))).toBe(
      'Sentinel group payments',
    )
    for (const url of [
      'rediss://:s3@cret@h:1/0',
      'rediss://me:s3?cret@h',
      'redis://h/0?password=s3@cret#s3cret',
      'me:s3cret@h:1',
      'redis://h?password=s3cret',
    ]) {
      const told = addressOf({ status: '', call() {}, startupNodes: [url] })
      expect(told).not.toMatch(/s3|cret|me:/)
      expect(told).toMatch(/^rediss?:\/\/(h|\(withheld\))/)
    }
  })

  test('check() rejects where nobody answers, and names the address without the password', async () => {
    const closed = createClient({ url: nowhere })
    const failed = createClient({ url: nowhere, socket: { reconnectStrategy: false } })
    failed.on('error', () => {})
    await failed.connect().catch(() => {})
    for (const one of [client, closed, failed]) {
      const error = await redisStore({ client: one })
        .check()
        .then(
          () => undefined,
          (reason: unknown) => reason as Error,
        )
      expect(error?.message).toMatch(/^redisStore: redis:\/\/127\.0\.0\.1:1: .+/)
      expect(`${error?.message}${error?.stack}`).not.toMatch(/s3cret|me:/)
    }
    client.disconnect()
  })

  test('judges a server by what it says of itself; what it does not say is not judged', () => {
    const judging =
      (said: Partial<Said>, copied = false) =>
      () =>
        refuseUnfit('here', { replication: '', memory: '', persistence: '', ...said }, copied)
    expect(judging({})).not.toThrow()
    const fit = {
      replication: '# Replication\r\nrole:master\r\n',
      memory: 'maxmemory_policy:noeviction\r\n',
      persistence: 'loading:0\r\naof_enabled:1\r\n',
    }
    expect(judging(fit)).not.toThrow()
    expect(judging({ ...fit, replication: 'role:slave\r\n' })).toThrow(
      /here is a replica.*connect to the primary/,
    )
    expect(judging({ ...fit, memory: 'maxmemory_policy:volatile-ttl\r\n' })).toThrow(
      /here.*volatile-ttl.*set maxmemory-policy noeviction/,
    )
    const inMemoryOnly = { ...fit, persistence: 'aof_enabled:0\r\n' }
    expect(judging(inMemoryOnly)).toThrow(/here has appendonly no.*set appendonly yes.*or.*`waitReplicas`/)
    expect(judging(inMemoryOnly, true)).not.toThrow()
  })

  test('writes that could not be read back as they were are TypeErrors, and nothing is sent', async () => {
    const sent: unknown[] = []
    const fake = {
      status: 'ready',
      call: async (...args: unknown[]) => void sent.push(args),
      pipeline: () => ({}) as never,
    }
    const store = redisStore({ client: fake })
    const write = { value: 'x', ttl: 60 }
    const bad = [
      { ...write, value: 5 },
      { ...write, value: '\ud800' },
      { ...write, ttl: 0 },
      { ...write, ttl: Infinity },
      { ...write, lease: Number.NaN },
      { ...write, due: { queue: 'q', in: Infinity } },
      { ...write, due: { queue: {}, in: 0 } },
      { ...write, due: { queue: 'a\udc00', in: 0 } },
    ]
    for (const one of bad) await expect(store.swap('key', 'absent', one as never)).rejects.toThrow(TypeError)
    await expect(store.swap('\udfff', 'absent', write)).rejects.toThrow(TypeError)
    await expect(store.get('\ud800x')).rejects.toThrow(TypeError)
    await expect(store.due('q', 1, { key: 'key', value: '', version: 'x', leased: false })).rejects.toThrow(
      /`after` must be an entry that `due` returned/,
    )
    expect(sent).toEqual([])
  })
})
