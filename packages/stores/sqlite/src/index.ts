import { closeSync, openSync } from 'node:fs'
import type { DatabaseSync } from 'node:sqlite'
import type { Entry, Store, SwapResult, Version, Write } from '@mppkit/core'

/**
 * A store in one SQLite file, shared by any number of processes of one host and durable against power loss:
 * write-ahead log, `synchronous=FULL`, every change under the file's write lock.
 *
 * The clock is that of the host. Expired entries are invisible at once and removed a few at a time by later writes.
 * `due` orders by due time, then by time of writing, and `after` stands for its place in that order when it was
 * returned, whether or not the entry has been changed or deleted since. All methods reject when SQLite fails,
 * and when another process has held the lock for longer than `timeout`.
 *
 * @param options.path The file, on a local disk; created if absent. `':memory:'` keeps everything in this store object.
 * @param options.timeout Milliseconds to wait for the lock, during which the process blocks; 5000 if absent.
 * @param options.now The store's clock in Unix milliseconds, for tests. All processes must agree on it.
 * @throws `TypeError` for an option out of range and for a runtime without `node:sqlite`; SQLite's own error if the file cannot be opened.
 */
export function sqliteStore(options: { path: string; timeout?: number; now?: () => number }): Store {
  const { path, timeout = 5000, now = () => Date.now() } = options
  if (typeof path !== 'string' || path === '') {
    throw new TypeError("sqliteStore: `path` must name a file on a local disk, or be ':memory:'")
  }
  // SQLite would read options in it, such as one that keeps everything in memory.
  if (/^file:/i.test(path)) {
    throw new TypeError('sqliteStore: `path` must be a plain path; for a file: URL give fileURLToPath(url)')
  }
  if (!Number.isSafeInteger(timeout) || timeout < 0 || timeout > 0x7fffffff) {
    throw new TypeError('sqliteStore: `timeout` must be a whole number of milliseconds')
  }
  if (typeof now !== 'function') throw new TypeError('sqliteStore: `now` must return Unix milliseconds')

  const database = openDatabase(path, timeout)
  const begin = database.prepare('BEGIN IMMEDIATE')
  const commit = database.prepare('COMMIT')
  const rollback = database.prepare('ROLLBACK')
  const read = database.prepare(
    'SELECT key, value, sequence, leased_until, due FROM mppkit_entries WHERE key = ? AND expires > ?',
  )
  const readVersion = database.prepare(
    'SELECT sequence, due FROM mppkit_entries WHERE key = ? AND expires > ?',
  )
  // Replacing a row gives it a new sequence number; AUTOINCREMENT never gives out one twice, even after a delete.
  const write = database.prepare(
    'INSERT OR REPLACE INTO mppkit_entries (key, value, expires, leased_until, queue, due) VALUES (?, ?, ?, ?, ?, ?)',
  )
  const remove = database.prepare('DELETE FROM mppkit_entries WHERE key = ?')
  const sweep = database.prepare(
    'DELETE FROM mppkit_entries WHERE sequence IN (SELECT sequence FROM mppkit_entries WHERE expires <= ? ORDER BY expires LIMIT 4)',
  )
  const list = database.prepare(
    'SELECT key, value, sequence, leased_until, due FROM mppkit_entries' +
      ' WHERE queue = ? AND due <= ? AND (due, sequence) > (?, ?) AND expires > ? ORDER BY due, sequence LIMIT ?',
  )

  // `work` gets the time after the lock was got: a lease must not shrink by the time spent waiting for it.
  function exclusively<T>(work: (at: number) => T): T {
    begin.run()
    try {
      const result = work(now())
      commit.run()
      return result
    } catch (error) {
      try {
        rollback.run()
      } catch {
        // SQLite has already rolled back by itself (disk full, I/O error): the first error tells why.
      }
      throw error
    }
  }

  function find(key: string, at: number): Entry | undefined {
    const row = read.get(key, at) as Row | undefined
    return row && toEntry(row, at)
  }

  return {
    ...(path === ':memory:' && { volatile: true as const }),
    async get(key) {
      return find(key, now())
    },

    async swap(key, expect, next) {
      if (next !== 'delete') checkWrite(next)
      return exclusively((at): SwapResult => {
        sweep.run(at)
        const row = readVersion.get(key, at) as Pick<Row, 'sequence' | 'due'> | undefined
        if ((row ? toVersion(row.sequence, row.due) : 'absent') !== expect) {
          const entry = find(key, at)
          return entry ? { ok: false, entry } : { ok: false }
        }
        // A spent version matches nothing again, so whoever goes on with it after a delete is refused.
        if (next === 'delete') {
          if (row) remove.run(key)
          return { ok: true, version: expect }
        }
        const { due, lease, ttl, value } = next
        const dueAt = due ? Math.ceil(at + due.in * 1000) : null
        const expires = ttl === 'forever' ? never : Math.min(Math.ceil(at + ttl * 1000), never)
        const leasedUntil = lease === undefined ? 0 : Math.ceil(at + lease)
        const { lastInsertRowid } = write.run(key, value, expires, leasedUntil, due?.queue ?? null, dueAt)
        return { ok: true, version: toVersion(Number(lastInsertRowid), dueAt) }
      })
    },

    async due(queue, limit, after) {
      const place = after ? placeOf(after.version) : { due: Number.MIN_SAFE_INTEGER, sequence: 0 }
      const at = now()
      const rows = list.all(queue, at, place.due, place.sequence, at, limit) as unknown as Row[]
      return rows.map((row) => toEntry(row, at))
    },

    async close() {
      if (database.isOpen) database.close()
    },
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

const schema = `
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

function openDatabase(path: string, timeout: number): DatabaseSync {
  const { DatabaseSync } = loadSqlite()
  // Who paid for what is nobody else's business; SQLite gives its side files the rights of the first.
  if (path !== ':memory:') closeSync(openSync(path, 'a', 0o600))
  const database = new DatabaseSync(path)
  try {
    // On macOS a plain fsync does not reach the platter; elsewhere fullfsync changes nothing.
    database.exec(`PRAGMA busy_timeout = ${timeout}; PRAGMA synchronous = FULL; PRAGMA fullfsync = ON`)
    const mode = waiting(timeout, () => database.prepare('PRAGMA journal_mode = WAL').get()?.['journal_mode'])
    if (mode !== 'wal' && mode !== 'memory') {
      throw new Error(`sqliteStore: no write-ahead log is possible at ${path}; put the file on a local disk`)
    }
    waiting(timeout, () => database.exec(`BEGIN IMMEDIATE; ${schema} COMMIT`))
    return database
  } catch (error) {
    database.close()
    throw error
  }
}

function loadSqlite(): typeof import('node:sqlite') {
  // Looked up here and not imported above: merely importing this package must not crash Node 20.
  const sqlite = globalThis.process?.getBuiltinModule?.('node:sqlite')
  if (!sqlite) {
    throw new TypeError('sqliteStore needs node:sqlite: run Node 22.13 or later, or use another store')
  }
  return sqlite
}

/** Repeats `work` while the file is busy. Where processes open a new file at once, SQLite does not wait by itself. */
function waiting<T>(timeout: number, work: () => T): T {
  const end = performance.now() + timeout
  for (;;) {
    try {
      return work()
    } catch (error) {
      const code = (error as { errcode?: number }).errcode
      if (code === undefined || (code & 0xff) !== sqliteBusy || performance.now() >= end) throw error
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5)
    }
  }
}

/** The primary result code; the extended ones keep it in their low byte. */
const sqliteBusy = 5

function toEntry(row: Row, at: number): Entry {
  return {
    key: row.key,
    value: row.value,
    version: toVersion(row.sequence, row.due),
    leased: row.leased_until > at,
  }
}

// The due time is part of the version, so that `after` keeps its place even when its entry is gone.
function toVersion(sequence: number, due: number | null): Version {
  return due === null ? `${sequence}` : `${sequence}.${due}`
}

function placeOf(version: Version): { due: number; sequence: number } {
  const [, sequence, due] = /^(\d+)\.(-?\d+)$/.exec(version) ?? []
  if (sequence === undefined) throw new TypeError('sqliteStore: `after` must be an entry that `due` returned')
  return { due: Number(due), sequence: Number(sequence) }
}

function checkWrite({ due, lease, ttl, value }: Write): void {
  if (typeof value !== 'string') throw new TypeError('sqliteStore: `value` must be a string')
  // A claim with a ttl of zero or NaN would be lost as soon as it is acknowledged.
  if (ttl !== 'forever' && !(ttl > 0 && ttl < Infinity)) {
    throw new TypeError("sqliteStore: `ttl` must be a positive number of seconds, or 'forever'")
  }
  if (lease !== undefined && !Number.isFinite(lease)) {
    throw new TypeError('sqliteStore: `lease` must be a number of milliseconds')
  }
  if (due !== undefined && !Number.isFinite(due.in)) {
    throw new TypeError('sqliteStore: `due.in` must be a number of seconds')
  }
}
