import { PaymentError, type Entry, type OnceMethod, type Receipt, type Store } from '@mppkit/core'
import type { LifecycleOptions } from './lifecycle.ts'
import { paymentsQueue, putBehind } from './queues.ts'
import { laterContext } from './rail-context.ts'
import { Fenced, holdOn, parseRecord, recordKey, type Hold, type Progress } from './record.ts'
import { AGAIN, parseRefund, RefundHold, type RefundOrder, type RefundRecord } from './refund-hold.ts'
import { newHolder } from './runtime.ts'

/** Somebody is at work on this payment: the money stays where it is for now. */
export class Busy extends Error {
  override readonly name = 'Busy'
}

export interface Refunds {
  /**
   * Returns the money of a payment, once, however often it is asked. Rejects with `TypeError` and `Busy` before anything
   * is written, with `PaymentError` when the money cannot be returned, and with whatever leaves it in doubt; then recovery goes on.
   */
  give(order: RefundOrder): Promise<Receipt>
  /** Goes on with a payment that is `refunding`. `payment` is the caller's hold on it; it is let go in any case. */
  carryOn(payment: Hold, receipt: Receipt): Promise<void>
  /** Goes on with what was begun when the payment's record was gone. */
  look(entry: Entry): Promise<void>
  /** A refund that was made, for whoever has to tell of it. */
  made(entry: Entry): Made | undefined
}

/** A refund that was made. */
export interface Made {
  quote: string
  receipt: Receipt
  refund: Receipt
}

/**
 * One refund for what was paid once, whichever quote a receipt names: it is no secret, and not signed. With the
 * challenge, because one transaction may pay two.
 */
function refundKey(realm: string, { method, reference, challengeId = '' }: Receipt): string {
  return `refund:${realm}:${method}:${reference}:${challengeId}`
}

export function isRefund({ key }: Entry): boolean {
  return key.startsWith('refund:')
}

export function createRefunds(options: LifecycleOptions, stores: ReadonlyMap<string, Store>): Refunds {
  const { realm, store, methods, now, onError, probe } = options

  return { give, carryOn, look, made }

  async function give(order: RefundOrder): Promise<Receipt> {
    const method = methodOf(order.receipt)
    if (!method)
      throw new TypeError(
        `mppkit: no method of this server returns money that came by ${order.receipt.method}; return it by hand, then call dismiss()`,
      )
    const stopped = await stop(order)
    return stopped && 'reference' in stopped ? stopped : carry(method, order, stopped)
  }

  async function carryOn(payment: Hold, receipt: Receipt): Promise<void> {
    const { challenge, quote, source } = payment.claim
    const method = methodOf(receipt)
    try {
      if (method) await carry(method, { quote, challenge, source, receipt }, payment)
      else await leave(payment, receipt)
    } finally {
      payment.stop()
    }
  }

  /**
   * What a server has begun that can return this money, is not for one to judge that cannot: the money may be on its way. Only
   * of what nobody has ordered, and nothing was sent of, a human may hear at once.
   */
  async function leave(payment: Hold, receipt: Receipt): Promise<void> {
    const key = refundKey(realm, receipt)
    const entry = await store.get(key)
    const known = entry && parseRefund(entry)
    if (known?.refund) return payment.write({ ...RETURNED, refund: known.refund }, false)
    if (!entry || !known || known.refused) return payment.write(refused(payment), false)
    const isUnsent = !entry.leased && known.note === undefined && payment.progress.was === undefined
    // A note stands before anything is sent, and after this mark none can be written.
    if (isUnsent && (await mark(key, known, entry))) return payment.write(refused(payment), false)
    await payment.lapse()
    if (!entry.leased)
      throw new Error(
        `mppkit: the return of this money by ${receipt.method} was begun, and no method of this server can end it: give that method its \`refund\` again`,
      )
  }

  function mark(key: string, known: RefundRecord, { version }: Entry): Promise<boolean> {
    return new RefundHold(store, realm, key, { ...known, holder: newHolder() }, version).refuse()
  }

  async function look(entry: Entry): Promise<void> {
    try {
      const record = parseRefund(entry)
      const method = methodOf(record.receipt)
      // While the payment's own record lives, it is due itself.
      const lives = await store.get(recordKey(realm, record.quote))
      if (method && !lives) await carry(method, record)
      else await later(entry)
    } catch (error) {
      if (!(error instanceof Busy || error instanceof Fenced)) onError(error)
      await later(entry)
    }
  }

  /** What cannot be returned must not stop the rest. */
  function later(entry: Entry): Promise<void> {
    return putBehind(store, entry, { queue: paymentsQueue(realm), in: AGAIN })
  }

  function made(entry: Entry): Made | undefined {
    const { quote, receipt, refund } = parseRefund(entry)
    return refund && { quote, receipt, refund }
  }

  /**
   * The first step, and the one that decides: from now on the credential buys nothing, and the money goes back. Undefined: the
   * payment's record is gone, and so is its challenge. A receipt: the money has gone back before.
   */
  async function stop({ quote, receipt }: RefundOrder): Promise<Hold | Receipt | undefined> {
    const entry = await store.get(recordKey(realm, quote))
    if (!entry) return undefined
    const record = parseRecord(entry)
    const { claim, state } = record
    if (record.receipt?.reference !== receipt.reference || claim.challenge.id !== receipt.challengeId)
      throw new TypeError(
        `mppkit: the receipt is not that of payment ${quote}; give the one that you have recorded`,
      )
    if (state === 'refunded') return record.refund
    if (entry.leased || state === 'pending') throw busy()
    const was = state === 'refunding' ? record.was : state
    const hold = holdOn(store, entry, record, { state: 'refunding', was }, 'refunding', now)
    if (await hold.take()) throw busy()
    return hold
  }

  /** Nobody renews what nobody works on: however this ends, the payment and its refund are let go. */
  async function carry(method: Refunding, order: RefundOrder, payment?: Hold): Promise<Receipt> {
    let taken: RefundHold | undefined
    try {
      const key = refundKey(realm, order.receipt)
      const entry = await store.get(key)
      const known = entry && parseRefund(entry)
      if (known?.refund) {
        await payment?.write({ ...RETURNED, refund: known.refund }, false)
        return known.refund
      }
      if (entry?.leased) throw underWay()
      const { refused: _, ...record } = { ...(known ?? order), holder: newHolder() } as RefundRecord
      const refund = (taken = new RefundHold(store, realm, key, record, entry?.version ?? 'absent'))
      if (!(await refund.take())) throw underWay()
      // Whoever stood still for longer than the lease between the two finds out here, before the rail is called.
      await payment?.write({}, true).catch((error: unknown) => withdraw(refund, error))
      return await pay(method, refund, payment)
    } catch (error) {
      // Unless it has been let go already.
      if (payment?.progress.state === 'refunding') await payment.lapse().catch(ignore)
      throw error
    } finally {
      payment?.stop()
      taken?.stop()
    }
  }

  /** An order that its payment knows nothing of would be carried out when the payment's record is gone. */
  async function withdraw(refund: RefundHold, error: unknown): Promise<never> {
    await (refund.record.note === undefined ? refund.refuse() : refund.lapse()).catch(ignore)
    throw error
  }

  async function pay(method: Refunding, refund: RefundHold, payment: Hold | undefined): Promise<Receipt> {
    const { receipt, quote } = refund.record
    let back: Receipt
    try {
      back = await method.refund(
        receipt,
        { id: quote },
        laterContext(options, stores, method, refund.record, refund, 'refund-noted'),
      )
      if (probe) await probe('refund-sent')
    } catch (error) {
      if (!(error instanceof PaymentError)) {
        await refund.lapse().catch(ignore)
        throw error
      }
      // Somebody else had a better answer.
      if (!(await refund.refuse())) throw underWay()
      if (payment) await payment.write(refused(payment), false)
      throw error
    }
    const named: Receipt = { ...back, quote }
    if (receipt.challengeId !== undefined) named.challengeId = receipt.challengeId
    try {
      await refund.done(named)
    } catch (error) {
      await refund.lapse().catch(ignore)
      throw error
    }
    await payment?.write({ ...RETURNED, refund: named }, false)
    return named
  }

  function methodOf(receipt: Receipt): Refunding | undefined {
    return methods.find(({ name, refund }) => name === receipt.method && refund !== undefined) as
      | Refunding
      | undefined
  }
}

type Refunding = OnceMethod<never> & Required<Pick<OnceMethod<never>, 'refund'>>

const RETURNED = { state: 'refunded', was: undefined, kept: undefined } as const

/** What a payment is again when its rail returns nothing. Of one that was to be returned by itself a human has to know. */
function refused({ progress }: Hold): Partial<Progress> {
  return { state: progress.was ?? 'unclaimed', was: undefined }
}

function busy(): Busy {
  return new Busy('mppkit: this payment is in use right now, being settled or answered; ask again later')
}

function underWay(): Busy {
  return new Busy('mppkit: this payment is being returned right now; ask again later')
}

/** Whoever caused it is told of the first error. */
function ignore(): void {}
