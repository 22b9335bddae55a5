import type { Challenge, Entry, Receipt, Store, SwapResult, Version, Write } from '@mppkit/core'
import { keepAlive, letGo, TURN } from './renewal.ts'
import { paymentsQueue, unclaimedQueue, untoldQueue } from './queues.ts'
import { newHolder } from './runtime.ts'
import { addStep, stepOf } from './steps.ts'

/** What has become of a payment; with the lease, the rows of the lifecycle's table. */
export type State = 'pending' | 'settled' | 'delivered' | 'unclaimed' | 'refunding' | 'refunded'

/** How much of a 2xx or 3xx body was ever handed over, in the worst attempt. */
export type Reached = 'nothing' | 'some' | 'all'

/** What never changes about a payment once its quote is claimed. */
export interface Claim {
  quote: string
  /** The challenge that was answered first, without its unbound parts. */
  challenge: Challenge
  /** `Parsed.key`. */
  proof: string
  payer?: string | undefined
  source?: string | undefined
  /** Store key of the Idempotency-Key claim. */
  keyClaim?: string | undefined
  /** Hash that the Idempotency-Key of a retry must have to get the kept answer. */
  answerKey?: string | undefined
  /** Nothing is owed: amount zero. */
  zero: boolean
  /** The money had moved before the credential arrived. */
  moved?: true | undefined
  /** The challenge no longer held when the credential came: the money is listed, nothing is delivered. */
  late?: true | undefined
  /** Unix ms; from the challenge. */
  expires: number
  attempts: number
  /** Seconds. */
  within: number
}

/** What changes. */
export interface Progress {
  state: State
  /** Who wrote last; makes two writers' values differ. */
  holder: string
  /** Starts of the handler. */
  started: number
  /** A started attempt has not reported its end. */
  open: boolean
  reached: Reached
  note?: string | undefined
  receipt?: Receipt | undefined
  /** The sealed answer. */
  kept?: string | undefined
  /** The receipt of the money that went back. */
  refund?: Receipt | undefined
  /** What it was before the operator ordered its money back. */
  was?: State | undefined
  /** That this money is unclaimed has been announced. */
  told?: true | undefined
  /** What has happened so far; see `steps.ts`. */
  steps?: string | undefined
}

export interface PaymentRecord extends Progress {
  claim: Claim
}

export const LEASE = 30_000
export const RENEW = 10_000
/** Milliseconds for which a rail may settle, or return money, before the lease is left to run out. */
export const PATIENCE = 120_000
const GRACE = 15 * 60
/** Seconds after `expires` for which money that moved before is still looked at; no record of it may be gone by then. */
export const LATE = 24 * 60 * 60
export const KEPT_FOR = 60 * 60

/** The lease is gone: someone else owns the payment now. */
export class Fenced extends Error {
  override readonly name = 'Fenced'
  constructor() {
    super('the lease on this payment was lost: another process has taken it over')
  }
}

export function recordKey(realm: string, quote: string): string {
  return `pay:${realm}:${quote}`
}

export function proofKey(method: string, key: string): string {
  return `proof:${method}:${key}`
}

/** @throws Error for what is no record of a payment */
export function parseRecord(entry: Entry): PaymentRecord {
  const record = JSON.parse(entry.value) as Partial<PaymentRecord> | null
  if (!record?.claim?.challenge)
    throw new Error(`what is stored under ${entry.key} is no record of a payment`)
  return record as PaymentRecord
}

/** Seconds that claims and finished records must live, so that no clock within five minutes of ours sees the challenge as fresh again. */
export function claimTtl(claim: Claim, now: number): number {
  const left = Math.max(Math.ceil((claim.expires - now) / 1000), 0) + GRACE + (claim.moved ? LATE : 0)
  return claim.answerKey ? Math.max(left, KEPT_FOR + GRACE) : left
}

/** A proof without a challenge in it fits any quote of its time: it is remembered until the longest of them is over. */
export function proofTtl(claim: Claim, now: number, longest: number): number {
  return Math.max(claimTtl(claim, now), longest + 60 + GRACE + (claim.moved ? LATE : 0))
}

/**
 * The right to move a payment on. Every write is a swap on the version of the last own write, one at a time; a refused
 * swap whose stored value is ours is ours (its reply was lost). Anything else means that someone else owns the payment.
 */
export class Hold {
  readonly key: string
  readonly claim: Claim
  readonly #store: Store
  readonly #now: () => number
  readonly #fixed: string
  readonly #realm: string
  readonly #payments: string
  #progress: Progress
  #version: Version | 'absent'
  #writing: Promise<unknown> | undefined
  #lost: AbortController | undefined
  #isLost = false
  #isReleased = false
  /** What was tried has failed: it is not tried again at once. */
  #lapsed = false
  #receipt: Receipt | undefined
  #receiptJson = ''
  /** When the lease ends at the earliest, by a clock that is never set back: for renewals, and for giving up on retries. */
  #leasedUntil = 0
  /** Of a write before this one no reply came. */
  #unheard = false
  readonly #taken = performance.now()

  constructor(
    store: Store,
    key: string,
    claim: Claim,
    progress: Progress,
    version: Version | 'absent',
    now: () => number,
  ) {
    this.#store = store
    this.key = key
    this.claim = claim
    this.#progress = progress
    this.#version = version
    this.#now = now
    this.#fixed = `{"claim":${JSON.stringify(claim)},`
    this.#realm = claim.challenge.realm
    this.#payments = paymentsQueue(this.#realm)
  }

  get progress(): Readonly<Progress> {
    return this.#progress
  }

  get lost(): boolean {
    return this.#isLost
  }

  /** Fires when the payment is no longer ours. Made only if asked for: it costs more than a swap. */
  get signal(): AbortSignal {
    this.#lost ??= new AbortController()
    if (this.#isLost || this.#isReleased) this.#lost.abort(new Fenced())
    return this.#lost.signal
  }

  /** Tells a handler that still runs, though its answer has ended, that the next attempt may begin. */
  release(): void {
    this.#isReleased = true
    this.#lost?.abort(new Fenced())
  }

  /**
   * Takes or re-takes the payment. Resolves with the entry that stands in the way, if any.
   * Rejects when the store cannot be reached.
   */
  async take(): Promise<Entry | undefined> {
    const next = this.#write(this.#progress, true)
    const result = await this.#swap(next)
    if (result === undefined) keepAlive(this)
    return result
  }

  /** Moves the payment on, keeping or giving up the lease. Rejects with `Fenced`, or when the store cannot be reached. */
  async write(change: Partial<Progress>, keepLease: boolean): Promise<void> {
    if (this.#writing) await this.#quiet()
    if (this.#isLost) throw new Fenced()
    const progress = { ...this.#progress, ...change }
    const step = stepOf(this.#progress, change)
    if (step !== undefined) progress.steps = addStep(progress.steps, step, this.#now())
    const work = this.#swap(this.#write(progress, keepLease))
    this.#writing = work
    let standing: Entry | undefined
    try {
      standing = await work
    } finally {
      this.#writing = undefined
    }
    if (standing !== undefined) {
      this.#lose()
      throw new Fenced()
    }
    this.#progress = progress
    if (!keepLease) this.stop()
  }

  /** `write`, tried again while the lease lasts. */
  async insist(change: Partial<Progress>, keepLease: boolean): Promise<void> {
    for (let wait = 100; ; wait = Math.min(wait * 2, 5_000)) {
      try {
        return await this.write(change, keepLease)
      } catch (error) {
        if (error instanceof Fenced || performance.now() + wait >= this.#leasedUntil) throw error
        await new Promise((resolve) => setTimeout(resolve, wait))
      }
    }
  }

  /** Leaves the payment as it stands, so that a retry need not wait. If that cannot be written, the lease runs out by itself. */
  async lapse(): Promise<void> {
    this.stop()
    this.#lapsed = true
    await this.write({}, false)
  }

  /** Deletes the record, if it is still ours. */
  async drop(): Promise<void> {
    await this.#quiet()
    this.stop()
    if (this.#version === 'absent' || this.#isLost) return
    this.#isLost = true
    await this.#store.swap(this.key, this.#version, 'delete')
  }

  /** No more renewals; the lease runs out by itself, or was given up. */
  stop(): void {
    letGo(this)
  }

  /** Prolongs the lease if it is time to. A store that cannot be reached is asked again at the next turn. */
  renew(): void {
    const now = performance.now()
    if (this.#isLost || now < this.#leasedUntil - LEASE + RENEW) return
    // Nobody has told us, but at the next turn anybody may have the payment. A store that hangs does not tell either.
    const mayEnd = now >= this.#leasedUntil - TURN
    if (mayEnd) this.#lost?.abort(new Fenced())
    // A write under way prolongs the lease itself, or gives it up; a renewal behind it would take it back.
    if (this.#writing) return
    // A rail that stalls must not hold a payment for ever; a handler may take as long as it likes.
    const { state } = this.#progress
    if ((state === 'pending' || state === 'refunding') && now > this.#taken + PATIENCE) {
      if (mayEnd) this.stop()
      return
    }
    this.write({}, true).catch(() => {
      // Tried again at the next turn, or it was lost.
    })
  }

  /** Nothing of ours is on its way to the store. */
  async #quiet(): Promise<void> {
    while (this.#writing) {
      try {
        await this.#writing
      } catch {
        // Whoever began it is told.
      }
    }
  }

  #lose(): void {
    this.#isLost = true
    this.stop()
    this.#lost?.abort(new Fenced())
  }

  async #swap(next: Write): Promise<Entry | undefined> {
    const expect = this.#version
    // Not when it was heard of: the store's lease begins before that.
    const sent = performance.now()
    const isDoubtful = this.#unheard
    let result: SwapResult
    try {
      result = await this.#store.swap(this.key, expect, next)
    } catch {
      this.#unheard = true
      result = await this.#store.swap(this.key, expect, next)
    }
    const standing = result.ok ? undefined : result.entry
    if (standing !== undefined && this.#isOurs(standing)) {
      // An own write whose reply we never saw, this one or one before it.
      this.#version = standing.version
      // One before it may look the same, but its lease is older.
      if (standing.value === next.value && !isDoubtful) result = { ok: true, version: standing.version }
      else result = await this.#store.swap(this.key, this.#version, next)
    }
    if (!result.ok) return result.entry ?? GONE
    this.#version = result.version
    this.#unheard = false
    if (next.lease) this.#leasedUntil = sent + next.lease
    return undefined
  }

  #isOurs(entry: Entry): boolean {
    return parseRecord(entry).holder === this.#progress.holder
  }

  #write(progress: Progress, lease: boolean): Write {
    const { state, started } = progress
    const value = this.#fixed + this.#progressJson(progress)
    const write: Write = { value, ttl: 'forever' }
    if (lease) write.lease = LEASE
    if (state === 'delivered' || state === 'refunded') write.ttl = this.#ttl(progress)
    else if (state === 'pending') write.due = { queue: this.#payments, in: lease ? 60 : 30 }
    else if (state === 'refunding')
      write.due = { queue: this.#payments, in: lease ? 60 : this.#lapsed ? 30 : 0 }
    else if (state === 'unclaimed')
      write.due = { queue: (progress.told ? unclaimedQueue : untoldQueue)(this.#realm), in: 0 }
    else if (this.claim.zero) write.ttl = this.#ttl(progress)
    else
      write.due = {
        queue: this.#payments,
        in: started < this.claim.attempts ? this.claim.within : Math.min(this.claim.within, 900),
      }
    return write
  }

  /** By hand: `JSON.stringify` of the whole would be the dearest part of a payment. */
  #progressJson(progress: Progress): string {
    const {
      state,
      holder,
      started,
      open,
      reached,
      note,
      receipt,
      kept,
      refund,
      was,
      told,
      steps = '',
    } = progress
    if (receipt !== undefined && receipt !== this.#receipt) {
      this.#receipt = receipt
      this.#receiptJson = `,"receipt":${JSON.stringify(receipt)}`
    }
    const text = note === undefined ? '' : `,"note":${JSON.stringify(note)}`
    const answer = kept === undefined ? '' : `,"kept":"${kept}"`
    const back = refund === undefined ? '' : `,"refund":${JSON.stringify(refund)}`
    const rest = `${text}${receipt === undefined ? '' : this.#receiptJson}${back}${was ? `,"was":"${was}"` : ''}${told ? ',"told":true' : ''}${answer}}`
    return `"state":"${state}","holder":"${holder}","started":${started},"open":${open},"reached":"${reached}","steps":"${steps}"${rest}`
  }

  #ttl(progress: Progress): number {
    const ttl = claimTtl(this.claim, this.#now())
    return progress.kept ? Math.max(ttl, KEPT_FOR) : ttl
  }
}

/**
 * A hold on a payment that is on record, yet to be taken: as the record stands, but for `change`. `step` is what its
 * history shall say of that.
 */
export function holdOn(
  store: Store,
  { key, version }: Entry,
  { claim, ...progress }: PaymentRecord,
  change: Partial<Progress>,
  step: string | undefined,
  now: () => number,
): Hold {
  const next = { ...progress, ...change, holder: newHolder() }
  if (step !== undefined) next.steps = addStep(progress.steps, step, now())
  return new Hold(store, key, claim, next, version, now)
}

/** Stands for "the record has vanished under us". */
const GONE: Entry = { key: '', value: '', version: '', leased: false }

/** A rail's receipt with what lets it be found again. */
export function named(receipt: Receipt, { claim }: Hold): Receipt {
  return { ...receipt, challengeId: claim.challenge.id, quote: claim.quote }
}
