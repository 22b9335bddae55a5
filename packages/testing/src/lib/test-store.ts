import { afterEach, beforeEach, describe } from 'vitest'
import type { Store } from '@mppkit/core'
import { createStoreBench } from './test-store-bench.ts'
import { clockQuestions } from './test-store-clock.ts'
import { dueQuestions } from './test-store-due.ts'
import { faultQuestions } from './test-store-faults.ts'
import { processQuestions } from './test-store-processes.ts'
import { raceQuestions } from './test-store-races.ts'
import { swapQuestions } from './test-store-swap.ts'
import { valueQuestions } from './test-store-values.ts'

/** What `testStore` needs of a store; opened anew for every test. What is absent skips the questions that need it. */
export interface OpenedStore {
  /** The store under test. `restart` may put another object here. */
  store: Store
  /**
   * One more store object on the same data, with a connection of its own. Without it, races between objects are skipped.
   * `skew`, in milliseconds, is passed only where `clock` is `'server'`: this process has a `Date` that is off by it while
   * the object is made and called, and an object that runs in another process has to see to that there.
   */
  another?(options?: { skew: number }): Promise<Store>
  /** `'server'`: leases, expiry and due times are judged by one clock, wherever the callers are. Absent: by the clock of each host. */
  clock?: 'server'
  /** Moves the store's clock on by milliseconds. Without it the suite waits in real time. */
  advance?(ms: number): void | Promise<void>
  /**
   * How other processes of this host reach the same data: a module that exports `openStore(options): Promise<Store>`. It
   * is loaded into eight child processes of Node; `options` must survive JSON. Their clock is the real one.
   */
  processes?: { module: string | URL; options: unknown }
  /**
   * Cuts all connections of `store`, or kills its server and starts it again, while calls are in flight; resolves when the
   * server can be reached again. `store` must then work again by itself.
   */
  interrupt?(): Promise<void>
  /** Kills the server (SIGKILL) and starts it again on its data; without a server, closes the data and opens it again. */
  restart?(): Promise<void>
  /** Releases what `open` made. The store itself may already be closed. */
  close?(): Promise<void>
}

/**
 * The questions that every store has to answer, as a vitest suite: versions, values, expiry, leases, queues, races in one
 * process and between eight, lost connections and restarts.
 *
 * Keys and queues are fresh for each test, so the data behind the store need not be empty. A store has to take values up to
 * 1 MiB of UTF-8, and keys and queues up to 512 UTF-16 units, of any well-formed string, U+0000 included. Lone surrogates
 * are not asked for: JSON escapes them in values, and what a stranger sends becomes part of a key only as a hash.
 *
 * @param name Names the suite.
 * @param open Opens the store under test; called before each test.
 */
export function testStore(name: string, open: () => Promise<OpenedStore>): void {
  describe(`store: ${name}`, () => {
    let opened: OpenedStore
    let prefix: string

    beforeEach(async () => {
      opened = await open()
      prefix = `test:${crypto.randomUUID()}:`
    })
    afterEach(() => opened?.close?.())

    const bench = createStoreBench(() => ({ opened, prefix }))
    swapQuestions(bench)
    valueQuestions(bench)
    clockQuestions(bench)
    dueQuestions(bench)
    raceQuestions(bench)
    processQuestions(bench)
    faultQuestions(bench)
  })
}
