import type { Entry, SwapResult, Version, Write } from '@mppkit/core'

/** What a store asks of one of its objects. */
export type Call =
  | { call: 'meet' }
  | { call: 'get'; key: string }
  | { call: 'swap'; key: string; expect: Version; next: Write | 'delete' }
  | { call: 'due'; queue: string; limit: number; after: Place }

/** What goes over, as JSON: with the number of objects that the store is made of. */
export type Message = Call & { shards: number }

/** What comes back. */
export interface Answers {
  meet: Record<string, never>
  get: { entry?: Entry }
  swap: SwapResult
  due: { entries: Entry[] }
}

/** A place in the order of a queue: due time in Unix milliseconds, then the number of the write. */
export interface Place {
  due: number
  sequence: number
}

/** Where a queue begins. */
export const BEGINNING: Place = { due: Number.MIN_SAFE_INTEGER, sequence: 0 }

// The due time is part of the version, so that `after` keeps its place even when its entry is gone.
export function toVersion(sequence: number, due: number | null): Version {
  return due === null ? `${sequence}` : `${sequence}.${due}`
}

/** @throws `TypeError` for a version of an entry that is in no queue. */
export function placeOf(version: Version): Place {
  const [, sequence, due] = /^(\d+)\.(-?\d+)$/.exec(version) ?? []
  if (sequence === undefined) {
    throw new TypeError('cloudflareStore: `after` must be an entry that `due` returned')
  }
  return { due: Number(due), sequence: Number(sequence) }
}

/** @throws `TypeError` for what could not be read back, or not be said in JSON. */
export function checkWrite({ due, lease, ttl, value }: Write): void {
  if (typeof value !== 'string') throw new TypeError('cloudflareStore: `value` must be a string')
  // A claim with a ttl of zero or NaN would be lost as soon as it is acknowledged.
  if (ttl !== 'forever' && !(ttl > 0 && ttl < Infinity)) {
    throw new TypeError("cloudflareStore: `ttl` must be a positive number of seconds, or 'forever'")
  }
  if (lease !== undefined && !Number.isFinite(lease)) {
    throw new TypeError('cloudflareStore: `lease` must be a number of milliseconds')
  }
  if (due !== undefined && !(typeof due.queue === 'string' && Number.isFinite(due.in))) {
    throw new TypeError('cloudflareStore: `due` must name a queue, and `due.in` be a number of seconds')
  }
}
