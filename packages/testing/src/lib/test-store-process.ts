import type { Store, Version, Write } from '@mppkit/core'
import { increment, sleep } from './test-store-bench.ts'

/** What a child process of `testStore` is to do. */
export interface Task {
  module: string
  options: unknown
  work: 'count' | 'claim' | 'hold'
  key: string
  rounds: number
}

/** A time in which a process may take it for granted that it alone holds a lease, in ms of a clock that all processes share. */
export interface Held {
  from: number
  until: number
  version: Version
}

/** What it sends back. */
export interface Done {
  versions?: Version[]
  /** Which claims it has won. */
  won?: number[]
  held?: Held[]
}

/** How long a lease lasts in the race for it, in milliseconds. */
const LEASE = 60

process.once('message', (task: Task) => {
  void run(task).then(
    (done) => process.send!({ done }, () => process.disconnect!()),
    (error: unknown) =>
      process.send!({ error: String((error as Error)?.stack ?? error) }, () => process.exit(1)),
  )
})

async function run({ module, options, work, key, rounds }: Task): Promise<Done> {
  const { openStore } = (await import(module)) as { openStore(options: unknown): Promise<Store> }
  const store = await openStore(options)
  // Connected before the others begin, or the first would be done before the last has started.
  await store.get(key)
  await new Promise((resolve) => {
    process.once('message', resolve)
    process.send!('ready')
  })
  const done =
    work === 'count'
      ? { versions: await count(store, key, rounds) }
      : work === 'claim'
        ? { won: await claim(store, key, rounds) }
        : { held: await hold(store, key, rounds) }
  await store.close?.()
  return done
}

async function count(store: Store, key: string, rounds: number): Promise<Version[]> {
  const versions: Version[] = []
  while (versions.length < rounds) versions.push(await increment(store, key))
  return versions
}

/** All at once through one store object. */
async function claim(store: Store, key: string, rounds: number): Promise<number[]> {
  const write: Write = { value: `${process.pid}`, ttl: 3600 }
  const results = await Promise.all(
    Array.from({ length: rounds }, (_, index) => store.swap(`${key}${index}`, 'absent', write)),
  )
  return results.flatMap((result, index) => (result.ok ? [index] : []))
}

/** Takes the lease whenever nobody holds it; every other time it is given back early. */
async function hold(store: Store, key: string, rounds: number): Promise<Held[]> {
  const held: Held[] = []
  while (held.length < rounds) {
    const entry = await store.get(key)
    if (entry?.leased) {
      await sleep(2)
      continue
    }
    const asked = clock()
    const taken = await store.swap(key, entry?.version ?? 'absent', {
      value: 'held',
      ttl: 3600,
      lease: LEASE,
    })
    if (!taken.ok) continue
    const [from, version] = [clock(), taken.version]
    if (held.length % 2 === 0) {
      held.push({ from, until: asked + LEASE, version })
      await sleep(LEASE)
      continue
    }
    await sleep(LEASE / 4)
    const until = Math.min(clock(), asked + LEASE)
    await store.swap(key, version, { value: 'free', ttl: 3600 })
    held.push({ from, until, version })
  }
  return held
}

/** Monotonic, and the same for all processes of a host. */
function clock(): number {
  return Number(process.hrtime.bigint()) / 1e6
}
