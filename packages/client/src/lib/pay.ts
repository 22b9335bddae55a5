import { formatCredential, type ClientContext, type ClientMethod } from '@mppkit/core'
import type { Hold } from './budget.ts'
import { discard, within, type Call, type Fetch } from './call.ts'
import { credentialHeader, type Offer, type Refusal } from './offer.ts'
import {
  receiptOf,
  unresolved,
  withPayment,
  withReason,
  type Moved,
  type Payment,
  type PaymentEvent,
} from './outcome.ts'
import { follow, insist, sendPaid } from './send.ts'

/** Leave to pay: the policy allows it, the money is set aside, the payment is signed. */
export interface Ticket {
  /** As it is to be sent to the URL that asked for money. */
  call: Call
  /** The 402, if there was one; its body is given up when the credential goes out. */
  response?: Response
  offer: Offer
  method: ClientMethod
  payment: Payment
  hold: Hold
  context: ClientContext
}

export interface Means {
  fetch: Fetch
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
  const { call, offer, method, payment, hold, context } = ticket
  const { origin } = offer
  const patience = { left: means.maxWait }
  let response: Response
  try {
    try {
      if (method.send) await insist(call, patience, async () => await method.send!(payment, context))
    } catch (cause) {
      const money = call.signal.aborted ? 'unknown' : await find(ticket)
      if (money === 'not-moved') {
        await hold.release()
        return { code: 'failed', detail: `${method.name} could not pay, and nothing moved`, cause }
      }
      if (money === 'unknown') throw cause
    }
    if (ticket.response) await discard(ticket.response)
    response = await sendPaid(call, paidHeaders(ticket, means.accept), means.fetch, patience)
  } catch (cause) {
    await hold.commit()
    means.emit({ type: 'failed', origin, offer, money: 'unknown' })
    throw unresolved(
      'The payment was sent and the answer is missing; it may have been taken.',
      payment,
      cause,
      call.signal,
    )
  }

  withPayment(response, payment)
  const { status } = response
  const money = status < 400 ? 'moved' : await find(ticket)
  await (money === 'not-moved' ? hold.release() : hold.commit())
  const receipt = receiptOf(response)
  const type = status < 400 ? 'paid' : 'failed'
  means.emit({ type, origin, offer, money, status, ...(receipt && { receipt }) })
  try {
    response = withPayment(await follow(call, response, means.fetch), payment)
  } catch (cause) {
    throw unresolved(
      'The call was paid, but its redirect could not be followed.',
      payment,
      cause,
      call.signal,
    )
  }
  if (response.status === 402)
    withReason(response, {
      code: 'rejected',
      detail: `one payment per call, and it was made; money: ${money}`,
    })
  return response
}

function paidHeaders({ call, method, payment }: Ticket, accept: string): Headers {
  const { challenge, source } = payment
  const headers = new Headers(call.headers)
  if (!headers.has('accept-payment')) headers.set('accept-payment', accept)
  headers.set('idempotency-key', payment.idempotencyKey)
  const credential = { challenge, payload: method.payload(payment), ...(source !== undefined && { source }) }
  headers.set(credentialHeader(challenge)!, formatCredential(credential))
  return headers
}

/** Asks the rail, for a bounded time. */
async function find({ call, method, payment, context }: Ticket): Promise<Moved> {
  try {
    const found = await within(10_000, call.signal, (signal) =>
      method.find?.(payment, { ...context, signal }),
    )
    return found ?? 'unknown'
  } catch {
    return 'unknown'
  }
}
