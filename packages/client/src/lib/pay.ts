import { formatCredential, type ClientContext, type ClientMethod } from '@mppkit/core'
import type { Hold } from './budget.ts'
import { discard, within, type Call, type Fetch } from './call.ts'
import { credentialHeader, type Offer } from './offer.ts'
import {
  payments,
  reasons,
  receiptOf,
  unresolved,
  type Moved,
  type Payment,
  type PaymentEvent,
} from './outcome.ts'
import { atWork } from './polyfill.ts'
import { refusal, type Refusal } from './refusal.ts'
import { follow, insist, sendPaid } from './send.ts'

/** Leave to pay: the policy allows it, the money is set aside, the payment is signed. */
export interface Ticket {
  fetch: Fetch
  /** As it is to be sent to the URL that asked for money. */
  call: Call
  /** The 402, if there was one; its body is given up when the credential goes out. */
  response?: Response
  offer: Offer
  method: ClientMethod
  payment: Payment
  /** None if the money was set aside for an earlier attempt. */
  hold: Hold | undefined
  context: ClientContext
}

export interface Means {
  /** The value of `Accept-Payment`. */
  accept: string
  /** Milliseconds. */
  maxWait: number
  emit(event: PaymentEvent): void
}

/**
 * Pays and sends the call. Once anything may have moved, the money stays spent until the method is certain that it did not.
 * Gives a refusal if the money certainly did not move before the credential went out; rejects if the outcome is unknown.
 */
export async function pay(ticket: Ticket, means: Means): Promise<Response | Refusal> {
  const { fetch, call, offer, method, payment, hold, context } = ticket
  const { origin } = offer
  const patience = { left: means.maxWait }
  let response: Response
  try {
    try {
      if (method.send) await insist(call, patience, () => atWork(() => method.send!(payment, context)))
    } catch (cause) {
      const money = await find(ticket)
      if (money === 'not-moved') {
        await hold?.release()
        return refusal('failed', `${method.name} could not pay`, cause)
      }
      if (money === 'unknown') throw cause
    }
    if (ticket.response) await discard(ticket.response)
    response = await sendPaid(fetch, call, paidHeaders(ticket, means.accept), patience)
  } catch (cause) {
    means.emit({ type: 'failed', origin, offer, money: 'unknown' })
    throw unresolved(payment, cause, call.signal)
  }

  payments.set(response, payment)
  const { status } = response
  const type: 'paid' | 'failed' = status < 400 ? 'paid' : 'failed'
  const money = type === 'paid' ? 'moved' : await find(ticket)
  if (money === 'not-moved') await hold?.release()
  means.emit({ type, origin, offer, money, status, receipt: receiptOf(response) })
  try {
    response = await follow(fetch, call, response)
  } catch (cause) {
    throw unresolved(payment, cause, call.signal)
  }
  payments.set(response, payment)
  if (response.status === 402) reasons.set(response, refusal('rejected', `paid once; money: ${money}`))
  return response
}

function paidHeaders({ call, method, payment }: Ticket, accept: string): Headers {
  const headers = new Headers(call.headers)
  if (!headers.has('accept-payment')) headers.set('accept-payment', accept)
  headers.set('idempotency-key', payment.idempotencyKey)
  const credential = formatCredential({ ...payment, payload: method.payload(payment) })
  headers.set(credentialHeader(payment.challenge)!, credential)
  return headers
}

/** Asks the rail, for a bounded time. */
async function find({ call, method, payment, context }: Ticket): Promise<Moved> {
  try {
    const found = await within(10_000, call.signal, (signal) =>
      atWork(() => method.find?.(payment, { ...context, signal })),
    )
    return found ?? 'unknown'
  } catch {
    return 'unknown'
  }
}
