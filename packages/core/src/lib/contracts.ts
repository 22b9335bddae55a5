import type { Challenge } from './challenge.ts'
import type { JsonObject } from './json.ts'
import type { Receipt } from './receipt.ts'

/** An amount of one currency. `amount` is in base units; `decimals` tells how many of them make one whole unit. */
export interface Money {
  amount: bigint
  decimals: number
  /** What the method calls the currency: a token address in lower case, or an ISO 4217 code in lower case. */
  currency: string
}

/** Opaque; never used twice for a key. */
export type Version = string

/** One value of a store, as it stood when it was read. */
export interface Entry {
  key: string
  value: string
  version: Version
  /** Whether a lease holds now, judged by the store's clock. */
  leased: boolean
}

/** All that is to be stored for a key. A write states everything: without `lease` there is no lease, without `due` no queue. */
export interface Write {
  value: string
  /** Seconds until the entry vanishes by itself. */
  ttl: number | 'forever'
  /** Milliseconds of exclusive use, by the store's clock. */
  lease?: number
  /** Lists the entry in `queue`, `in` seconds from now. */
  due?: { queue: string; in: number }
}

export type SwapResult = { ok: true; version: Version } | { ok: false; entry?: Entry }

/**
 * A single-key, linearizable store; never a replica.
 * Every method rejects when the store cannot be reached: it never guesses.
 */
export interface Store {
  get(key: string): Promise<Entry | undefined>
  /** Writes only if the key still has version `expect` (or does not exist). A refusal shows what stands there now. */
  // oxlint-disable-next-line typescript/no-redundant-type-constituents -- 'absent' is named for the reader
  swap(key: string, expect: Version | 'absent', next: Write | 'delete'): Promise<SwapResult>
  /** The entries of a queue that are due by the store's clock, oldest first. Does not claim. `after` pages on. */
  due(queue: string, limit: number, after?: Entry): Promise<Entry[]>
  /** Asks whether the store can be relied on as it is set up. Rejects with what is wrong and the remedy; names addresses without passwords. */
  check?(): Promise<void>
  close?(): Promise<void>
  /** Set by a store that forgets when the process ends: a server refuses it beyond loopback. */
  readonly volatile?: true
}

/** What a route asks of one method. `amount` is a decimal string; `null` checks and quotes the constant terms only. */
export interface Terms {
  amount: string | null
  currency?: string
  recipient?: string
  description?: string
  externalId?: string
}

/** What a method made of a payload: pure data, before anything was checked against the outside world. */
export interface Parsed<Proof = unknown> {
  proof: Proof
  /** The same proof gives the same key, whatever its spelling. At most 200 characters. */
  key: string
  /** What `find` needs, if the payload alone determines it; of money that has moved already, always. */
  note?: string
  /** Unix seconds after which the proof can no longer move money. */
  until?: number
  /** Whether this proof says that the money has moved already; absent: as the method's `moves`. */
  moved?: boolean
}

export interface Context {
  challenge: Challenge
  /** The decoded `request` of the challenge. */
  request: JsonObject
  /** The payer named by the credential, unproven. */
  source?: string
  /** Unix seconds at which the challenge was issued. */
  issued: number
  /** Unix milliseconds, the server's wall clock. */
  now(): number
  signal: AbortSignal
  /** The server's store, keys prefixed with the method's name. */
  store: Store
  onError(error: unknown): void
}

export interface Noted extends Context {
  /** The note as it stands, if an earlier attempt has written one. */
  noted?: string | undefined
  /** Writes `text` into the payment's record. To be awaited before the side effect that it describes; rejects when the lease is lost. */
  note(text: string): Promise<void>
}

/**
 * A rail that takes one payment per challenge (intent `charge`).
 * All members may throw `PaymentError` only for what can never become valid; everything else means "unknown, try again".
 */
export interface OnceMethod<Override = object, Proof = unknown, Name extends string = string> {
  name: Name
  intent: string
  /** When money moves: before the credential arrives, or in `settle`. */
  moves: 'before' | 'settle'
  /** Whether a flat `currency` or `recipient` of a price may be meant for this rail. */
  takes(field: 'currency' | 'recipient', value: string): boolean
  /** The request object of a challenge. Pure; throws `TypeError` with the remedy when the terms cannot be asked for. */
  quote(terms: Terms & Override): JsonObject
  /** Pure and bounded. Throws `PaymentError('malformed-credential')`, or `verification-failed` for a proof of the wrong kind. */
  parse(
    payload: JsonObject,
    challenge: Challenge,
    request: JsonObject,
  ): Parsed<Proof> | Promise<Parsed<Proof>>
  /** No side effects. `payer` only if proven. */
  verify(parsed: Parsed<Proof>, context: Context): Promise<{ payer?: string }>
  /** Moves the money. Idempotent per credential. */
  settle(parsed: Parsed<Proof>, context: Noted): Promise<Receipt>
  /** Asks the rail, without the buyer. `not-moved` means: has not moved and can never move. Not found is `unknown`. */
  find(note: string, context: Context): Promise<Receipt | 'not-moved' | 'unknown'>
  /**
   * Returns all that was paid to whoever paid it. Idempotent per `by.id`; notes before it sends. A `PaymentError` says
   * that nothing was returned and nothing will be. The record of a payment does not live for ever: once it is gone,
   * `context.request` is empty, and of the challenge only id, realm, method and intent are known.
   */
  refund?(receipt: Receipt, by: { id: string }, context: Noted): Promise<Receipt>
  /** Whether this is a test network or a live one; a server refuses to mix them. */
  mode?: 'test' | 'live'
}

/** A signed but unsent payment: plain JSON, so that it can be kept in a journal. */
export interface Prepared {
  method: string
  intent: string
  challenge: Challenge
  /** DID or address of the payer, echoed in the credential. */
  source?: string
  /** Method-specific, JSON. */
  data: JsonObject
}

export interface ClientContext {
  /** Unix milliseconds, corrected for the clock of the server. */
  now(): number
  signal: AbortSignal
}

/** What the buyer's policy judges. */
export interface Cost {
  /** The most that can leave the wallet, fees and swaps included. */
  most: Money
  /** Everyone who is paid, first the main recipient. */
  recipients: string[]
  /** Chain or network, in the method's words. */
  network?: string
}

export interface ClientMethod {
  name: string
  intent: string
  /** Whether this challenge can be paid at all (chain, modes, versions). Throws nothing. */
  supports?(challenge: Challenge, request: JsonObject): boolean
  /** Throws `PaymentError('invalid-challenge')` for a request that breaks the method's rules. */
  cost(challenge: Challenge, request: JsonObject): Cost
  /** Signs; moves nothing. */
  prepare(challenge: Challenge, request: JsonObject, context: ClientContext): Promise<Prepared>
  /** Only where the client moves the money (push, lightning). Idempotent per `Prepared`. */
  send?(prepared: Prepared, context: ClientContext): Promise<void>
  payload(prepared: Prepared): JsonObject
  find?(prepared: Prepared, context: ClientContext): Promise<'moved' | 'not-moved' | 'unknown'>
}
