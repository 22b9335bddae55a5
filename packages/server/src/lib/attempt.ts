import type { Challenge, Entry, JsonObject, OnceMethod, Parsed, PaymentErrorCode } from '@mppkit/core'
import type { Run } from './run.ts'
import type { Kept } from './seam.ts'

/** The named points at which a process may die; tests make it die at each. */
export type FaultPoint =
  | 'looked-up'
  | 'verified'
  | 'claimed'
  | 'proof-claimed'
  | 'key-claimed'
  | 'noted'
  | 'settled'
  | 'handler-started'
  | 'first-byte'
  | 'kept'
  | 'last-byte'
  | 'delivered'
  | 'refund-noted'
  | 'refund-sent'

/** A credential whose challenge is ours: all that can be judged without asking anyone is judged. */
export interface Attempt {
  challenge: Challenge
  request: JsonObject
  source?: string | undefined
  method: OnceMethod<never>
  parsed: Parsed
  quote: string
  /** Unix seconds. */
  issued: number
  /** Unix ms. */
  expires: number
  /** Binds an Idempotency-Key to the operation it was sent with. */
  scope: string
  /** Whether the request changes nothing (RFC 9110, safe methods). */
  safe: boolean
  idempotencyKey?: string | undefined
  remote?: string | undefined
  attempts: number
  within: number
  /** The record as an earlier look-up saw it. */
  entry?: Entry | undefined
  /** Whether the route still asks for these terms; judged only where no record exists. */
  terms(): boolean
}

export type Verdict =
  | { kind: 'granted'; run: Run }
  | { kind: 'kept'; answer: Kept }
  /** The payer's fault. */
  | { kind: 'refused'; code: PaymentErrorCode; detail: string }
  | { kind: 'conflict'; retry: boolean; detail: string }
  /** The rail's or the store's fault; already reported. */
  | { kind: 'unavailable'; detail: string }
