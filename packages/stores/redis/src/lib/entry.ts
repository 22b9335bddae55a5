import type { Entry, Version, Write } from '@mppkit/core'

/** What a script says of an entry: its version, '1' while a lease holds, its value. */
export function toEntry(key: string, [version, leased, value]: readonly [string, string, string]): Entry {
  return { key, value, version, leased: leased === '1' }
}

/** What a queue's members of the index begin with. */
export function queueHead(queue: string): string {
  return JSON.stringify(queue)
}

/** The key that a member of the index stands for. */
export function keyOf(member: string, head: string): string {
  return member.slice(head.length + 2 * digits)
}

/**
 * Where the index goes on behind an entry, which need not exist any more.
 *
 * @param last A version that holds a place in a queue, or with `head` a member of the index.
 * @throws `TypeError` for the version of an entry that is in no queue.
 */
export function placeBehind(last: Version, head?: string): string {
  const place = head === undefined ? /\.(\d{16})\.(\d+)$/ : /^(\d{16})(\d{16})/
  const [, due, order] = place.exec(head === undefined ? last : last.slice(head.length)) ?? []
  if (due === undefined) throw new TypeError('redisStore: `after` must be an entry that `due` returned')
  return due + `${Number(order) + 1}`.padStart(digits, '0')
}

/**
 * A write as the swap script takes it.
 *
 * @throws `TypeError` for what could not be read back, or not as it was written.
 */
export function writeArguments({ due, lease, ttl, value }: Write): string[] {
  checkText('value', value)
  // A claim with a ttl of zero or NaN would be lost as soon as it is acknowledged.
  if (ttl !== 'forever' && !(ttl > 0 && ttl < Infinity)) {
    throw new TypeError("redisStore: `ttl` must be a positive number of seconds, or 'forever'")
  }
  if (lease !== undefined && !Number.isFinite(lease)) {
    throw new TypeError('redisStore: `lease` must be a number of milliseconds')
  }
  if (due !== undefined && !Number.isFinite(due.in)) {
    throw new TypeError('redisStore: `due.in` must be a number of seconds')
  }
  if (due !== undefined) checkText('due.queue', due.queue)
  return [
    value,
    ttl === 'forever' ? '' : milliseconds(ttl * 1000),
    lease === undefined ? '' : milliseconds(lease),
    ...(due === undefined ? ['', ''] : [queueHead(due.queue), milliseconds(due.in * 1000)]),
  ]
}

/**
 * Half a surrogate pair has no UTF-8: two keys could become one, and a value would not come back as it was written.
 *
 * @throws `TypeError` for it, and for what is no string.
 */
export function checkText(name: string, text: unknown): void {
  if (typeof text !== 'string' || /[\ud800-\udfff]/u.test(text)) {
    throw new TypeError(`redisStore: \`${name}\` must be a string of well-formed Unicode`)
  }
}

/** Digits of a due time and of an order in the index. */
const digits = 16

/** Bounded, so that the script's arithmetic stays exact: a lease or due time of more than 100 000 years is one of 100 000. */
function milliseconds(span: number): string {
  return `${Math.max(-mostMilliseconds, Math.min(span, mostMilliseconds))}`
}

const mostMilliseconds = 3.2e15
