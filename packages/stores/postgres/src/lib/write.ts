import type { Version, Write } from '@mppkit/core'
import { encodeText } from './text.ts'

/** What `$2` to `$6` of a write stand for; times in microseconds from now, rounded up. */
export function termsOf({ due, lease, ttl, value }: Write): (string | null)[] {
  return [
    encodeText(value),
    ttl === 'forever' || ttl > longest ? null : microseconds(ttl),
    lease === undefined ? null : microseconds(lease / 1000),
    due ? encodeText(due.queue) : null,
    due ? microseconds(due.in) : null,
  ]
}

/** Seconds; more than a hundred years, and in microseconds since 1970 still exact. */
const longest = 4e9

function microseconds(seconds: number): string {
  return `${Math.ceil(Math.min(Math.max(seconds, -longest), longest) * 1e6)}`
}

/** The place of an entry in its queue, out of its version. */
export function placeOf(version: Version): { due: string; sequence: string } {
  const [, sequence, due] = /^(\d+)\.(-?\d+)$/.exec(version) ?? []
  if (sequence === undefined) {
    throw new TypeError('postgresStore: `after` must be an entry that `due` returned')
  }
  return { due: due!, sequence }
}

/** An index of PostgreSQL takes no more. */
const longestKey = 2600

export function checkKey(key: string): void {
  if (typeof key !== 'string') throw new TypeError('postgresStore: `key` must be a string')
  if (!isShort(key)) throw new TypeError(`postgresStore: \`key\` must have at most ${longestKey} bytes`)
}

export function checkWrite({ due, lease, ttl, value }: Write): void {
  if (typeof value !== 'string') throw new TypeError('postgresStore: `value` must be a string')
  // A claim with a ttl of zero or NaN would be lost as soon as it is acknowledged.
  if (ttl !== 'forever' && !(ttl > 0 && ttl < Infinity)) {
    throw new TypeError("postgresStore: `ttl` must be a positive number of seconds, or 'forever'")
  }
  if (lease !== undefined && !Number.isFinite(lease)) {
    throw new TypeError('postgresStore: `lease` must be a number of milliseconds')
  }
  if (due === undefined) return
  if (!Number.isFinite(due.in)) throw new TypeError('postgresStore: `due.in` must be a number of seconds')
  if (typeof due.queue !== 'string' || !isShort(due.queue)) {
    throw new TypeError(`postgresStore: \`due.queue\` must be a string of at most ${longestKey} bytes`)
  }
}

function isShort(text: string): boolean {
  // No character takes more than five bytes in the table: most need not be measured.
  return text.length * 5 <= longestKey || new TextEncoder().encode(encodeText(text)).length <= longestKey
}
