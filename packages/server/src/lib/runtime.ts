import { encodeBase64url, nodeCrypto, type Store } from '@mppkit/core'

/** Workers forbid one request to wait for another's promise. */
export const sharesPromises: boolean =
  (globalThis as { navigator?: { userAgent?: string } }).navigator?.userAgent !== 'Cloudflare-Workers'

const CHARACTERS = 16
let pool = ''
let at = 0

/** 96 random bits as 16 characters of base64url. */
export function randomText(): string {
  if (at === pool.length) {
    // Many at once: to ask for randomness, and to encode it, costs more than all else that a quote needs.
    pool = encodeBase64url(globalThis.crypto.getRandomValues(new Uint8Array(3072)))
    at = 0
  }
  const text = pool.slice(at, at + CHARACTERS)
  at += CHARACTERS
  return text
}

let process_: string | undefined
let count = 0

/** Tells one holder of a lease from every other, in this process and in all others. */
export function newHolder(): string {
  process_ ??= randomText()
  return `${process_}.${(count++).toString(36)}`
}

/** SHA-256 of UTF-8 text, base64url. */
export function hash(text: string): string | Promise<string> {
  if (nodeCrypto) return nodeCrypto.createHash('sha256').update(text).digest('base64url')
  return crypto.subtle
    .digest('SHA-256', new TextEncoder().encode(text))
    .then((bytes) => encodeBase64url(new Uint8Array(bytes)))
}

let never: AbortSignal | undefined

export function neverAborted(): AbortSignal {
  never ??= new AbortController().signal
  return never
}

/** A method's own corner of the store. */
export function methodStore(store: Store, name: string): Store {
  const prefix = `method:${name}:`
  const strip = <T extends { key: string }>(entry: T): T => ({
    ...entry,
    key: entry.key.slice(prefix.length),
  })
  return {
    async get(key) {
      const entry = await store.get(prefix + key)
      return entry && strip(entry)
    },
    async swap(key, expect, next) {
      const write =
        next === 'delete' || !next.due
          ? next
          : { ...next, due: { ...next.due, queue: prefix + next.due.queue } }
      const result = await store.swap(prefix + key, expect, write)
      return result.ok || !result.entry ? result : { ok: false, entry: strip(result.entry) }
    },
    async due(queue, limit, after) {
      const entries = await store.due(prefix + queue, limit, after && { ...after, key: prefix + after.key })
      return entries.map(strip)
    },
  }
}
