import { appendFileSync, existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

export const STORES = ['sqlite', 'redis', 'postgres'] as const
export type StoreName = (typeof STORES)[number]

/** A guard of the lifecycle that a run may leave out, to show that the run would notice. */
export const GUARDS = ['fencing', 'note', 'kept'] as const
export type Guard = (typeof GUARDS)[number]

/** What every process of a run is told; on disk as `run.json`. */
export interface Settings {
  folder: string
  /** Where the bundles of this run are. */
  built: string
  realm: string
  secret: string
  seed: number
  store: { name: StoreName; url: string }
  /** Where the toy ledger listens, without and with the faulty wire before it. */
  ledger: { port: number; faulty: number }
  chain?: { id: number; url: string; faulty: string; shop: `0x${string}`; refunds: boolean }
  /** Starts of the handler per payment. */
  attempts: number
  /** Divides the times at which recovery looks; leases stay as they are. */
  hurry: number
  without?: Guard
}

/** What one seller is told besides. */
export interface Post {
  name: string
  adapter: 'hono' | 'express'
  /** Milliseconds by which its clock is wrong. */
  skew: number
}

/** The files of a run: all that the auditor may read, besides store, ledger and chain. */
export function filesOf(folder: string) {
  return {
    run: join(folder, 'run.json'),
    /** What buyers did and hold. */
    journal: join(folder, 'journal.ndjson'),
    /** Starts of handlers, each written before the handler does anything. */
    handlers: join(folder, 'handlers.ndjson'),
    /** Faults, each written before it happens. */
    faults: join(folder, 'faults.ndjson'),
    /** Movements on the toy ledger, written by the ledger. */
    ledger: join(folder, 'ledger.ndjson'),
    /** What sellers report through `onError` and `onEvent`. */
    errors: join(folder, 'errors.ndjson'),
    events: join(folder, 'events.ndjson'),
    /** One empty file per fault that was carried out. */
    once: join(folder, 'once'),
    database: join(folder, 'payments.db'),
    report: join(folder, 'report.json'),
  }
}

/** Appends one line; written when it returns, whatever happens to the process then. */
export function note(file: string, line: object): void {
  appendFileSync(file, `${JSON.stringify(line)}\n`)
}

export function readLines<Line>(file: string): Line[] {
  if (!existsSync(file)) return []
  return readFileSync(file, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Line)
}

export function readSettings(folder: string): Settings {
  return JSON.parse(readFileSync(filesOf(folder).run, 'utf8')) as Settings
}
