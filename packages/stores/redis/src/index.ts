import type { Entry, Store, SwapResult, Version } from '@mppkit/core'
import { wireOf, type IoredisClient, type NodeRedisClient, type NodeRedisCluster } from './lib/client.ts'
import { checkText, keyOf, placeBehind, queueHead, toEntry, writeArguments } from './lib/entry.ts'
import { refuseUnfit } from './lib/fitness.ts'
import { createLink } from './lib/link.ts'
import { checkScript, listScript, readScript, swapScript } from './lib/scripts.ts'

export type { IoredisClient, NodeRedisClient, NodeRedisCluster }

/** How `redisStore` is made. */
export interface RedisStoreOptions {
  /** A client of ioredis or node-redis, also for a cluster. It stays yours: the store neither opens nor closes it. */
  client: IoredisClient | NodeRedisClient | NodeRedisCluster
  /** Begins all names and is the hash tag of all of them, so without braces; `'mppkit'` if absent. */
  prefix?: string
  /** Milliseconds after which a call rejects; 5000 if absent. */
  timeout?: number
  /** How many replicas must have a write before it is acknowledged, and the milliseconds to wait for them. */
  waitReplicas?: { count: number; timeout: number }
}

/** A store in Redis, and a look at whether that Redis is fit to be one. */
export interface RedisStore extends Store {
  /**
   * Asks the server once, at start. Rejects with an `Error` that names its address, without user name and password,
   * when it cannot be reached, is a replica, may evict entries, or has no append-only file and `waitReplicas` is not set.
   */
  check(): Promise<void>
  /** Every later call rejects. The client stays open. */
  close(): Promise<void>
}

/**
 * A store in Redis, shared by any number of processes and hosts.
 *
 * Every swap is one Lua script on the primary, judged by the clock of the server. All methods reject when the server
 * fails or does not answer within `timeout`. The outcome of a swap that was rejected is unknown, but not for long: what
 * reaches the server later than `timeout` is not carried out any more, and what a client sends twice counts once.
 * `due` orders by due time, then by order of writing, and `after` stands for its place in that order when it was
 * returned, whether or not the entry has been changed or deleted since.
 *
 * @throws `TypeError` for an option out of range, and for a client that is neither. `swap` rejects with one for a write
 * without a usable `ttl`, `lease` or `due`, and for text that is no well-formed Unicode.
 */
export function redisStore(options: RedisStoreOptions): RedisStore {
  const { client, prefix = 'mppkit', timeout = 5000, waitReplicas } = options
  if (typeof prefix !== 'string' || !/^[^{}]+$/.test(prefix)) {
    throw new TypeError(
      'redisStore: `prefix` must be text without { and }; it becomes the hash tag of all names',
    )
  }
  if (!isMilliseconds(timeout)) {
    throw new TypeError('redisStore: `timeout` must be a whole number of milliseconds, at least 1')
  }
  const wire = wireOf(client, timeout)
  if (waitReplicas !== undefined) {
    const { count, timeout: patience } = waitReplicas
    if (!Number.isSafeInteger(count) || count < 1) {
      throw new TypeError('redisStore: `waitReplicas.count` must be an integer of at least 1')
    }
    if (!isMilliseconds(patience) || patience >= timeout) {
      throw new TypeError(
        'redisStore: `waitReplicas.timeout` must be whole milliseconds, and less than `timeout`',
      )
    }
    if (!wire.sendAndWait) {
      throw new TypeError('redisStore: `waitReplicas` needs ioredis for a cluster: new Redis.Cluster(…)')
    }
  }

  const link = createLink(wire, timeout)
  // One hash tag, so one slot: a swap changes its entry and the index together or not at all.
  const index = `{${prefix}}:index`
  const counter = `{${prefix}}:writes`
  const entryName = (key: string) => `{${prefix}}:entry:${key}`

  return {
    async get(key) {
      checkText('key', key)
      return link.call(async (run) => {
        const [now, [found]] = (await run(readScript, [index, entryName(key)], [''])) as ReadReply
        link.learn(now)
        return found ? toEntry(key, found) : undefined
      })
    },

    async swap(key, expect, next): Promise<SwapResult> {
      checkText('key', key)
      const wanted = next === 'delete' ? [] : writeArguments(next)
      const head = [next === 'delete' ? 'delete' : 'set', key]
      // Names this call: the version of what it writes, and how its own write is known again if a client sends it twice.
      const token: Version = crypto.randomUUID()
      return link.call(async (run, before) => {
        // A first call does not know the server's clock yet, and a clock may be set: told the time, it tries again.
        for (let attempt = 0; attempt < 3; attempt += 1) {
          const given = [token, expect, before(), ...head, ...wanted]
          const names: [string, ...string[]] = [entryName(key), index, counter]
          const reply = (await run(swapScript, names, given, waitReplicas)) as SwapReply
          link.learn(reply[1])
          if (reply[0] === 'ok') return { ok: true, version: reply[2] }
          if (reply[0] === 'no') {
            const [, , ...found] = reply
            return found.length === 0 ? { ok: false } : { ok: false, entry: toEntry(key, found) }
          }
        }
        throw new Error('the command came too late three times and was not carried out')
      })
    },

    async due(queue, limit, after) {
      checkText('queue', queue)
      let from = after === undefined ? '' : placeBehind(after.version)
      const head = queueHead(queue)
      return link.call(async (run) => {
        const entries: Entry[] = []
        while (entries.length < limit) {
          const most = Math.min(Math.ceil(limit - entries.length), pageSize)
          const members = (await run(listScript, [index], [head, from, `${most}`])) as string[]
          if (members.length === 0) break
          const keys = members.map((member) => keyOf(member, head))
          const [, found] = (await run(readScript, [index, ...keys.map(entryName)], members)) as ReadReply
          for (const [position, one] of found.entries()) if (one) entries.push(toEntry(keys[position]!, one))
          if (members.length < most) break
          from = placeBehind(members.at(-1)!, head)
        }
        return entries
      })
    },

    async check() {
      const told = (await link.call((run) => run(checkScript, [index], []))) as string[]
      const [replication = '', memory = '', persistence = ''] = told
      refuseUnfit(wire.address, { replication, memory, persistence }, waitReplicas !== undefined)
    },

    async close() {
      link.close()
    },
  }
}

/** Entries that one script reads: each may be as large as a kept answer. */
const pageSize = 64

type Found = [version: string, leased: string, value: string]
type ReadReply = [now: string, found: (Found | '')[]]
type SwapReply =
  | ['ok', now: string, version: string]
  | ['no', now: string, ...entry: Found | []]
  | ['late', now: string]

function isMilliseconds(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 1 && (value as number) <= 0x7fffffff
}
