import type { Challenge, Entry, Receipt, Store, Version, Write } from '@mppkit/core'
import { paymentsQueue, refundedQueue } from './queues.ts'
import type { Notebook } from './rail-context.ts'
import { Fenced, LEASE, PATIENCE, RENEW } from './record.ts'
import { keepAlive, letGo } from './renewal.ts'

/** Seconds until a refund whose outcome is unknown is looked at again. */
export const AGAIN = 30
/** Seconds for which a refused order is remembered. */
const GRAVE = 15 * 60

/** What is to be returned, and all that is known of why. */
export interface RefundOrder {
  quote: string
  challenge: Challenge
  source?: string | undefined
  receipt: Receipt
}

/** A refund on its way, or at its end. */
export interface RefundRecord extends RefundOrder {
  /** Who wrote last; makes two writers' values differ. */
  holder: string
  note?: string | undefined
  /** The money has gone back. */
  refund?: Receipt | undefined
  /** It will not: the rail says so. */
  refused?: true
}

/** The right to return the money of one payment, renewed until the rail has had its time. Its writes go one at a time. */
export class RefundHold implements Notebook {
  readonly signal: AbortSignal = AbortSignal.timeout(PATIENCE)
  readonly #store: Store
  readonly #realm: string
  readonly #key: string
  #record: RefundRecord
  #version: Version | 'absent'
  #writing: Promise<unknown> | undefined
  /** When it was leased last, by a clock that is never set back. */
  #leasedAt = 0
  readonly #begun = performance.now()

  constructor(store: Store, realm: string, key: string, record: RefundRecord, version: Version | 'absent') {
    this.#store = store
    this.#realm = realm
    this.#key = key
    this.#record = record
    this.#version = version
  }

  get record(): Readonly<RefundRecord> {
    return this.#record
  }

  get progress(): { readonly note?: string | undefined } {
    return this.#record
  }

  /** Whether it is ours. */
  async take(): Promise<boolean> {
    const isOurs = await this.#lease()
    if (isOurs) keepAlive(this)
    return isOurs
  }

  /** A store that cannot be reached is asked again at the next turn; who has taken over finds the note, and the rail knows the id. */
  renew(): void {
    const now = performance.now()
    if (now > this.#begun + PATIENCE) return this.stop()
    if (this.#writing || now < this.#leasedAt + RENEW) return
    void this.#lease().catch(ignore)
  }

  /** No more renewals; the lease runs out by itself, or was given up. */
  stop(): void {
    letGo(this)
  }

  async write({ note }: { note: string }): Promise<void> {
    this.#record = { ...this.#record, note }
    if (!(await this.#lease())) throw new Fenced()
  }

  /** For ever: a second refund would be found out by nothing else. */
  async done(refund: Receipt): Promise<void> {
    this.#record = { ...this.#record, refund }
    if (!(await this.#end({ due: { queue: refundedQueue(this.#realm), in: 0 } }))) throw new Fenced()
  }

  async lapse(): Promise<void> {
    const { refund: _, ...record } = this.#record
    this.#record = record
    await this.#end({ due: this.#due(AGAIN) })
  }

  /** A mark, not a deletion: a write of ours that is still on its way to the store must not bring the order back to life. */
  refuse(): Promise<boolean> {
    this.#record = { ...this.#record, refused: true }
    return this.#end({ ttl: GRAVE })
  }

  async #lease(): Promise<boolean> {
    const isOurs = await this.#swap({ lease: LEASE, due: this.#due(LEASE / 1000 + AGAIN) })
    if (isOurs) this.#leasedAt = performance.now()
    else this.stop()
    return isOurs
  }

  #end(rest: Rest): Promise<boolean> {
    // A renewal behind it would take back what it gives up.
    this.stop()
    return this.#swap(rest)
  }

  #due(seconds: number): NonNullable<Write['due']> {
    return { queue: paymentsQueue(this.#realm), in: seconds }
  }

  async #swap(rest: Rest): Promise<boolean> {
    const write: Write = { ttl: 'forever', ...rest, value: JSON.stringify(this.#record) }
    while (this.#writing) await this.#writing.catch(ignore)
    const work = this.#put(write)
    this.#writing = work
    try {
      return await work
    } finally {
      this.#writing = undefined
    }
  }

  async #put(write: Write): Promise<boolean> {
    const expect = this.#version
    let result
    try {
      result = await this.#store.swap(this.#key, expect, write)
    } catch {
      result = await this.#store.swap(this.#key, expect, write)
    }
    if (!result.ok && result.entry?.value === write.value) {
      // Written, and its reply was lost.
      this.#version = result.entry.version
      return true
    }
    if (result.ok) this.#version = result.version
    return result.ok
  }
}

type Rest = Omit<Write, 'value' | 'ttl'> & { ttl?: number }

/** What `RefundHold` has written. */
export function parseRefund(entry: Entry): RefundRecord {
  return JSON.parse(entry.value) as RefundRecord
}

/** The next turn tries again. */
function ignore(): void {}
