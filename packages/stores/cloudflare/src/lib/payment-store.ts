import type { Entry, SwapResult } from '@mppkit/core'
import { checkWrite, toVersion, type Answers, type Call, type Message } from './calls.ts'

/** What the class needs of the state that the platform makes it with. */
export interface ObjectState {
  storage: {
    sql: { exec(query: string, ...bindings: unknown[]): { toArray(): unknown[] } }
    transactionSync<T>(work: () => T): T
  }
}

/**
 * The Durable Object behind `cloudflareStore`: export it from your Worker, and declare it under `new_sqlite_classes`.
 *
 * Every call runs without interruption, on SQLite beside the object, by the clock of the machine that the object is on.
 * The platform holds an answer back until what was written before it is durable. Expired entries are invisible at once and
 * removed a few at a time by later writes.
 *
 * It is called through `fetch`, not by RPC: a class for RPC has to extend one of `cloudflare:workers`, and then could be
 * loaded nowhere else; besides, `fetch` works with every compatibility date.
 */
export class PaymentStore {
  /** By this the generated types of a Worker know the class of an object. */
  declare readonly __DURABLE_OBJECT_BRAND: never
  readonly #storage: ObjectState['storage']
  /** How many objects the store was made of. */
  #shards: number | undefined

  constructor(state: ObjectState, _env?: unknown) {
    this.#storage = state.storage
  }

  /** Answers a call of `cloudflareStore`, and nobody else's. */
  async fetch(request: Request): Promise<Response> {
    const call = (await request.json()) as Message
    // From here on nothing is awaited: no other call comes between.
    const shards = this.#open(call.shards)
    if (shards !== call.shards) return Response.json({ error: otherShards(shards) }, { status: 409 })
    try {
      return Response.json(this.#answer(call))
    } catch (error) {
      if (!(error instanceof TypeError)) throw error
      return Response.json({ error: error.message }, { status: 400 })
    }
  }

  /** Makes the tables on the first call, and notes the number of shards; gives the one that was noted first. */
  #open(shards: number): number {
    if (this.#shards !== undefined) return this.#shards
    let noted: unknown
    this.#storage.transactionSync(() => {
      sqlOf(this.#storage).exec(schema)
      this.#query('INSERT OR IGNORE INTO mppkit_store (id, shards) VALUES (1, ?)', shards)
      noted = (this.#query('SELECT shards FROM mppkit_store')[0] as { shards: number }).shards
    })
    this.#shards = Number(noted)
    return this.#shards
  }

  #answer(call: Call): Answers[Call['call']] {
    switch (call.call) {
      case 'meet':
        return {}
      case 'get': {
        const entry = this.#find(call.key, Date.now())
        return entry ? { entry } : {}
      }
      case 'swap':
        return this.#swap(call, Date.now())
      case 'due':
        return { entries: this.#due(call, Date.now()) }
      default:
        throw new TypeError(
          'PaymentStore: this call is unknown; deploy one version of @mppkit/cloudflare everywhere',
        )
    }
  }

  #find(key: string, at: number): Entry | undefined {
    const [row] = this.#query(`SELECT ${columns} FROM mppkit_entries WHERE key = ? AND expires > ?`, key, at)
    return row ? toEntry(row as Row, at) : undefined
  }

  #swap({ key, expect, next }: Call & { call: 'swap' }, at: number): SwapResult {
    if (next !== 'delete') checkWrite(next)
    return this.#storage.transactionSync((): SwapResult => {
      this.#query(sweep, at)
      const [row] = this.#query(
        'SELECT sequence, due FROM mppkit_entries WHERE key = ? AND expires > ?',
        key,
        at,
      )
      const { sequence, due: dueNow } = (row ?? {}) as Partial<Row>
      if ((sequence === undefined ? 'absent' : toVersion(sequence, dueNow ?? null)) !== expect) {
        const entry = this.#find(key, at)
        return entry ? { ok: false, entry } : { ok: false }
      }
      // A spent version matches nothing again, so whoever goes on with it after a delete is refused.
      if (next === 'delete') {
        this.#query('DELETE FROM mppkit_entries WHERE key = ?', key)
        return { ok: true, version: expect }
      }
      const { due, lease, ttl, value } = next
      const dueAt = due ? Math.ceil(at + due.in * 1000) : null
      const expires = ttl === 'forever' ? never : Math.min(Math.ceil(at + ttl * 1000), never)
      const leasedUntil = lease === undefined ? 0 : Math.ceil(at + lease)
      const [written] = this.#query(put, key, value, expires, leasedUntil, due?.queue ?? null, dueAt)
      return { ok: true, version: toVersion((written as Row).sequence, dueAt) }
    })
  }

  #due({ queue, limit, after }: Call & { call: 'due' }, at: number): Entry[] {
    const rows = this.#query(list, queue, at, after.due, after.sequence, at, limit) as Row[]
    return rows.map((row) => toEntry(row, at))
  }

  #query(query: string, ...bindings: unknown[]): unknown[] {
    return this.#storage.sql.exec(query, ...bindings).toArray()
  }
}

interface Row {
  key: string
  value: string
  sequence: number
  leased_until: number
  due: number | null
}

const never = Number.MAX_SAFE_INTEGER

// AUTOINCREMENT never gives out a number twice, even after a delete.
const schema = `
  CREATE TABLE IF NOT EXISTS mppkit_store (id INTEGER PRIMARY KEY, shards INTEGER NOT NULL);
  CREATE TABLE IF NOT EXISTS mppkit_entries (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    key TEXT NOT NULL UNIQUE,
    value TEXT NOT NULL,
    expires INTEGER NOT NULL,
    leased_until INTEGER NOT NULL,
    queue TEXT,
    due INTEGER
  );
  CREATE INDEX IF NOT EXISTS mppkit_entries_expires ON mppkit_entries (expires);
  CREATE INDEX IF NOT EXISTS mppkit_entries_due ON mppkit_entries (queue, due, sequence) WHERE queue IS NOT NULL;
`

const columns = 'key, value, sequence, leased_until, due'
const sweep =
  'DELETE FROM mppkit_entries WHERE sequence IN (SELECT sequence FROM mppkit_entries WHERE expires <= ? ORDER BY expires LIMIT 4)'
// Replacing a row gives it a new number.
const put =
  'INSERT OR REPLACE INTO mppkit_entries (key, value, expires, leased_until, queue, due) VALUES (?, ?, ?, ?, ?, ?) RETURNING sequence'
const list =
  `SELECT ${columns} FROM mppkit_entries` +
  ' WHERE queue = ? AND due <= ? AND (due, sequence) > (?, ?) AND expires > ? ORDER BY due, sequence LIMIT ?'

function toEntry(row: Row, at: number): Entry {
  return {
    key: row.key,
    value: row.value,
    version: toVersion(row.sequence, row.due),
    leased: row.leased_until > at,
  }
}

function sqlOf(storage: ObjectState['storage']): ObjectState['storage']['sql'] {
  let cause: unknown
  try {
    if (storage.sql) return storage.sql
  } catch (error) {
    cause = error
  }
  throw new Error('PaymentStore needs SQLite: declare it under `new_sqlite_classes`, not `new_classes`', {
    cause,
  })
}

function otherShards(shards: number): string {
  return (
    `cloudflareStore: this store was made with \`shards: ${shards}\`. With another number its entries would not be ` +
    'found and payments be forgotten; take the old number, or another `name`'
  )
}
