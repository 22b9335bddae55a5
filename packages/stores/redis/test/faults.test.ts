import { readFile } from 'node:fs/promises'
import { Redis } from 'ioredis'
import { createClient, RESP_TYPES } from 'redis'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { findRedis, startRedis, type LocalService } from '../../../testing/src/services.ts'
import { redisStore, type RedisStore } from '../src/index.ts'
import { openIoredis, openNodeRedis } from './process.ts'
import { startProxy, type Proxy } from './proxy.ts'

const missing = findRedis() === undefined
const title = 'redisStore when things go wrong'
const write = (value: string) => ({ value, ttl: 60 })
const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

describe.skipIf(missing)(missing ? `${title} (skipped: no redis-server on this machine)` : title, () => {
  let server: LocalService
  let proxy: Proxy
  let admin: Redis
  let ends: (() => void)[] = []
  let key: string
  beforeAll(async () => {
    server = await startRedis()
    proxy = await startProxy(server.port)
    admin = new Redis(server.url)
    admin.on('error', () => {})
  })
  afterAll(async () => {
    admin?.disconnect()
    await proxy?.stop()
    await server?.stop()
  })
  beforeEach(() => {
    key = crypto.randomUUID()
    ends = []
  })
  afterEach(() => ends.forEach((end) => end()))

  const opened = {
    async ioredis(url: string) {
      const { end, store } = openIoredis(url)
      ends.push(end)
      return store
    },
    async 'node-redis'(url: string) {
      const { end, store } = await openNodeRedis(url)
      ends.push(end)
      return store
    },
  }
  /** A client with the options that ioredis has by itself: it sends again what was not answered. */
  function stubborn(url: string, timeout?: number): RedisStore {
    const client = new Redis(url)
    client.on('error', () => {})
    ends.push(() => client.disconnect())
    return redisStore({ client, ...(timeout && { timeout }) })
  }

  for (const kind of ['ioredis', 'node-redis'] as const) {
    test(`${kind}: a connection that is cut before the answer rejects, although the write was done`, async () => {
      const store = await opened[kind](proxy.url)
      expect(await store.get(key)).toBeUndefined()
      const cut = proxy.cutAnswer('ok')
      const began = performance.now()
      await expect(store.swap(key, 'absent', write('mine'))).rejects.toThrow(/redisStore: redis:/)
      await cut
      // At once, not when the time is up.
      expect(performance.now() - began).toBeLessThan(2500)
      const direct = await opened.ioredis(server.url)
      expect(await direct.get(key)).toMatchObject({ value: 'mine' })
      // The client finds back by itself, and whoever repeats the swap is shown its own value.
      await expect
        .poll(() => store.swap(key, 'absent', write('mine')).catch(() => undefined), { timeout: 5000 })
        .toMatchObject({ ok: false, entry: { value: 'mine' } })
    })

    test(`${kind}: a server that stands still rejects in time, and what was given up is never carried out`, async () => {
      const { client } = kind === 'ioredis' ? openIoredis(server.url) : await openNodeRedis(server.url)
      ends.push(() => ('destroy' in client ? client.destroy() : client.disconnect()))
      const store = redisStore({ client, timeout: 400 })
      await store.get(key)
      server.pause()
      try {
        const began = performance.now()
        const calls = await Promise.allSettled([
          store.swap(key, 'absent', write('late')),
          store.get(key),
          store.due('q', 1),
          store.check(),
        ])
        for (const call of calls) {
          expect(call).toMatchObject({
            status: 'rejected',
            reason: { message: expect.stringMatching(/127\.0\.0\.1.*no answer within 400 ms/) },
          })
        }
        expect(performance.now() - began).toBeLessThan(2000)
      } finally {
        server.resume()
      }
      // The same connection: the swap stands before this in the server's queue.
      await expect.poll(() => store.get(key).catch(() => 'away')).toBeUndefined()
      // By a patient one: the disk may have much to catch up with.
      expect(await redisStore({ client }).swap(key, 'absent', write('new'))).toMatchObject({ ok: true })
    })

    test(`${kind}: a server that has forgotten the scripts is told them again`, async () => {
      const store = await opened[kind](server.url)
      for (let round = 0; round < 3; round += 1) {
        await admin.script('FLUSH', 'SYNC')
        expect(
          await store.swap(`${key}${round}`, 'absent', { ...write('x'), due: { queue: key, in: 0 } }),
        ).toMatchObject({
          ok: true,
        })
        await admin.script('FLUSH', 'SYNC')
        expect(await store.due(key, 9)).toHaveLength(round + 1)
        await admin.script('FLUSH', 'SYNC')
        await store.check()
      }
    })
  }

  test('a swap that ioredis sends a second time counts once', async () => {
    const store = stubborn(proxy.url)
    await store.get(key)
    const before = proxy.connections()
    const cut = proxy.cutAnswer('ok')
    const result = await store.swap(key, 'absent', { ...write('mine'), due: { queue: key, in: 0 } })
    await cut
    expect(proxy.connections()).toBe(before + 1)
    expect(result.ok).toBe(true)
    const entry = await store.get(key)
    expect(entry).toMatchObject({ value: 'mine', version: (result as { version: string }).version })
    expect(await store.due(key, 9)).toEqual([entry])
  })

  test('a swap that ioredis kept while the server was away is not carried out when nobody waits any more', async () => {
    const store = stubborn(server.url, 500)
    await store.get(key)
    await server.kill()
    await expect(store.swap(key, 'absent', write('late'))).rejects.toThrow(/no answer within 500 ms/)
    await server.start()
    await expect.poll(() => store.get(key).catch(() => 'away'), { timeout: 10_000 }).toBeUndefined()
    expect(await store.get(key)).toBeUndefined()
  })

  test('the same for a store object that has never heard from the server', async () => {
    await server.kill()
    const store = stubborn(server.url, 500)
    await expect(store.swap(key, 'absent', write('late'))).rejects.toThrow(/no answer within 500 ms/)
    await server.start()
    await expect.poll(() => store.get(key).catch(() => 'away'), { timeout: 10_000 }).toBeUndefined()
    expect(await store.get(key)).toBeUndefined()
  })

  test(
    'kill -9 under load: every acknowledged swap is there after the restart',
    { timeout: 60_000 },
    async () => {
      const stores = [await opened.ioredis(server.url), await opened['node-redis'](server.url)]
      const acknowledged = new Map<string, string>()
      let running = true
      let failures = 0
      const writers = Array.from({ length: 32 }, async (_, writer) => {
        for (let round = 0; running; round += 1) {
          const at = `${key} ${writer} ${round}`
          try {
            const result = await stores[writer % 2]!.swap(at, 'absent', write(at))
            if (result.ok) acknowledged.set(at, result.version)
          } catch {
            failures += 1
            await sleep(20)
          }
        }
      })
      for (let kills = 0; kills < 3; kills += 1) {
        const before = acknowledged.size
        await expect.poll(() => acknowledged.size, { timeout: 20_000 }).toBeGreaterThan(before + 200)
        await server.kill()
        await sleep(50)
        await server.start()
      }
      running = false
      await Promise.all(writers)
      // Otherwise the kills have met nobody.
      expect(failures).toBeGreaterThan(0)
      const direct = await opened.ioredis(server.url)
      const lost: string[] = []
      for (const [at, version] of acknowledged) if ((await direct.get(at))?.version !== version) lost.push(at)
      expect(lost).toEqual([])
    },
  )

  test('a full server refuses writes, keeps what stands, and still lets it go', async () => {
    const store = await opened.ioredis(server.url)
    const first = await store.swap(key, 'absent', { ...write('one'), due: { queue: key, in: 0 } })
    if (!first.ok) throw new Error('refused')
    await admin.config('SET', 'maxmemory', '1')
    try {
      await expect(store.swap(key, first.version, write('two'))).rejects.toThrow(/OOM/)
      const moved = { ...write('two'), due: { queue: `${key}2`, in: 0 } }
      await expect(store.swap(key, first.version, moved)).rejects.toThrow(/OOM/)
      await expect(store.swap(`${key}2`, 'absent', write('new'))).rejects.toThrow(/OOM/)
      expect(await store.get(key)).toMatchObject({ value: 'one', version: first.version })
      expect(await store.due(key, 9)).toHaveLength(1)
      expect(await store.swap(key, first.version, 'delete')).toMatchObject({ ok: true })
      expect(await store.due(key, 9)).toEqual([])
    } finally {
      await admin.config('SET', 'maxmemory', '0')
    }
  })

  test('what cannot be told is not guessed: a value that is none of ours rejects', async () => {
    const store = await opened.ioredis(server.url)
    await admin.set(`{mppkit}:entry:${key}`, 'foreign')
    await expect(store.get(key)).rejects.toThrow()
    await expect(store.swap(key, 'absent', write('x'))).rejects.toThrow()
    expect(await admin.get(`{mppkit}:entry:${key}`)).toBe('foreign')
  })

  test('an error tells nothing of what was to be written', async () => {
    const store = await opened.ioredis(server.url)
    await admin.set(`{mppkit}:entry:${key}`, 'foreign')
    const error = await store
      .swap(key, 'absent', write('a-receipt'))
      .catch((reason: unknown) => reason as Error)
    expect(error).toBeInstanceOf(Error)
    expect(Object.keys(error)).toEqual([])
    expect((error as Error).cause).toBeUndefined()
    expect(`${(error as Error).message}${(error as Error).stack}`).not.toContain('a-receipt')
  })

  test('members of expired entries leave the index when they are met', async () => {
    const client = new Redis(server.url)
    ends.push(() => client.disconnect())
    const store = redisStore({ client, prefix: key })
    for (let index = 0; index < 150; index += 1) {
      await store.swap(`${index}`, 'absent', { value: '', ttl: 0.001, due: { queue: 'q', in: 0 } })
    }
    await store.swap('last', 'absent', { ...write('last'), due: { queue: 'q', in: 0 } })
    await sleep(20)
    expect(await admin.zcard(`{${key}}:index`)).toBe(151)
    expect(await store.due('q', 1)).toMatchObject([{ value: 'last' }])
    expect(await admin.zcard(`{${key}}:index`)).toBe(1)
  })

  test('what is written anew or deleted leaves its old place in the index at once', async () => {
    const client = new Redis(server.url)
    ends.push(() => client.disconnect())
    const store = redisStore({ client, prefix: key })
    let version = 'absent'
    for (const due of [
      { queue: 'q', in: 60 },
      { queue: 'q', in: 90 },
      { queue: 'r', in: 60 },
      undefined,
      { queue: 'q', in: 0 },
    ]) {
      const result = await store.swap('k', version, { ...write('x'), ...(due && { due }) })
      version = (result as { version: string }).version
      expect(await admin.zcard(`{${key}}:index`)).toBe(due ? 1 : 0)
    }
    await store.swap('k', version, 'delete')
    expect(await admin.keys(`{${key}}:*`)).toEqual([`{${key}}:writes`])
  })

  test('prefixes keep stores apart; all names have one hash tag; a prefix of the client is kept', async () => {
    const plain = new Redis(server.url)
    const named = new Redis(server.url, { keyPrefix: 'app:' })
    ends.push(() => [plain, named].forEach((client) => client.disconnect()))
    const stores = [
      redisStore({ client: plain, prefix: key }),
      redisStore({ client: plain, prefix: `${key}2` }),
      redisStore({ client: named, prefix: key }),
    ]
    for (const [index, store] of stores.entries()) {
      const next = { ...write(`${index}`), due: { queue: 'q', in: 0 } }
      expect(await store.swap('k', 'absent', next)).toMatchObject({ ok: true })
    }
    for (const [index, store] of stores.entries()) {
      expect((await store.due('q', 9)).map((entry) => entry.value)).toEqual([`${index}`])
      expect((await store.get('k'))?.value).toBe(`${index}`)
    }
    const names = await admin.keys(`*${key}*`)
    expect(names.toSorted()).toEqual(
      ['', '2', 'app:']
        .flatMap((one) => {
          const tag = one === 'app:' ? `app:{${key}}` : `{${key}${one}}`
          return [`${tag}:entry:k`, `${tag}:index`, `${tag}:writes`]
        })
        .toSorted(),
    )
  })

  test('the rights that the README names are enough', async () => {
    const readme = await readFile(new URL('../README.md', import.meta.url), 'utf8')
    const rights = /Rights for an ACL user: `([^`]+)`/.exec(readme)![1]!.split(' ')
    await admin.call('ACL', 'SETUSER', 'pay', 'reset', 'on', '>s3cret', ...rights)
    const client = new Redis({
      port: server.port,
      username: 'pay',
      password: 's3cret',
      maxRetriesPerRequest: 0,
    })
    ends.push(() => client.disconnect())
    const store = redisStore({ client, waitReplicas: { count: 1, timeout: 50 } })
    await store.check()
    // Without a replica there is none to wait for, but everything before that was allowed.
    const next = { ...write('x'), due: { queue: key, in: 0 } }
    await expect(store.swap(key, 'absent', next)).rejects.toThrow(/0 of 1 replicas/)
    const plain = redisStore({ client })
    const [entry] = await plain.due(key, 1)
    expect(await plain.get(key)).toEqual(entry)
    const second = await plain.swap(key, entry!.version, next)
    expect(second).toMatchObject({ ok: true })
    expect(await plain.swap(key, (second as { version: string }).version, 'delete')).toMatchObject({
      ok: true,
    })
    await expect(redisStore({ client, prefix: 'other' }).get(key)).rejects.toThrow(/NOPERM|permission/)
  })

  test('clients that show answers in their own way', async () => {
    const mapped = createClient({
      url: server.url,
      commandOptions: { typeMapping: { [RESP_TYPES.BLOB_STRING]: Buffer, [RESP_TYPES.NUMBER]: String } },
    })
    mapped.on('error', () => {})
    await mapped.connect()
    const old = createClient({ url: server.url, RESP: 2 })
    old.on('error', () => {})
    await old.connect()
    const numbers = new Redis(server.url, { stringNumbers: true, protocol: 2, enableAutoPipelining: true })
    ends.push(
      () => mapped.destroy(),
      () => old.destroy(),
      () => numbers.disconnect(),
    )
    for (const [index, client] of [mapped, old, numbers].entries()) {
      const store = redisStore({ client })
      const at = `${key}${index}`
      const result = await store.swap(at, 'absent', { ...write('ä'), lease: 9000, due: { queue: at, in: 0 } })
      const entry = { key: at, value: 'ä', version: (result as { version: string }).version, leased: true }
      expect(await store.get(at)).toEqual(entry)
      expect(await store.due(at, 9)).toEqual([entry])
      expect(await store.swap(at, 'absent', 'delete')).toEqual({ ok: false, entry })
      await store.check()
    }
  })
})
