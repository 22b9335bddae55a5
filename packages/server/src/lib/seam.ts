import type { JsonObject, Receipt } from '@mppkit/core'

/** How the request reached the server, judged by the socket or by a trusted hop, never by `Host`. */
export type Transport = 'tls' | 'plain' | 'loopback' | 'unknown'

/** What an adapter shows of its framework's request: a view, never a constructed web `Request`. */
export interface Incoming {
  method: string
  /** Path and query exactly as the router matched them: never normalised, never absolute. */
  target: string
  /** All lines of a field joined by ", ". */
  headers: { get(name: string): string | null }
  transport: Transport
  /** Address of the peer. */
  remote?: string | undefined
  /** Fires when the client is gone. */
  signal?: AbortSignal | undefined
  /** Keeps the platform alive for work after the answer. */
  waitUntil?: ((work: Promise<unknown>) => void) | undefined
  /**
   * The content as it was received. Memoised; leaves the body readable for the handler.
   * Rejects with `BodyError`: a Content-Length above the limit is refused unread.
   */
  body?: ((limit: number) => Promise<Uint8Array>) | undefined
}

/** Why a body could not be had: 413 too large, 408 too slow, 400 broken off; or `consumed`, which is the programmer's fault. */
export class BodyError extends Error {
  override readonly name = 'BodyError'
  readonly reason: 'too-large' | 'too-slow' | 'broken' | 'consumed'
  constructor(reason: BodyError['reason'], message: string) {
    super(message)
    this.reason = reason
  }
}

/** A complete answer of the gate. */
export interface Answer {
  status: number
  headers: [name: string, value: string][]
  body: string | Uint8Array | ReadableStream<Uint8Array> | null
}

/** A price bound to a server: asked once per request. */
export interface Gate {
  (request: Incoming): Promise<Opening>
  readonly offers: readonly Offer[]
}

/** What a route asks for, one per rail; for listings and for errors. */
export interface Offer {
  method: string
  intent: string
  /** The request object of the challenge; without `amount` where it is computed per request. */
  request: JsonObject
  /** In whole units, as the price says it; absent where it is computed per request. */
  amount?: string
}

export type Opening =
  | { kind: 'pass' }
  | { kind: 'respond'; answer: Answer }
  | { kind: 'admit'; admit(): Promise<Decision> }

export type Decision = { kind: 'respond'; answer: Answer } | { kind: 'proceed'; grant: Grant }

/** What the handler may know of the payment. */
export interface Payment {
  /** The quote: the payment's id, and the idempotency key for the handler's own side effects. */
  id: string
  /** 1 for the first start of the handler, counted up when the credential is redeemed again. */
  attempt: number
  /** Fires when the lease on this payment is lost or, because the client left, given up: someone else may be running it. */
  signal: AbortSignal
  receipt: Receipt
  /** The payer, where the method has proven it. */
  payer?: string
  method: string
  intent: string
  /** The decoded request object that was paid. */
  request: JsonObject
}

/** A one-piece answer, as it can be kept for a retry. */
export interface Kept {
  status: number
  headers: [name: string, value: string][]
  body: Uint8Array | string | null
}

/** How an answer ended: how much of its body was handed to the runtime. */
export interface Outcome {
  /** 499: the client left before there was an answer; with "nothing" if the handler was not even started. */
  status: number
  reached: 'nothing' | 'some' | 'all'
}

/** What remains to be done after "proceed". */
export interface Grant {
  payment: Payment
  /** To be set, in place and replacing, when the answer's status is known. 1xx untouched. */
  headers(status: number): [name: string, value: string][]
  /** Bytes of a one-piece answer worth holding back for `keep`; 0: do not hold. */
  keeps: number
  /** Awaited before the first byte of a one-piece answer. Never rejects. */
  keep(answer: Kept): Promise<void>
  /** Exactly once, when the answer has ended. Never rejects. */
  finish(outcome: Outcome): Promise<void>
}
