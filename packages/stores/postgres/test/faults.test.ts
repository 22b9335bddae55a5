import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, describe, expect, test } from 'vitest'
import pg from 'pg'
import { postgresStore } from '../src/index.ts'
import { createStores, query } from './lib/clients.ts'
import { startProxy } from './lib/proxy.ts'
import { describeWithServer, kinds } from './lib/server.ts'

const slow = { timeout: 60_000 }
const write = (value: string) => ({ value, ttl: 'forever' }) as const

describeWithServer('when the server fails', (server) => {
  const stores = createStores()
  afterEach(() => stores.close())

  for (const kind of kinds) {
    describe(`through ${kind}`, () => {
      test('killed under load, it has every acknowledged swap when it is back', slow, async () => {
        const store = stores.open(kind, server().url, { timeout: 2000 })
        await store.migrate()
        const acknowledged = new Map<string, string>()
        let [going, rejected] = [true, 0]
        const writers = Array.from({ length: 16 }, async (_, writer) => {
          for (let index = 0; going; index += 1) {
            const key = `${kind} ${writer} ${index}`
            try {
              const result = await store.swap(key, 'absent', write(key))
              if (result.ok) acknowledged.set(key, result.version)
            } catch {
              rejected += 1
              await sleep(10)
            }
          }
        })
        for (let round = 0; round < 2; round += 1) {
          const before = acknowledged.size
          while (acknowledged.size < before + 200) await sleep(10)
          await server().kill()
          await sleep(100)
          await server().start()
        }
        const before = acknowledged.size
        while (acknowledged.size < before + 50) await sleep(10)
        going = false
        await Promise.all(writers)
        expect(rejected).toBeGreaterThan(0)
        const rows = await query(server().url, 'SELECT key, sequence::text AS version FROM mppkit_entries')
        const held = new Map(rows.map((row) => [row.key, row.version]))
        for (const [key, version] of acknowledged) expect(held.get(key)).toBe(version)
      })

      test('a connection cut before the answer rejects, and the swap is not sent again', slow, async () => {
        const proxy = await startProxy(server().port)
        const direct = stores.open(kind, server().url)
        const store = stores.open(kind, proxy.url, { max: 1, timeout: 3000 })
        await direct.migrate()
        await store.check()
        const key = `cut ${kind}`
        proxy.cutBefore('INSERT 0 1')
        // Sent again it would be refused by itself, and reported as lost.
        await expect(store.swap(key, 'absent', write('once'))).rejects.toThrow(/postgresStore/)
        expect(proxy.cuts()).toBe(1)
        const entry = (await direct.get(key))!
        expect(entry.value).toBe('once')
        proxy.cutBefore('SELECT 1')
        await expect(store.swap(key, entry.version, write('twice'))).rejects.toThrow(/postgresStore/)
        expect(proxy.cuts()).toBe(2)
        expect(await direct.get(key)).toMatchObject({ value: 'twice' })
        // And it finds back by itself.
        expect(await store.get(key)).toMatchObject({ value: 'twice' })
        await stores.close()
        await proxy.close()
      })

      test('paused, it rejects in time, and what was given up unsent is never done', slow, async () => {
        const timeout = 500
        const store = stores.open(kind, server().url, { max: 2, timeout })
        await store.migrate()
        server().pause()
        try {
          const began = performance.now()
          const calls = Array.from({ length: 30 }, (_, index) =>
            store.swap(`paused ${kind} ${index}`, 'absent', write('late')),
          )
          const results = await Promise.allSettled([...calls, store.get('x'), store.due('q', 1)])
          expect(performance.now() - began).toBeLessThan(timeout + 1500)
          for (const one of results) {
            expect(one.status).toBe('rejected')
            expect(String((one as PromiseRejectedResult).reason)).toMatch(/no answer in time/)
          }
        } finally {
          server().resume()
        }
        await expect.poll(() => store.get('x').catch(() => 'not yet'), { timeout: 10_000 }).toBeUndefined()
        await sleep(300)
        const [{ rows }] = await query(
          server().url,
          'SELECT count(*)::int AS rows FROM mppkit_entries WHERE key LIKE $1',
          [`paused ${kind} %`],
        )
        // Those that were on the wire, one for each connection.
        expect(rows).toBeLessThanOrEqual(2)
      })

      test('out of reach, it says where, without user and password', async () => {
        const url = 'postgres://someone:hush-hush@127.0.0.1:1/shop?application_name=hush-hush'
        const error = await stores
          .open(kind, url)
          .check()
          .catch((reason: unknown) => reason)
        expect(String(error)).toContain('postgres://127.0.0.1:1/shop')
        expect(String(error)).toContain('ECONNREFUSED')
        expect((error as Error).stack).not.toMatch(/someone|hush/)
      })
    })
  }

  test(
    'a pool without an error listener does not end the process when the server goes away',
    slow,
    async () => {
      const pool = new pg.Pool({ connectionString: server().url })
      const store = postgresStore({ client: pool, timeout: 1000 })
      await store.check()
      expect(pool.idleCount).toBe(1)
      // An `error` event that nobody hears would be an uncaught exception, and fail this run.
      await server().kill()
      await expect.poll(() => pool.idleCount).toBe(0)
      await expect(store.get('x')).rejects.toThrow(/ECONNREFUSED/)
      await server().start()
      expect(await store.get('x')).toBeUndefined()
      await store.close()
      expect(pool.listenerCount('error')).toBe(0)
      await pool.end()
    },
  )

  test('a single connected client takes one statement at a time', slow, async () => {
    const client = new pg.Client({ connectionString: server().url })
    await client.connect()
    const store = postgresStore({ client })
    const results = await Promise.all(
      Array.from({ length: 20 }, () => store.swap('single', 'absent', write('one'))),
    )
    expect(results.filter((one) => one.ok)).toHaveLength(1)
    await server().kill()
    await expect(store.get('single')).rejects.toThrow(/postgresStore/)
    await server().start()
    // It cannot connect again; that is what pools are for.
    await expect(store.get('single')).rejects.toThrow(/postgresStore/)
    await store.close()
    await client.end()
  })
})
