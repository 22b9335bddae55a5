import { PaymentError, type Context, type Receipt } from '@mppkit/core'
import { lower, type Hex } from '../address.ts'
import { heavy } from '../heavy.ts'
import { memoOf } from '../memo.ts'
import type { MinedTransaction } from '../settlement.ts'
import { paidBy, paysAnother, receiptOf, slack, type Rail } from './rail.ts'
import { readSource, type ChargeRequest } from './wire.ts'

/** The hash of a transaction that the buyer has sent. */
export interface Pushed {
  hash: Hex
}

interface Seen {
  payer: Hex
  at: number
}

/** What `verify` saw, so that `settle` need not ask again. */
const seen = new WeakMap<Pushed, Seen>()

/**
 * Judges a mined transaction against its challenge, by its events. Nothing but the memo ties it to the challenge: without it
 * anybody's old payment to the same recipient would do. Rejects with a plain error while the transaction is not found.
 * @see draft-tempo-charge-00, "Hash Verification"
 */
export async function verifyPush(
  pushed: Pushed,
  charge: ChargeRequest,
  context: Context,
  rail: Rail,
): Promise<{ payer: string }> {
  const mined = await rail.settlement.receipt(pushed.hash, context.signal)
  // It may be on its way, or the node behind: a refusal would invite the buyer to pay again.
  if (!mined) throw new Error(`transaction ${pushed.hash} is not found yet`)
  const { payer, at } = await judge(mined, charge, context, rail)
  seen.set(pushed, { payer, at })
  return { payer }
}

/** The money has moved before: this only says so. */
export async function settlePush(
  pushed: Pushed,
  charge: ChargeRequest,
  context: Context,
  rail: Rail,
): Promise<Receipt> {
  if (!seen.has(pushed)) await verifyPush(pushed, charge, context, rail)
  return receiptOf(pushed.hash, seen.get(pushed)!.at, charge, context)
}

async function judge(
  mined: MinedTransaction,
  charge: ChargeRequest,
  context: Context,
  rail: Rail,
): Promise<Seen> {
  // Even a reverted transaction has a transfer in its events: its fee.
  if (mined.status === '0x0') fail('The transaction was reverted: nothing was paid')
  const payer = senderOf(mined, charge, context)
  const { hashText } = await heavy()
  const own = memoOf({ realm: context.challenge.realm, challengeId: context.challenge.id }, hashText)
  const first = paidBy(mined, payer, charge, own)
  if (!first) fail('The transaction did not make the transfers that were asked for')
  //
  if (first.memo === undefined || !own(first.memo))
    fail('The transfer does not carry the memo of this challenge')
  // Splits carry no memo of the challenge: of one set of them two challenges of two sellers could be paid.
  if (charge.splits.length > 0 && paysAnother(mined, charge, own))
    fail('The transaction pays another challenge as well: its splits cannot be told apart')
  const at = await rail.settlement.minedAt(mined, context.signal)
  // The memo cannot have been written before the challenge was: one of the clocks is wrong, and a human must look. No reason to have it paid again.
  if (at < context.issued - slack)
    throw new Error(`transaction ${mined.transactionHash} seems older than its challenge`)
  return { payer, at }
}

function senderOf(mined: MinedTransaction, charge: ChargeRequest, context: Context): Hex {
  if (context.source === undefined) return lower(mined.from)
  const named = readSource(context.source)
  //
  if (named?.chainId !== charge.chainId) fail('The source is no account of this chain')
  return named.address
}

function fail(detail: string): never {
  throw new PaymentError('verification-failed', `${detail}.`)
}
