import type { Entry, Store, SwapResult } from '@mppkit/core'
import { linkTo, type PgConnection, type PgPool, type PostgresSql, type Row } from './lib/client.ts'
import { createFaults } from './lib/faults.ts'
import { parseTable, postgresSchema, schemaMark, schemaVersion } from './lib/schema.ts'
import { checkStatement, statementsFor } from './lib/statements.ts'
import { decodeText, encodeText } from './lib/text.ts'
import { checkKey, checkWrite, placeOf, termsOf } from './lib/write.ts'

export { postgresSchema }
export type { PgConnection, PgPool, PostgresSql }

export interface PostgresOptions {
  /** A `Pool` of pg, a connected `Client` of pg, or what `postgres()` of postgres.js returned. Stays yours: `close` leaves it open. */
  client: PgPool | PgConnection | PostgresSql
  /** The table, or `'schema.table'`: letters, digits and `_`, at most 50 each; `mppkit_entries` if absent. */
  table?: string
  /** Milliseconds that a call may take in all, the wait for a connection included; 5000 if absent. */
  timeout?: number
}

export interface PostgresStore extends Store {
  /**
   * Makes the table, if it is not there. Any number of processes may do so at once. Needs the right to create tables; where
   * the server's user has none, run `postgresSchema()` yourself. Rejects after a minute, or if a newer version made the table.
   */
  migrate(): Promise<void>
  /**
   * One round trip, for the start of a server. Rejects with an error that says what to do if the database cannot be reached
   * (it names the address without user and password), is a standby, does not wait for the disk (`synchronous_commit`), is not
   * in UTF-8, or lacks the table.
   */
  check(): Promise<void>
  close(): Promise<void>
}

/**
 * A store in one table of a PostgreSQL database, shared by any number of processes and hosts.
 *
 * Each swap is one statement that commits by itself; it is sent once and never repeated when its outcome is unknown. No
 * session state and no named statements: a pooler that hands out a connection per transaction may stand between. The clock
 * is that of the database server. Expired entries are invisible at once and removed a few at a time by later writes. `due`
 * orders by due time, then by time of writing, and `after` stands for its place in that order when it was returned, whether
 * or not the entry has been changed or deleted since.
 *
 * All methods reject when the server cannot be reached, does not answer within `timeout`, or is a standby: a swap that was
 * rejected may have been done. Keys and queues have at most 2600 bytes of UTF-8.
 *
 * @throws `TypeError` for an option out of range.
 */
export function postgresStore(options: PostgresOptions): PostgresStore {
  const { client, table = 'mppkit_entries', timeout = 5000 } = options
  const { quoted } = parseTable(table)
  if (!Number.isSafeInteger(timeout) || timeout < 1 || timeout > 0x7fffffff) {
    throw new TypeError('postgresStore: `timeout` must be a whole number of milliseconds, at least 1')
  }
  const link = linkTo(client)
  const statements = statementsFor(quoted)
  const fault = createFaults(link.address, table)
  let closed = false
  let sweeping: Promise<void> | undefined
  // The first write of a process sweeps too: where processes are short-lived, no other may ever come.
  let unswept = writesPerSweep

  /** @param end When the call has to be over, on the clock of `performance.now()`. */
  async function run(
    text: string,
    values: (string | null)[],
    end = performance.now() + timeout,
  ): Promise<Row[]> {
    if (closed) throw new Error('postgresStore: the store is closed')
    for (;;) {
      try {
        return await link.run(text, values, end - performance.now())
      } catch (error) {
        // These two say that nothing was done: it may be done now. Every other failure may have been a success.
        const { code } = error as { code?: unknown }
        if ((code === serializationFailure || code === deadlockDetected) && performance.now() < end) continue
        throw fault(error)
      }
    }
  }

  async function read(key: string, end?: number): Promise<Entry | undefined> {
    const [row] = await run(statements.read, [encodeText(key)], end)
    const [standby, ...columns] = row!
    if (standby !== 'false') throw fault.standby()
    return toEntry(columns)
  }

  /** Removes what has expired, in a statement of its own: none that a payment waits for, none that holds two locks. */
  function sweep(): void {
    unswept += 1
    if (unswept < writesPerSweep || sweeping) return
    unswept = 0
    sweeping = run(statements.sweep, [`${rowsPerSweep}`])
      .then(
        ([row]) => {
          // There may be more: go on with the next write.
          if (row?.[0] === `${rowsPerSweep}`) unswept = writesPerSweep
        },
        // What is left behind is invisible, and the next one removes it.
        () => {},
      )
      .finally(() => (sweeping = undefined))
  }

  return {
    async get(key) {
      return read(key)
    },

    async swap(key, expect, next): Promise<SwapResult> {
      checkKey(key)
      if (next !== 'delete') checkWrite(next)
      const end = performance.now() + timeout
      const at = encodeText(key)
      if (expect === 'absent') {
        if (next !== 'delete') {
          const [row] = await run(statements.claim, [at, ...termsOf(next)], end)
          if (row) {
            sweep()
            return { ok: true, version: row[0]! }
          }
        }
        // Refused, or there is nothing to write: what stands there may be newer than the refusal, or gone.
        const entry = await read(key, end)
        if (entry) return { ok: false, entry }
        return next === 'delete' ? { ok: true, version: expect } : { ok: false }
      }
      const [row] =
        next === 'delete'
          ? await run(statements.remove, [at, encodeText(expect)], end)
          : await run(statements.replace, [at, ...termsOf(next), encodeText(expect)], end)
      if (row === undefined) return { ok: false }
      const [done, ...columns] = row
      if (done !== 'true') return { ok: false, entry: toEntry(columns)! }
      sweep()
      return { ok: true, version: columns[2]! }
    },

    async due(queue, limit, after) {
      const place = after && placeOf(after.version)
      const most = `${Math.min(Math.max(Math.floor(limit), 0), 0x7fffffff)}`
      const rows = await run(statements.list, [
        encodeText(queue),
        most,
        place?.due ?? null,
        place?.sequence ?? null,
      ])
      if (rows[0]?.[0] !== 'false') throw fault.standby()
      return rows.flatMap(([, ...columns]) => toEntry(columns) ?? [])
    },

    async check() {
      const [row] = await run(checkStatement, [quoted])
      const [readOnly, commit, encoding, present, comment] = row!
      if (readOnly !== 'off') throw fault.standby()
      if (commit === 'off') throw fault.forgetful()
      if (!encodings.has(encoding!)) throw fault.encoding(encoding!)
      if (present !== 'true') throw fault.missing()
      const version = versionOf(comment)
      if (version !== schemaVersion) throw fault.schema(version)
    },

    async migrate() {
      const end = performance.now() + migrateTimeout
      const [row] = await run(checkStatement, [quoted], end)
      const [readOnly, , encoding, , comment] = row!
      if (readOnly !== 'off') throw fault.standby()
      if (!encodings.has(encoding!)) throw fault.encoding(encoding!)
      const version = versionOf(comment)
      if (version === schemaVersion) return
      if (version > schemaVersion) throw fault.schema(version)
      await run(postgresSchema(table), [], end)
    },

    async close() {
      closed = true
      link.close()
      await sweeping
    },
  }
}

const writesPerSweep = 16
/** Four for each write: the dead go faster than the living come. */
const rowsPerSweep = 4 * writesPerSweep
/** Another process may be at it. */
const migrateTimeout = 60_000

/** Those in which all of Unicode can be kept as it is sent. */
const encodings = new Set(['UTF8', 'SQL_ASCII'])

const serializationFailure = '40001'
const deadlockDetected = '40P01'

function toEntry([key, value, version, leased]: Row): Entry | undefined {
  if (typeof key !== 'string') return undefined
  return { key: decodeText(key), value: decodeText(value!), version: version!, leased: leased === 'true' }
}

/** 0 for a table that says nothing, or none. */
function versionOf(comment: string | null | undefined): number {
  return comment?.startsWith(schemaMark) ? Number(comment.slice(schemaMark.length)) : 0
}
