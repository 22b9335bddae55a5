import type { Entry, Store, SwapResult, Version, Write } from '@mppkit/core'

/**
 * A store in the memory of one process, for one instance and for tests: it forgets everything when the process ends.
 *
 * Live entries are never evicted, because that would reopen a spent payment: at `max` live entries a `swap` from
 * `'absent'` rejects with an `Error` that says what to do. Expired entries are invisible at once and removed by later
 * writes; there are no timers. `due` orders by due time, then by time of writing, and `after` stands for its place in
 * that order when it was returned, whether or not the entry has been changed or deleted since.
 *
 * @param options.max Most live entries, an integer of at least 1; 100 000 if absent.
 * @param options.now The store's clock in Unix milliseconds, for tests.
 * @throws `TypeError` for an option out of range. `swap` rejects with one for a write without a usable `ttl`, `lease` or `due`.
 */
export function memoryStore(options: { max?: number; now?: () => number } = {}): Store {
  const { max = 100_000, now = () => Date.now() } = options
  if (!Number.isSafeInteger(max) || max < 1) {
    throw new TypeError('memoryStore: `max` must be an integer of at least 1, the most live entries to hold')
  }
  if (typeof now !== 'function') throw new TypeError('memoryStore: `now` must return Unix milliseconds')

  const held = new Map<string, Held>()
  const expiries = createTimeline((entry) => entry.expires)
  const queues = new Map<string, Timeline>()
  // One counter for all keys: a version cannot come back, whatever happens to its key.
  let writes = 0

  function drop(entry: Held): void {
    held.delete(entry.key)
    unlist(entry)
  }

  function unlist(entry: Held): void {
    if (entry.expires !== Infinity) expiries.remove(entry)
    entry.queue?.remove(entry)
  }

  function sweep(at: number, most: number): void {
    for (let left = most; left > 0; left -= 1) {
      const oldest = expiries.first()
      if (oldest === undefined || oldest.expires > at) return
      drop(oldest)
    }
  }

  function timelineOf(queue: string): Timeline {
    let timeline = queues.get(queue)
    if (timeline === undefined) queues.set(queue, (timeline = createTimeline((entry) => entry.due)))
    return timeline
  }

  function put(key: string, write: Write, at: number): Version {
    const { due, lease, ttl, value } = write
    const order = (writes += 1)
    const dueAt = due === undefined ? 0 : Math.ceil(at + due.in * 1000)
    const entry: Held = {
      key,
      value,
      version: due === undefined ? `${order}` : `${order}.${dueAt}`,
      order,
      expires: ttl === 'forever' ? Infinity : at + ttl * 1000,
      leasedUntil: lease === undefined ? 0 : at + lease,
      due: dueAt,
      queue: due === undefined ? undefined : timelineOf(due.queue),
    }
    held.set(key, entry)
    if (entry.expires !== Infinity) expiries.add(entry)
    entry.queue?.add(entry)
    return entry.version
  }

  return {
    volatile: true,

    async get(key) {
      const at = now()
      const entry = held.get(key)
      return entry !== undefined && entry.expires > at ? show(entry, at) : undefined
    },

    async swap(key, expect, next): Promise<SwapResult> {
      if (next !== 'delete') checkWrite(next)
      const at = now()
      // Two for each write: the dead go faster than the living come, and no single write pays for all of them.
      sweep(at, 2)
      // An expired entry that no sweep has met yet: invisible, but its place has to be cleared.
      const present = held.get(key)
      const standing = present !== undefined && present.expires > at ? present : undefined
      if ((standing?.version ?? 'absent') !== expect) {
        return standing === undefined ? { ok: false } : { ok: false, entry: show(standing, at) }
      }
      // A spent version matches nothing again, so whoever goes on with it after a delete is refused.
      if (next === 'delete') {
        if (standing !== undefined) drop(standing)
        return { ok: true, version: expect }
      }
      if (present !== undefined) {
        unlist(present)
      } else if (held.size >= max) {
        // The sweep above found nothing to remove, or there would be room.
        throw new Error(full(max))
      }
      return { ok: true, version: put(key, next, at) }
    },

    async due(queue, limit, after) {
      const place = after && placeOf(after.version)
      const at = now()
      const entries: Entry[] = []
      queues.get(queue)?.walk(place, (entry) => {
        if (entry.due > at || entries.length >= limit) return false
        if (entry.expires > at) entries.push(show(entry, at))
        return true
      })
      return entries
    },
  }
}

/** One write; never changed afterwards, only replaced. */
interface Held {
  readonly key: string
  readonly value: string
  readonly version: Version
  /** The number of the write: breaks ties of time. */
  readonly order: number
  readonly expires: number
  readonly leasedUntil: number
  readonly due: number
  readonly queue: Timeline | undefined
}

interface Place {
  at: number
  order: number
}

interface Timeline {
  add(entry: Held): void
  remove(entry: Held): void
  first(): Held | undefined
  /** Visits the entries behind `place`, oldest first, until `visit` returns false. */
  walk(place: Place | undefined, visit: (entry: Held) => boolean): void
}

const blockSize = 512

/**
 * Entries ordered by time, then by write, in sorted blocks. Unlike a heap it can be read in order from any place;
 * a change moves at most one block, and the usual one (the new entry is the last) only appends.
 */
function createTimeline(time: (entry: Held) => number): Timeline {
  const blocks: Held[][] = []

  function isBefore(entry: Held, at: number, order: number): boolean {
    const own = time(entry)
    return own < at || (own === at && entry.order < order)
  }

  /** The first block whose last entry is not before the place. */
  function blockAt(at: number, order: number): number {
    let low = 0
    let high = blocks.length
    while (low < high) {
      const middle = (low + high) >>> 1
      const block = blocks[middle]!
      if (isBefore(block[block.length - 1]!, at, order)) low = middle + 1
      else high = middle
    }
    return low
  }

  /** The first entry of a block that is not before the place. */
  function indexIn(block: Held[], at: number, order: number): number {
    let low = 0
    let high = block.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (isBefore(block[middle]!, at, order)) low = middle + 1
      else high = middle
    }
    return low
  }

  return {
    add(entry) {
      const at = time(entry)
      const index = blockAt(at, entry.order)
      const block = blocks[index]
      if (block === undefined) {
        const last = blocks[index - 1]
        if (last !== undefined && last.length < blockSize) last.push(entry)
        else blocks.push([entry])
        return
      }
      block.splice(indexIn(block, at, entry.order), 0, entry)
      if (block.length > blockSize) blocks.splice(index + 1, 0, block.splice(blockSize >>> 1))
    },

    remove(entry) {
      const at = time(entry)
      const index = blockAt(at, entry.order)
      const block = blocks[index]!
      if (block.length === 1) blocks.splice(index, 1)
      else block.splice(indexIn(block, at, entry.order), 1)
    },

    first() {
      return blocks[0]?.[0]
    },

    walk(place, visit) {
      const { at, order } = place ?? { at: -Infinity, order: 0 }
      // The place itself was shown before: begin with the next write.
      let index = blockAt(at, order + 1)
      let position = index < blocks.length ? indexIn(blocks[index]!, at, order + 1) : 0
      for (; index < blocks.length; index += 1, position = 0) {
        const block = blocks[index]!
        for (; position < block.length; position += 1) if (!visit(block[position]!)) return
      }
    },
  }
}

function show(entry: Held, at: number): Entry {
  return { key: entry.key, value: entry.value, version: entry.version, leased: entry.leasedUntil > at }
}

function placeOf(version: Version): Place {
  const [, order, at] = /^(\d+)\.(-?\d+)$/.exec(version) ?? []
  if (order === undefined) throw new TypeError('memoryStore: `after` must be an entry that `due` returned')
  return { at: Number(at), order: Number(order) }
}

function checkWrite({ due, lease, ttl, value }: Write): void {
  if (typeof value !== 'string') throw new TypeError('memoryStore: `value` must be a string')
  // A claim with a ttl of zero or NaN would be lost as soon as it is acknowledged.
  if (ttl !== 'forever' && !(ttl > 0 && ttl < Infinity)) {
    throw new TypeError("memoryStore: `ttl` must be a positive number of seconds, or 'forever'")
  }
  if (lease !== undefined && !Number.isFinite(lease)) {
    throw new TypeError('memoryStore: `lease` must be a number of milliseconds')
  }
  if (due !== undefined && !Number.isFinite(due.in)) {
    throw new TypeError('memoryStore: `due.in` must be a number of seconds')
  }
}

function full(max: number): string {
  return (
    `memoryStore is full: it holds ${max} live entries and forgets none. ` +
    'Raise `max`, settle what is open, or use a store on disk (@mppkit/sqlite)'
  )
}
