import { setTimeout as sleep } from 'node:timers/promises'
import { inspect } from 'node:util'
import pg from 'pg'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { postgresStore, type PostgresStore } from '../src/index.ts'
import { statementsFor } from '../src/lib/statements.ts'
import { createStores, query } from './lib/clients.ts'
import { describeWithServer, kinds } from './lib/server.ts'

const write = (value: string) => ({ value, ttl: 60 })

describeWithServer('postgresStore', (server) => {
  const stores = createStores()
  let store: PostgresStore
  beforeEach(async () => {
    store = stores.open('pg', server().url)
    await store.migrate()
  })
  afterEach(() => stores.close())

  async function claimed(key: string, next: Parameters<PostgresStore['swap']>[2] & object): Promise<string> {
    const result = await store.swap(key, 'absent', next)
    if (!result.ok) throw new Error('refused')
    return result.version
  }

  describe('locks', () => {
    /** Holds the row's lock while `work` begins, for so long, and lets go without a change. */
    async function locked<T>(key: string, ms: number, work: () => Promise<T>): Promise<T> {
      const other = new pg.Client({ connectionString: server().url })
      await other.connect()
      await other.query('BEGIN')
      await other.query('SELECT FROM mppkit_entries WHERE key = $1 FOR UPDATE', [key])
      const working = work()
      await sleep(ms)
      await other.query('ROLLBACK')
      await other.end()
      return working
    }

    test('expiry is judged when the lock was got, not when it was asked for', async () => {
      for (const next of [write('late'), 'delete'] as const) {
        const key = `expires ${typeof next}`
        const version = await claimed(key, { value: 'one', ttl: 0.4 })
        expect(await locked(key, 700, () => store.swap(key, version, next))).toEqual({ ok: false })
      }
      const version = await claimed('lives', { value: 'one', ttl: 60 })
      expect(await locked('lives', 300, () => store.swap('lives', version, write('two')))).toMatchObject({
        ok: true,
      })
    })

    test('an entry that expires while a claim waits for it is claimed', async () => {
      await claimed('claim', { value: 'one', ttl: 0.4 })
      const result = await locked('claim', 700, () => store.swap('claim', 'absent', write('two')))
      expect(result).toMatchObject({ ok: true })
      expect(await store.get('claim')).toMatchObject({ value: 'two' })
    })

    test('a lease does not shrink by the time spent waiting for the lock', async () => {
      const version = await claimed('lease', write('one'))
      const leased = { value: 'two', ttl: 60, lease: 600 }
      await locked('lease', 800, () => store.swap('lease', version, leased))
      expect(await store.get('lease')).toMatchObject({ value: 'two', leased: true })
    })

    test('a lock that is held too long rejects; it is no refusal', async () => {
      const hasty = stores.open('pg', server().url, { timeout: 200 })
      const version = await claimed('held', write('one'))
      await locked('held', 500, async () => {
        await expect(hasty.swap('held', version, write('two'))).rejects.toThrow(/no answer in time/)
        await expect(hasty.swap('held', 'absent', write('two'))).rejects.toThrow(/no answer in time/)
        expect(await store.get('held')).toMatchObject({ value: 'one' })
      })
    })
  })

  test('what removes expired rows waits for no lock, and no payment waits for it', async () => {
    await query(
      server().url,
      `INSERT INTO mppkit_entries (key, value, expires)
       SELECT 'dead ' || n, '', now() - interval '1 min' + n * interval '1 s' FROM generate_series(0, 4) AS n`,
    )
    const fresh = stores.open('pg', server().url, { max: 1 })
    const other = new pg.Client({ connectionString: server().url })
    await other.connect()
    await other.query('BEGIN')
    const { rowCount } = await other.query("SELECT FROM mppkit_entries WHERE key = 'dead 0' FOR UPDATE")
    expect(rowCount).toBe(1)
    expect(await fresh.swap('alive', 'absent', write(''))).toMatchObject({ ok: true })
    await fresh.close()
    expect(await query(server().url, "SELECT key FROM mppkit_entries WHERE key LIKE 'dead %'")).toEqual([
      { key: 'dead 0' },
    ])
    await other.query('ROLLBACK')
    await other.end()
  })

  test('expired rows leave the table, a few at a time, and nobody waits for another', async () => {
    const many = Array.from({ length: 8 }, (_, index) =>
      stores.open(index % 2 ? 'pg' : 'postgres.js', server().url, { max: 2 }),
    )
    // All fight for the same few keys, which expire at once, while each of them sweeps.
    await Promise.all(
      many.map(async (one, me) => {
        for (let index = 0; index < 150; index += 1) {
          const key = `swept ${(index + me) % 5}`
          const claim = await one.swap(key, 'absent', { value: '', ttl: 0.001, due: { queue: 'x', in: 0 } })
          if (claim.ok && index % 2) await one.swap(key, claim.version, { value: '', ttl: 0.002 })
          await one.swap(`swept ${me} ${index}`, 'absent', { value: '', ttl: 0.001 })
        }
      }),
    )
    for (let index = 0; index < 40; index += 1) await store.swap('kept', 'absent', write(''))
    for (let index = 0; index < 80; index += 1) await store.swap(`kept ${index}`, 'absent', write(''))
    const rest = async () =>
      (
        await query(server().url, "SELECT count(*)::int AS rows FROM mppkit_entries WHERE key LIKE 'swept%'")
      )[0]
    await expect.poll(rest, { timeout: 10_000 }).toEqual({ rows: 0 })
    expect(await store.get('kept 79')).toBeDefined()
    const [{ deadlocks }] = await query(
      server().url,
      "SELECT deadlocks::int FROM pg_stat_database WHERE datname = 'postgres'",
    )
    expect(deadlocks).toBe(0)
  })

  test('queues and expiry are answered from their indexes', async () => {
    await query(
      server().url,
      `INSERT INTO mppkit_entries (key, value, expires, queue, due)
       SELECT 'many ' || n, '', now() + interval '1 day' + n * interval '1 s', 'many' || n % 10, now() - n * interval '1 s'
       FROM generate_series(1, 20000) AS n`,
    )
    await query(server().url, 'ANALYZE mppkit_entries')
    const { list, sweep } = statementsFor('"mppkit_entries"')
    const plan = async (text: string, values: unknown[]) =>
      JSON.stringify(await query(server().url, `EXPLAIN ${text}`, values))
    const listing = await plan(list, ['many3', '4', '1000000', '5'])
    expect(listing).toContain('mppkit_entries_due')
    expect(listing).not.toContain('Seq Scan on mppkit_entries')
    const sweeping = await plan(sweep, ['64'])
    expect(sweeping).toContain('mppkit_entries_expires')
    expect(sweeping).toMatch(/Index Cond: \(expires <=/)
    await query(server().url, "DELETE FROM mppkit_entries WHERE key LIKE 'many %'")
  })

  test('due times are exact to the microsecond in versions', async () => {
    for (const seconds of [0, 0.000_001, 1.000_003, -1e9, 1e9]) {
      await claimed(`micro ${seconds}`, { value: '', ttl: 60, due: { queue: 'micro', in: seconds } })
    }
    const rows = await query(
      server().url,
      "SELECT sequence, (extract(epoch FROM due) * 1000000)::text AS due FROM mppkit_entries WHERE queue = 'micro'",
    )
    expect(rows).toHaveLength(5)
    for (const { due } of rows) expect(due).toMatch(/\.0+$/)
    const first = (await store.due('micro', 9))[0]!
    expect(first.key).toBe('micro -1000000000')
    expect(await store.due('micro', 9, first)).toHaveLength(2)
  })

  test('times beyond all bounds are kept within', async () => {
    await claimed('far', { value: '', ttl: 1e300, lease: 1e300, due: { queue: 'far', in: -1e300 } })
    expect(await store.due('far', Infinity)).toMatchObject([{ key: 'far', leased: true }])
    const version = await claimed('tiny', {
      value: '',
      ttl: 60,
      lease: -1e300,
      due: { queue: 'far', in: 1e300 },
    })
    expect(await store.get('tiny')).toEqual({ key: 'tiny', value: '', version, leased: false })
    expect(await store.due('far', -1)).toEqual([])
  })

  test('keys, values, queues and versions of any text, lone surrogates and U+0000 included', async () => {
    const odd = ['\0', '\ud800', '\udc00x', 'a\u0010', '\u00100000', '\ud83d\ud83d\ude00']
    for (const kind of kinds) {
      const one = stores.open(kind, server().url)
      for (const text of odd) {
        const key = `${kind} ${text}`
        const result = await one.swap(key, 'absent', { value: text, ttl: 60, due: { queue: key, in: 0 } })
        expect(await one.due(key, 9)).toMatchObject([{ key, value: text }])
        expect(await one.swap(key, text, write(''))).toMatchObject({ ok: false, entry: { value: text } })
        expect(await one.swap(key, (result as { version: string }).version, write(''))).toMatchObject({
          ok: true,
        })
      }
    }
  })

  test('what cannot be written is refused before anything is sent', async () => {
    const long = 'k'.repeat(2601)
    for (const call of [
      () => store.swap(long, 'absent', write('')),
      () => store.swap('k', 'absent', { ...write(''), due: { queue: long, in: 0 } }),
      () => store.swap('k', 'absent', { ...write(''), lease: Number.NaN }),
      () => store.swap('k', 'absent', { ...write(''), due: { queue: 'q', in: Infinity } }),
      () => store.swap('k', 'absent', { value: 5 as never, ttl: 1 }),
      () => store.swap(5 as never, 'absent', write('')),
      () => store.due('q', 1, { key: 'k', value: '', version: 'x', leased: false }),
    ]) {
      await expect(call()).rejects.toThrow(TypeError)
    }
    expect(await store.get(long)).toBeUndefined()
    const longest = 'k'.repeat(2600)
    expect(
      await store.swap(longest, 'absent', { ...write(''), due: { queue: longest, in: 0 } }),
    ).toMatchObject({
      ok: true,
    })
    // A key that no index could compress.
    const random = Array.from({ length: 1300 }, (_, index) =>
      String.fromCharCode(0x80 + ((index * 7919) % 0x700)),
    ).join('')
    expect(await store.swap(random, 'absent', write(''))).toMatchObject({ ok: true })
  })

  test('clients with parsers, transformations and an isolation level of their own make no difference', async () => {
    const serializable = '-c default_transaction_isolation=serializable'
    for (const kind of kinds) {
      const ones = [1, 2].map(() => stores.open(kind, server().url, { settings: serializable }))
      const key = `serializable ${kind}`
      const claims = await Promise.all(
        Array.from({ length: 24 }, (_, index) => ones[index % 2]!.swap(key, 'absent', write('0'))),
      )
      expect(claims.filter((one) => one.ok)).toHaveLength(1)
      await Promise.all(
        Array.from({ length: 24 }, async (_, index) => {
          for (let entry = await store.get(key); ; entry = await store.get(key)) {
            const next = write(`${Number(entry!.value) + 1}`)
            if ((await ones[index % 2]!.swap(key, entry!.version, next)).ok) return
          }
        }),
      )
      expect(await store.get(key)).toMatchObject({ value: '24' })
    }
  })

  test('an error shows no parameters, whatever the client attaches to its own', async () => {
    for (const kind of kinds) {
      const error = await stores
        .open(kind, server().url, { table: 'nowhere' })
        .swap('k', 'absent', write('who paid for what'))
        .catch((reason: unknown) => reason)
      expect(error).toBeInstanceOf(Error)
      expect((error as { cause: unknown }).cause).toMatchObject({ code: '42P01' })
      expect(inspect(error, { showHidden: true, depth: 9 })).not.toContain('who paid')
    }
  })

  test('checks its options', () => {
    const pool = new pg.Pool()
    for (const client of [undefined, null, {}, 'postgres://localhost', () => {}, { totalCount: 0 }]) {
      expect(() => postgresStore({ client: client as never })).toThrow(
        /Pool of pg.*Client of pg.*postgres\(\)/,
      )
    }
    for (const timeout of [0, -1, 1.5, Number.NaN, Infinity, 2 ** 31]) {
      expect(() => postgresStore({ client: pool, timeout })).toThrow(TypeError)
    }
    for (const table of ['', 'a.b.c', 'a"b', 'a b', '1a', 'a.', '.a', 'x'.repeat(51), 'ä', 5 as never]) {
      expect(() => postgresStore({ client: pool, table })).toThrow(/`table` must be/)
    }
    expect(() => postgresStore({ client: pool, table: 'My_Schema.Entries9' })).not.toThrow()
  })
})
