import type { Entry, Store, SwapResult, Version, Write } from '@mppkit/core'
import type { TestContext } from 'vitest'
import type { OpenedStore } from './test-store.ts'

/** What the questions about a store are asked with. */
export type StoreBench = ReturnType<typeof createStoreBench>

/** All of a write but its value. */
export type WriteOptions = Omit<Partial<Write>, 'value'>

/** @param current The store of this test, once it is open, and what its keys and queues begin with. */
export function createStoreBench(current: () => { opened: OpenedStore; prefix: string }) {
  const opened = () => current().opened
  const store = () => opened().store
  const key = (suffix: string | number = '') => `${current().prefix}key${suffix}`
  const queue = (name: string) => current().prefix + name

  /** A span of store time, in milliseconds: long where the clock can be moved, short where it has to be waited for. */
  const span = () => (opened().advance ? 60_000 : 800)

  async function pass(ms: number): Promise<void> {
    const { advance } = opened()
    if (advance) await advance(ms)
    else await sleep(ms)
  }

  const write = (value: string, rest?: WriteOptions): Write => ({ value, ttl: 3600, ...rest })
  const dueIn = (name: string, ms: number) => ({ due: { queue: queue(name), in: ms / 1000 } })
  const put = (value: string, rest?: WriteOptions, at = key()) =>
    swapped(store().swap(at, 'absent', write(value, rest)))

  async function listed(name: string, limit = 100, after?: Entry): Promise<string[]> {
    return (await store().due(queue(name), limit, after)).map((entry) => entry.value)
  }

  async function paged(name: string, limit: number): Promise<Entry[]> {
    const entries: Entry[] = []
    for (let after: Entry | undefined; ;) {
      const page = await store().due(queue(name), limit, after)
      entries.push(...page)
      // A short page is the last one: this is what callers go by.
      if (page.length < limit) return entries
      after = page.at(-1)
    }
  }

  /** The store and others on the same data, `count` in all. */
  async function objects(count: number, skip: TestContext['skip']): Promise<Store[]> {
    if (count > 1 && !opened().another) skip('needs another()')
    const others = Array.from({ length: count - 1 }, () => opened().another!())
    return [store(), ...(await Promise.all(others))]
  }

  return { dueIn, key, listed, objects, opened, paged, pass, put, queue, span, store, write }
}

/** The version of a swap that has to hold. */
export async function swapped(result: Promise<SwapResult>): Promise<Version> {
  const settled = await result
  if (!settled.ok) throw new Error(`the swap was refused; there stands ${JSON.stringify(settled.entry)}`)
  return settled.version
}

/** Adds one, as a caller does: read, then swap until it holds, going on from what a refusal shows. */
export async function increment(store: Store, key: string): Promise<Version> {
  let entry = await store.get(key)
  for (;;) {
    const next: Write = { value: `${Number(entry?.value ?? 0) + 1}`, ttl: 3600 }
    const result = await store.swap(key, entry?.version ?? 'absent', next)
    if (result.ok) return result.version
    entry = result.entry ?? (await store.get(key))
  }
}

/** Calls `work` `count` times at once, on the stores in turn. */
export function atOnce<T>(
  count: number,
  stores: Store[],
  work: (store: Store, index: number) => Promise<T>,
): Promise<T[]> {
  return Promise.all(Array.from({ length: count }, (_, index) => work(stores[index % stores.length]!, index)))
}

export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
