import { writeFileSync, rmSync, chmodSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { postgresSchema } from '../src/index.ts'
import { createStores, query } from './lib/clients.ts'
import { describeWithServer, kinds } from './lib/server.ts'

const write = { value: 'x', ttl: 60, due: { queue: 'q', in: 0 } }

describeWithServer('the table and its server', (server) => {
  const stores = createStores()
  afterEach(() => stores.close())

  test('without the table every method says to call migrate()', async () => {
    for (const kind of kinds) {
      const store = stores.open(kind, server().url, { table: 'nowhere' })
      for (const call of [
        () => store.get('k'),
        () => store.swap('k', 'absent', write),
        () => store.swap('k', '1', write),
        () => store.swap('k', '1', 'delete'),
        () => store.due('q', 1),
        () => store.check(),
      ]) {
        await expect(call()).rejects.toThrow(/no table nowhere; call migrate\(\)/)
      }
    }
  })

  test('migrate() makes it once; twice changes nothing', async () => {
    await query(server().url, 'CREATE SCHEMA "Shop"')
    for (const kind of kinds) {
      const table = `Shop.Entries_${kind.length}`
      const store = stores.open(kind, server().url, { table })
      await store.migrate()
      await store.check()
      expect(await store.swap('k', 'absent', write)).toMatchObject({ ok: true })
      await store.migrate()
      expect(await store.get('k')).toMatchObject({ value: 'x' })
      // Those with migrations of their own may run it again, too.
      await query(server().url, postgresSchema(table))
      expect(await store.due('q', 1)).toMatchObject([{ value: 'x' }])
    }
  })

  test('a user without the right to make tables can use it, sequence included', async () => {
    await query(server().url, postgresSchema('granted'))
    await query(
      server().url,
      'CREATE ROLE seller LOGIN; GRANT SELECT, INSERT, UPDATE, DELETE ON granted TO seller; REVOKE CREATE ON SCHEMA public FROM PUBLIC',
    )
    const store = stores.open('pg', server().url.replace('postgres@', 'seller@'), { table: 'granted' })
    await store.migrate()
    await store.check()
    const claim = await store.swap('k', 'absent', write)
    const { version } = claim as { version: string }
    expect(await store.swap('k', version, write)).toMatchObject({ ok: true })
    const other = stores.open('pg', server().url.replace('postgres@', 'seller@'), { table: 'forbidden' })
    await expect(other.migrate()).rejects.toThrow(/permission denied/)
  })

  test('a table of somebody else, or of a newer version, is not touched', async () => {
    await query(server().url, 'CREATE TABLE theirs (key text)')
    const theirs = stores.open('pg', server().url, { table: 'theirs' })
    await expect(theirs.check()).rejects.toThrow(/table theirs is not ours/)
    await expect(theirs.migrate()).rejects.toThrow(/postgresStore/)
    expect(await query(server().url, "SELECT obj_description('theirs'::regclass) AS mark")).toEqual([
      { mark: null },
    ])

    await query(server().url, `${postgresSchema('newer')} COMMENT ON TABLE newer IS 'mppkit schema 2'`)
    const newer = stores.open('pg', server().url, { table: 'newer' })
    await expect(newer.check()).rejects.toThrow(/schema 2, made by another version/)
    await expect(newer.migrate()).rejects.toThrow(/schema 2, made by another version/)
  })

  test('check() refuses commits that a crash forgets', async () => {
    for (const kind of kinds) {
      const store = stores.open(kind, server().url, { settings: '-c synchronous_commit=off' })
      await store.migrate()
      await expect(store.check()).rejects.toThrow(/synchronous_commit is off/)
    }
  })

  test('a database in another encoding is refused', async () => {
    await query(server().url, "CREATE DATABASE latin ENCODING 'LATIN1' TEMPLATE template0")
    const store = stores.open('pg', server().url.replace(/postgres$/, 'latin'))
    await expect(store.check()).rejects.toThrow(/is in LATIN1/)
    await expect(store.migrate()).rejects.toThrow(/is in LATIN1/)
  })

  test('a number is never given twice, also after a delete and a crash', async () => {
    const store = stores.open('pg', server().url)
    await store.migrate()
    const spent = new Set<string>()
    for (let round = 0; round < 3; round += 1) {
      for (let index = 0; index < 5; index += 1) {
        const claim = await store.swap('k', 'absent', { value: '', ttl: 60 })
        const { version } = claim as { version: string }
        expect(spent).not.toContain(version)
        spent.add(version)
        await store.swap('k', version, 'delete')
      }
      await server().kill()
      await server().start()
    }
  })

  test(
    'a hot standby answers nothing: reads and writes reject until it is the primary',
    { timeout: 60_000 },
    async () => {
      const store = stores.open('pg', server().url)
      const sql = stores.open('postgres.js', server().url)
      await store.migrate()
      await store.swap('k', 'absent', write)
      const [{ folder }] = await query(server().url, "SELECT current_setting('data_directory') AS folder")
      await server().kill()
      writeFileSync(join(folder, 'standby.signal'), '')
      chmodSync(join(folder, 'standby.signal'), 0o666)
      await server().start()
      try {
        for (const one of [store, sql]) {
          for (const call of [
            () => one.get('k'),
            () => one.get('not there'),
            () => one.due('q', 1),
            () => one.due('nothing', 1),
            () => one.swap('k', 'absent', write),
            () => one.swap('k', '1', write),
            () => one.check(),
            () => one.migrate(),
          ]) {
            await expect(call()).rejects.toThrow(/standby or read-only; connect to the primary/)
          }
        }
        await query(server().url, 'SELECT pg_promote()')
        await store.check()
        expect(await store.get('k')).toMatchObject({ value: 'x' })
      } finally {
        rmSync(join(folder, 'standby.signal'), { force: true })
      }
    },
  )
})
