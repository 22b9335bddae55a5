import { formatTime, type Context, type Receipt } from '@mppkit/core'
import type { Hex } from '../address.ts'
import { isTagged } from '../memo.ts'
import type { Refunding } from '../refunder.ts'
import type { Rpc } from '../rpc.ts'
import type { MinedTransaction, Settlement } from '../settlement.ts'
import type { Sponsoring } from '../sponsor.ts'
import { matchLegs, readTransfers, type Transfer } from '../transfers.ts'
import { legsOf, type ChargeRequest } from './wire.ts'

/** What a seller's side works with. */
export interface Rail {
  chainId: number
  rpc: Rpc
  settlement: Settlement
  sponsor?: Sponsoring
  refunder?: Refunding
  /** What becomes of a pulled payment without the memo of its challenge. */
  unbound: 'accept' | 'refuse'
}

/** Seconds by which a payment may seem older than its challenge, for clocks differ. */
export const slack = 60

/** Unix seconds. */
export function secondsOf(context: { now(): number }): number {
  return Math.floor(context.now() / 1000)
}

/** The receipt of a payment, with the time of its block. */
export function receiptOf(reference: string, at: number, charge: ChargeRequest, context: Context): Receipt {
  return {
    status: 'success',
    method: 'tempo',
    timestamp: formatTime(at),
    reference,
    challengeId: context.challenge.id,
    ...(charge.externalId === undefined ? undefined : { externalId: charge.externalId }),
  }
}

/** The transfer to the main recipient, if the events show that `sender` made every transfer of the payment. */
export function paidBy(
  mined: MinedTransaction,
  sender: Hex,
  charge: ChargeRequest,
  own: (memo: Hex) => boolean,
): Transfer | undefined {
  //
  const made = readTransfers(mined.logs, charge.currency).filter((transfer) => transfer.from === sender)
  return matchLegs(made, legsOf(charge), own)?.first
}

/** Whether the same transaction makes a transfer that is bound to another challenge, and so may pay it, too. */
export function paysAnother(
  mined: MinedTransaction,
  charge: ChargeRequest,
  own: (memo: Hex) => boolean,
): boolean {
  const memos = readTransfers(mined.logs, charge.currency).map((transfer) => transfer.memo)
  const prescribed = new Set(legsOf(charge).map((leg) => leg.memo))
  return memos.some((memo) => memo !== undefined && isTagged(memo) && !own(memo) && !prescribed.has(memo))
}

/** What `find` needs to find a payment again: the transactions that it can be, at most one of which is ever mined. */
export interface Note {
  hashes: Hex[]
  /** Unix seconds from which on none of them can be mined. */
  validBefore?: number
}

export function writeNote(note: Note): string {
  return JSON.stringify(note)
}

/** Throws for what `writeNote` did not write. */
export function readNote(text: string): Note {
  return JSON.parse(text) as Note
}
