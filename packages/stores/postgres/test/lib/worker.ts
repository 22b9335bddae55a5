import { createStores, type Kind } from './clients.ts'

// One of several processes on one database.
const [kind, url, table, work, me] = process.argv.slice(2) as [Kind, string, string, string, string]
const stores = createStores()
const store = stores.open(kind, url, { table, timeout: 60_000, max: 2 })

/** Counts up on one key that stands in a queue, and puts an entry of its own into the same queue for every count. */
async function race(): Promise<void> {
  for (let index = 0; index < 50; index += 1) {
    for (;;) {
      const entry = await store.get('count')
      const write = {
        value: `${Number(entry?.value ?? 0) + 1}`,
        ttl: 'forever',
        due: { queue: 'q', in: 0 },
      } as const
      if ((await store.swap('count', entry?.version ?? 'absent', write)).ok) break
    }
    const own = await store.swap(`${me} ${index}`, 'absent', {
      value: 'own',
      ttl: 'forever',
      due: { queue: 'q', in: 0 },
    })
    if (!own.ok) throw new Error('refused, with nobody else there')
  }
}

// All begin together, or the first would be done before the last has started.
await new Promise((resolve) => {
  process.once('message', resolve)
  process.send!('ready')
})
if (work === 'migrate') {
  await store.migrate()
  await store.check()
} else await race()
await stores.close()
process.disconnect!()
