import {
  decodeRequest,
  encodeBase64url,
  type Entry,
  type JsonObject,
  type Receipt,
  type Store,
} from '@mppkit/core'
import type { Lifecycle } from './lifecycle.ts'
import { unclaimedQueue, untoldQueue } from './queues.ts'
import { holdOn, parseRecord, recordKey, type Reached, type State } from './record.ts'
import type { RefundOrder } from './refund-hold.ts'
import { readSteps, type Step } from './steps.ts'

/** All that is known of a payment. No secret in it: neither the credential nor what was signed. */
export interface PaymentTrace {
  /** The payment's id, as handlers see it and receipts name it (`quote`). */
  id: string
  state: State
  /** Somebody is at work on it now. */
  busy: boolean
  challengeId: string
  method: string
  intent: string
  /** What was asked for. */
  request: JsonObject
  /** Proven by the method. */
  payer?: string
  /** Starts of the handler so far, and how many there may be. */
  started: number
  attempts: number
  /** How much of a good answer was ever handed over, at the most. */
  reached: Reached
  /** What the method wrote down to find the money again: a transaction hash, an id of the rail. */
  note?: string
  receipt?: Receipt
  /** The receipt of the money that went back. */
  refund?: Receipt
  /** Oldest first. */
  steps: Step[]
}

/** What the operator should hear of. Told at least once: a listener that fails is told again. */
export interface PaymentEvent {
  /** `unclaimed`: paid, not delivered, and not returned by itself, because the rail cannot or `some` of an answer was handed over. `refunded`: it went back. */
  type: 'unclaimed' | 'refunded'
  id: string
  receipt: Receipt
  refund?: Receipt
}

/** What an operator can ask of a server, and order. */
export interface Operator {
  /**
   * Returns all of a payment's money; a second call resolves with the first one's receipt. From then on its credential buys nothing.
   * @param payment its id, or a receipt that you have recorded. Never one that somebody has sent you: receipts are not signed
   * @throws PaymentError when the rail refuses, so that nothing was returned
   * @throws Error when the payment is in use, or the outcome is unknown; then recovery goes on with it
   * @throws TypeError for an unknown payment, a payment of nothing, and a method that returns no money
   */
  refund(payment: string | Receipt): Promise<Receipt>
  /** Money of payments that were not delivered, and that was not returned, oldest first. `reached` says who may have read `some` of an answer. */
  unclaimed(): AsyncGenerator<PaymentTrace, void, undefined>
  /** Takes a payment off the list of unclaimed money: it was seen to by hand. Resolves with false if it is not on the list. */
  dismiss(id: string): Promise<boolean>
  /** Every step of one payment; undefined: nothing is known of it, or no longer. */
  trace(payment: string | Receipt): Promise<PaymentTrace | undefined>
}

interface OperatorOptions {
  realm: string
  store: Store
  now(): number
  onError(error: unknown): void
}

const PAGE = 100

export function createOperator(
  { realm, store, now, onError }: OperatorOptions,
  { refunds }: Lifecycle,
): Operator {
  return { refund, unclaimed, dismiss, trace }

  async function refund(payment: string | Receipt): Promise<Receipt> {
    const order = await orderOf(payment)
    return refunds.give(order)
  }

  async function orderOf(payment: string | Receipt): Promise<RefundOrder> {
    const id = typeof payment === 'string' ? payment : quoteOf(payment)
    const entry = id === undefined ? undefined : await store.get(recordKey(realm, id))
    const record = entry && parseRecord(entry)
    if (record?.claim.zero)
      throw new TypeError('mppkit: this payment was of nothing; there is nothing to return')
    const receipt = typeof payment === 'string' ? record?.receipt : payment
    if (!receipt)
      throw new TypeError(
        record
          ? `mppkit: payment ${String(id)} has not been settled; there is nothing to return`
          : `mppkit: payment ${String(id)} is not, or no longer, on record; give its receipt`,
      )
    if (record) {
      const { claim } = record
      return { quote: claim.quote, challenge: claim.challenge, source: claim.source, receipt }
    }
    const { method, challengeId } = receipt
    if (id === undefined || challengeId === undefined)
      throw new TypeError(
        'mppkit: the receipt names no quote or no challengeId; give it whole, as this server made it',
      )
    const challenge = { id: challengeId, realm, method, intent: 'charge', request: encodeBase64url('{}') }
    return { quote: id, challenge, receipt }
  }

  async function* unclaimed(): AsyncGenerator<PaymentTrace, void, undefined> {
    // What is told of meanwhile goes over into the second list.
    const seen = new Set<string>()
    for (const queue of [untoldQueue(realm), unclaimedQueue(realm)]) {
      let after: Entry | undefined
      do {
        const page: Entry[] = await store.due(queue, PAGE, after)
        for (const entry of page) {
          if (seen.has(entry.key)) continue
          if (queue === untoldQueue(realm)) seen.add(entry.key)
          const trace = readable(entry)
          if (trace) yield trace
        }
        after = page.length < PAGE ? undefined : page.at(-1)
      } while (after)
    }
  }

  /** One record that nobody can read must not hide the others. */
  function readable(entry: Entry): PaymentTrace | undefined {
    try {
      return traceOf(entry)
    } catch (error) {
      onError(error)
      return undefined
    }
  }

  async function dismiss(id: string): Promise<boolean> {
    const entry = await store.get(recordKey(realm, id))
    if (!entry || entry.leased) return false
    const record = parseRecord(entry)
    if (record.state !== 'unclaimed') return false
    const hold = holdOn(store, entry, record, { state: 'delivered' }, 'dismissed', now)
    try {
      if (await hold.take()) return false
      await hold.write({}, false)
    } finally {
      hold.stop()
    }
    return true
  }

  async function trace(payment: string | Receipt): Promise<PaymentTrace | undefined> {
    const id = typeof payment === 'string' ? payment : quoteOf(payment)
    const entry = id === undefined ? undefined : await store.get(recordKey(realm, id))
    return entry && traceOf(entry)
  }
}

function quoteOf(receipt: Receipt): string | undefined {
  const { quote } = receipt as { quote?: unknown }
  return typeof quote === 'string' ? quote : undefined
}

function traceOf(entry: Entry): PaymentTrace {
  const { claim, state, started, reached, note, receipt, refund, steps } = parseRecord(entry)
  const { challenge, quote, payer, attempts } = claim
  const { method, intent } = challenge
  const trace: PaymentTrace = {
    id: quote,
    state,
    busy: entry.leased,
    challengeId: challenge.id,
    method,
    intent,
    request: decodeRequest(challenge.request),
    started,
    attempts,
    reached,
    steps: readSteps(steps),
  }
  if (payer !== undefined) trace.payer = payer
  if (note !== undefined) trace.note = note
  if (receipt) trace.receipt = receipt
  if (refund) trace.refund = refund
  return trace
}
