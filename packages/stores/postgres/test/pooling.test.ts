import pg from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createStores } from './lib/clients.ts'
import { startPooler, type Pooler } from './lib/pooler.ts'
import { describeWithServer, kinds } from './lib/server.ts'

describeWithServer('behind a pooler in transaction mode (emulated: no pgbouncer here)', (server) => {
  let pooler: Pooler
  const stores = createStores()
  beforeAll(async () => {
    pooler = await startPooler(server().port)
  })
  afterAll(async () => {
    await stores.close()
    await pooler?.close()
  })

  test('the emulation breaks what leans on a session: named statements and settings', async () => {
    const client = new pg.Client({ connectionString: pooler.url })
    await client.connect()
    const named = { name: 'mine', text: 'SELECT $1::int AS value', values: [1] }
    await client.query(named)
    await expect(client.query(named)).rejects.toThrow(/prepared statement "mine" does not exist/)
    await client.query("SET application_name = 'mine'")
    const { rows } = await client.query("SELECT current_setting('application_name') AS name")
    expect(rows).not.toEqual([{ name: 'mine' }])
    await client.end()
  })

  for (const kind of kinds) {
    describe(`through ${kind}`, () => {
      test('every method works, whichever backend answers', async () => {
        const store = stores.open(kind, pooler.url, { max: 5, table: `pooled_${kind.replace('.', '')}` })
        await store.migrate()
        await store.check()
        const before = pooler.changes()
        const write = { value: 'x', ttl: 60, lease: 1000, due: { queue: 'q', in: 0 } }
        await Promise.all(
          Array.from({ length: 20 }, async (_, index) => {
            const claims = await Promise.all([
              store.swap(`${index}`, 'absent', write),
              store.swap(`${index}`, 'absent', write),
            ])
            expect(claims.filter((one) => one.ok)).toHaveLength(1)
            const entry = (await store.get(`${index}`))!
            expect(await store.swap(`${index}`, entry.version, write)).toMatchObject({ ok: true })
            expect(await store.swap(`${index}`, entry.version, 'delete')).toMatchObject({
              ok: false,
              entry: { value: 'x' },
            })
          }),
        )
        expect(await store.due('q', 100)).toHaveLength(20)
        expect(pooler.changes() - before).toBeGreaterThan(50)
      })
    })
  }
})
