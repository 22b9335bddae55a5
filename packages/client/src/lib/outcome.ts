import { parseReceipt, type Prepared, type Receipt } from '@mppkit/core'
import type { Offer, Refusal } from './offer.ts'

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
      receipt?: Receipt
    }

/** What is known of the money. `not-moved`: and never will. */
export type Moved = 'moved' | 'not-moved' | 'unknown'

const reasons = new WeakMap<Response, Refusal>()
const payments = new WeakMap<Response, Payment>()

/** Why a client returned this 402 instead of paying it. */
export function reasonFor(response: Response): Refusal | undefined {
  return reasons.get(response)
}

/** The payment behind a response, or behind an error of a client: what `client.resume` takes. */
export function paymentOf(outcome: unknown): Payment | undefined {
  if (outcome instanceof Response) return payments.get(outcome)
  return outcome instanceof Error ? (outcome as { payment?: Payment }).payment : undefined
}

/** The receipt of a response; undefined if it has none that can be read. Receipts are not signed. */
export function receiptOf(response: Response): Receipt | undefined {
  const field = response.headers.get('payment-receipt')
  try {
    return field === null ? undefined : parseReceipt(field)
  } catch {
    return undefined
  }
}

export function withReason(response: Response, reason: Refusal): Response {
  reasons.set(response, reason)
  return response
}

export function withPayment(response: Response, payment: Payment): Response {
  payments.set(response, payment)
  return response
}

/** An error that carries the payment where no log prints it. An abort keeps its name. */
export function unresolved(detail: string, payment: Payment, cause: unknown, signal: AbortSignal): Error {
  const error = new Error(`${detail} Use client.resume(error.payment, …); a new call pays again.`, { cause })
  if (signal.aborted) error.name = cause instanceof Error ? cause.name : 'AbortError'
  return Object.defineProperty(error, 'payment', { value: payment })
}
