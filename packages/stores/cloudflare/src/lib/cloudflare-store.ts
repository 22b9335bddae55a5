import type { Entry, Store, Version } from '@mppkit/core'
import { BEGINNING, checkWrite, placeOf, type Answers, type Call, type Message, type Place } from './calls.ts'

/** A binding to the namespace of `PaymentStore`, as `env` holds it. */
export interface StoreNamespace {
  idFromName(name: string): unknown
  get(id: unknown): {
    fetch(
      url: string,
      init: { method: string; body: string; signal: AbortSignal },
    ): Promise<{ status: number; text(): Promise<string> }>
  }
}

/**
 * A store in Durable Objects, for Workers: one object holds all, and every call goes to it, wherever the Worker runs.
 *
 * The clock is the object's. `due` orders by due time, then by time of writing (between shards: by shard), and `after`
 * stands for its place in that order when it was returned, whether or not the entry has been changed or deleted since.
 * All methods reject when an object cannot be reached, fails, or does not answer in time; a swap may have been done then.
 * Nothing is kept open: there is nothing to close.
 *
 * @param options.namespace The binding, e.g. `env.PAYMENTS`.
 * @param options.name Names the store among those of the namespace; `'payments'` if absent.
 * @param options.shards Objects to spread the keys over, 1 to 64; 1 if absent. It can never be changed for a store that
 *   holds payments, and a store that was made with another number rejects every call. `due` asks all of them.
 * @param options.timeout Milliseconds to wait for an object; 5000 if absent.
 * @throws `TypeError` for an option out of range. `swap` rejects with one for a write without a usable `ttl`, `lease` or `due`.
 */
export function cloudflareStore(options: {
  namespace: StoreNamespace
  name?: string
  shards?: number
  timeout?: number
}): Store {
  const { namespace, name = 'payments', shards = 1, timeout = 5000 } = options
  if (typeof namespace?.idFromName !== 'function' || typeof namespace.get !== 'function') {
    throw new TypeError(
      'cloudflareStore: `namespace` must be the binding of a Durable Object class, e.g. `env.PAYMENTS`',
    )
  }
  if (typeof name !== 'string' || name === '') throw new TypeError('cloudflareStore: `name` must be a text')
  if (!Number.isSafeInteger(shards) || shards < 1 || shards > 64) {
    throw new TypeError('cloudflareStore: `shards` must be an integer from 1 to 64')
  }
  if (!Number.isSafeInteger(timeout) || timeout < 1 || timeout > 0x7fffffff) {
    throw new TypeError('cloudflareStore: `timeout` must be a whole number of milliseconds')
  }

  const indexes = Array.from({ length: shards }, (_, index) => index)
  let met = shards === 1

  // The stub is made anew for each call: one that has failed stays broken, and none may be used in another request.
  async function send<T extends Call>(index: number, call: T): Promise<Answers[T['call']]> {
    const stub = namespace.get(namespace.idFromName(`${name}/${index}`))
    const response = await stub.fetch('https://payment-store.invalid/', {
      method: 'POST',
      body: JSON.stringify({ ...call, shards } satisfies Message),
      signal: AbortSignal.timeout(timeout),
    })
    const text = await response.text()
    if (response.status === 200) return JSON.parse(text) as Answers[T['call']]
    const { error } = (response.status === 400 || response.status === 409 ? JSON.parse(text) : {}) as {
      error?: string
    }
    if (response.status === 400 && error !== undefined) throw new TypeError(error)
    throw new Error(
      error ?? `cloudflareStore: the object answered with ${response.status}; is it a PaymentStore?`,
    )
  }

  /** The first object knows how many there are: a number that has been changed is refused before a new object is asked. */
  async function meet(): Promise<void> {
    if (met) return
    await send(0, { call: 'meet' })
    met = true
  }

  // Versions of different objects are alike; the shard in them keeps them apart.
  const outwards = (index: number, version: Version): Version =>
    shards === 1 ? version : `${version}~${index}`
  const shown = (index: number, entry: Entry): Entry => ({
    ...entry,
    version: outwards(index, entry.version),
  })

  function inwards(index: number, version: Version): Version {
    const mark = `~${index}`
    return shards > 1 && version.endsWith(mark) ? version.slice(0, -mark.length) : version
  }

  return {
    async get(key) {
      await meet()
      const index = shardOf(key, shards)
      const { entry } = await send(index, { call: 'get', key })
      return entry && shown(index, entry)
    },

    async swap(key, expect, next) {
      if (next !== 'delete') checkWrite(next)
      await meet()
      const index = shardOf(key, shards)
      const result = await send(index, { call: 'swap', key, expect: inwards(index, expect), next })
      if (result.ok) return { ok: true, version: outwards(index, result.version) }
      return result.entry ? { ok: false, entry: shown(index, result.entry) } : { ok: false }
    },

    async due(queue, limit, after) {
      if (!Number.isSafeInteger(limit)) throw new TypeError('cloudflareStore: `limit` must be an integer')
      const begin = startsOf(after, shards)
      await meet()
      const pages = await Promise.all(
        indexes.map(async (index) => {
          const { entries } = await send(index, { call: 'due', queue, limit, after: begin(index) })
          return entries.map((entry) => ({ due: placeOf(entry.version).due, entry: shown(index, entry) }))
        }),
      )
      // Stable: what is due at the same time stays in the order of shards, and within one in that of writing.
      const merged = pages.flat().toSorted((one, other) => one.due - other.due)
      return merged.slice(0, limit).map(({ entry }) => entry)
    },
  }
}

/** Where each shard has to begin, so that all pages together go on behind `after`. */
function startsOf(after: Entry | undefined, shards: number): (index: number) => Place {
  if (after === undefined) return () => BEGINNING
  const [, version = '', mark] = /^([^~]*)(?:~(\d+))?$/.exec(after.version) ?? []
  const place = placeOf(version)
  const shard = Number(mark ?? 0)
  if ((mark === undefined) !== (shards === 1) || shard >= shards) {
    throw new TypeError('cloudflareStore: `after` must be an entry that `due` of this store returned')
  }
  return (index) => {
    if (index === shard) return place
    // Of what is due at that very time, the shards before have shown theirs and those behind have not.
    return { due: place.due, sequence: index < shard ? Number.MAX_SAFE_INTEGER : 0 }
  }
}

/** FNV-1a over UTF-16 units. It must stay as it is: what it gives says where an entry lives. */
function shardOf(key: string, shards: number): number {
  if (shards === 1) return 0
  let hash = 0x811c9dc5
  for (let index = 0; index < key.length; index += 1) {
    hash = Math.imul(hash ^ key.charCodeAt(index), 0x01000193)
  }
  // Its low bits mix badly: let the high ones have their say.
  return ((hash ^ (hash >>> 16)) >>> 0) % shards
}
