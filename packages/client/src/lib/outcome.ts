import { parseReceipt, type Prepared, type Receipt } from '@mppkit/core'
import type { Offer } from './offer.ts'
import type { Refusal } from './refusal.ts'

/** A payment that was sent, or was about to be: plain JSON. Whoever holds it can spend it, so keep it like a password. */
export interface Payment extends Prepared {
  /** The only origin that it may be sent to. */
  origin: string
  idempotencyKey: string
}

/** What became of a call that was answered with 402. */
export type PaymentEvent =
  /** Nothing was paid; the caller has the original 402. */
  | { type: 'refused'; origin: string; reason: Refusal; offers: Offer[] }
  /** The payment was sent; `paid` if the answer is 2xx or 3xx. No status: there was no answer. */
  | {
      type: 'paid' | 'failed'
      origin: string
      offer: Offer
      money: Moved
      status?: number
      receipt?: Receipt | undefined
    }

/** What is known of the money. `not-moved`: and never will. */
export type Moved = 'moved' | 'not-moved' | 'unknown'

export const reasons = new WeakMap<Response, Refusal>()
export const payments = new WeakMap<Response, Payment>()

/** Why a client returned this 402 instead of paying it. */
export function reasonFor(response: Response): Refusal | undefined {
  return reasons.get(response)
}

/** The payment behind a response, or behind an error of a client: what `client.resume` takes. */
export function paymentOf(outcome: unknown): Payment | undefined {
  return payments.get(outcome as Response) ?? (outcome as { payment?: Payment } | undefined)?.payment
}

/** The receipt of a response; undefined if it has none that can be read. Receipts are not signed. */
export function receiptOf(response: Response): Receipt | undefined {
  try {
    return parseReceipt(response.headers.get('payment-receipt') ?? '')
  } catch {
    return undefined
  }
}

/** An error that carries the payment where no log prints it. An abort keeps its name. */
export function unresolved(payment: Payment, cause: unknown, signal: AbortSignal): Error {
  const detail =
    'Paid, or perhaps paid, without an answer. client.resume(error.payment, ...) sends it again; a new call pays again.'
  const error = new Error(detail, { cause })
  if (signal.aborted) error.name = cause instanceof Error ? cause.name : 'AbortError'
  return Object.defineProperty(error, 'payment', { value: payment })
}
