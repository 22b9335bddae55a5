import { sqliteStore } from '../src/index.ts'

// One of several processes on one file. It tells its parent of every acknowledged write before it makes the next one.
const [path, me, count] = process.argv.slice(2) as [string, string, string]
const store = sqliteStore({ path, timeout: 60_000 })

function tell(message: { claimed: number } | { counted: number } | 'done'): Promise<void> {
  return new Promise((resolve, reject) => {
    process.send!(message, (error: Error | null) => (error ? reject(error) : resolve()))
  })
}

async function countUp(): Promise<number> {
  for (;;) {
    const entry = await store.get('counts')
    const counts = entry ? (JSON.parse(entry.value) as Record<string, number>) : {}
    counts[me] = (counts[me] ?? 0) + 1
    const write = { value: JSON.stringify(counts), ttl: 'forever' } as const
    if ((await store.swap('counts', entry?.version ?? 'absent', write)).ok) return counts[me]
  }
}

// All begin together, or the first would be done before the last has started.
await new Promise((resolve) => {
  process.once('message', resolve)
  process.send!('ready')
})

for (let index = 0; index < Number(count); index += 1) {
  const claim = await store.swap(`claim ${index}`, 'absent', { value: me, ttl: 'forever' })
  if (claim.ok) await tell({ claimed: index })
  await tell({ counted: await countUp() })
}
await store.close!()
await tell('done')
process.disconnect!()
