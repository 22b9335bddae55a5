import type { Store } from '@mppkit/core'

export interface CountingStore extends Store {
  readonly calls: { get: number; swap: number; due: number }
  /** The values that were written. */
  readonly written: string[]
  reset(): void
}

/** Counts what is asked of a store. */
export function counting(store: Store): CountingStore {
  const calls = { get: 0, swap: 0, due: 0 }
  const written: string[] = []
  return {
    calls,
    written,
    reset() {
      Object.assign(calls, { get: 0, swap: 0, due: 0 })
      written.length = 0
    },
    get(key) {
      calls.get++
      return store.get(key)
    },
    swap(key, expect, next) {
      calls.swap++
      if (next !== 'delete') written.push(next.value)
      return store.swap(key, expect, next)
    },
    due(queue, limit, after) {
      calls.due++
      return store.due(queue, limit, after)
    },
  }
}

/** `before`: the call never reaches the store. `after`: it is carried out, and the reply is lost. */
export type Loss = 'before' | 'after'

export interface FaultyStore extends Store {
  /** Calls of `get` and `swap` since the last `fail`. */
  readonly calls: number
  /** Whether a call has been failed. */
  readonly failed: boolean
  /** Fails the n-th call from now, counted from 1; with `twice`, the next one too; with `lasting`, all until `repair`. */
  fail(nth: number, loss: Loss, lasting?: 'once' | 'twice' | 'lasting'): void
  repair(): void
}

export function faulty(store: Store): FaultyStore {
  let calls = 0
  let failed = false
  let plan: { nth: number; loss: Loss; last: number } | undefined

  async function through<T>(work: () => Promise<T>): Promise<T> {
    calls++
    if (!plan || calls < plan.nth || calls > plan.last) return work()
    failed = true
    if (plan.loss === 'after' && calls === plan.nth) await work()
    throw new Error('the store cannot be reached')
  }

  return {
    get calls() {
      return calls
    },
    get failed() {
      return failed
    },
    fail(nth, loss, lasting = 'once') {
      calls = 0
      failed = false
      plan = { nth, loss, last: { once: nth, twice: nth + 1, lasting: Infinity }[lasting] }
    },
    repair() {
      plan = undefined
    },
    get: (key) => through(() => store.get(key)),
    swap: (key, expect, next) => through(() => store.swap(key, expect, next)),
    async due(queue, limit, after) {
      if (plan?.last === Infinity && failed) throw new Error('the store cannot be reached')
      return store.due(queue, limit, after)
    },
  }
}
