import { PaymentError, type Context, type Receipt } from '@mppkit/core'
import { isToken, isWord, lower, type Hex } from '../address.ts'
import { heavy } from '../heavy.ts'
import { isTagged, memoOf } from '../memo.ts'
import type { MinedTransaction } from '../settlement.ts'
import { matchLegs, readTransfers, total, type Transfer } from '../transfers.ts'
import type { UsualTerms } from './quote.ts'
import { slack, type Rail } from './rail.ts'
import { legsOf, readRequest, readSource, type ChargeRequest } from './wire.ts'

/** A payment that was made. */
export interface Paid {
  payer: Hex
  currency: Hex
  /** All that left the payer for it, splits included; base units. */
  amount: bigint
  recipient: Hex
  /** Names the payment: its transaction may hold those of other challenges, which differ in their memos. */
  mark: string
  block: number
}

/**
 * Finds what was paid, and by whom, in the events of the transaction that a receipt names.
 * @throws PaymentError when it shows no payment of this challenge; a plain error while that is not known.
 */
export async function readPaid(
  receipt: Receipt,
  context: Context,
  rail: Rail,
  usual: UsualTerms,
): Promise<Paid> {
  const hash = lower(receipt.reference)
  if (receipt.method !== 'tempo' || !isWord(hash)) fail('The receipt names no transaction: nothing was paid')
  const isKept = Object.keys(context.request).length > 0
  const charge = isKept ? readRequest(context.request) : undefined
  if (charge && charge.chainId !== rail.chainId)
    throw new Error(`the payment is on chain ${charge.chainId}, this method on ${rail.chainId}`)
  if (charge?.amount === 0n) fail('An amount of zero was asked for: there is nothing to return')
  const mined = await rail.settlement.receipt(hash, context.signal)
  // It may be a node that has forgotten it.
  if (!mined) throw new Error(`transaction ${hash} is not found`)
  if (mined.status === '0x0') fail('The transaction was reverted: nothing was paid')
  const { hashText } = await heavy()
  const own = memoOf({ realm: context.challenge.realm, challengeId: context.challenge.id }, hashText)
  const found = charge
    ? await matchRequest(mined, charge, context, rail, own)
    : matchEvents(mined, rail, usual, own)
  const { transfer, currency, amount } = found
  const { from, recipient, memo = '' } = transfer
  return {
    payer: from!,
    currency,
    amount,
    recipient,
    mark: [rail.chainId, hash, currency, from, recipient, transfer.amount, memo].join(' '),
    block: Number(mined.blockNumber),
  }
}

interface Found {
  transfer: Transfer
  currency: Hex
  amount: bigint
}

/** The payment that was asked for, to the unit. */
async function matchRequest(
  mined: MinedTransaction,
  charge: ChargeRequest,
  context: Context,
  rail: Rail,
  own: (memo: Hex) => boolean,
): Promise<Found> {
  const transfers = readTransfers(mined.logs, charge.currency)
  const named = context.source === undefined ? undefined : readSource(context.source)?.address
  // Sent through somebody else, it is still paid by who gave the money.
  const senders = named === undefined ? [lower(mined.from), ...transfers.map(({ from }) => from!)] : [named]
  for (const sender of new Set(senders)) {
    const made = transfers.filter(({ from }) => from === sender)
    const transfer = matchLegs(made, legsOf(charge), own)?.first
    if (!transfer) continue
    const isBound = transfer.memo !== undefined && own(transfer.memo)
    if (!isBound && (await rail.settlement.minedAt(mined, context.signal)) < context.issued - slack)
      fail('The transaction is older than the challenge: it has paid for something else')
    return { transfer, currency: charge.currency, amount: charge.amount }
  }
  return fail('The transaction did not make the transfers that were asked for')
}

/**
 * The payment, where nobody knows any more what was asked for: the one transfer to us that carries the memo of the challenge; failing
 * that the only one to us in the usual currency, without a memo of any challenge. What else the payer has moved must be the usual splits:
 * it could be anything, and would be returned out of our purse.
 */
function matchEvents(
  mined: MinedTransaction,
  rail: Rail,
  usual: UsualTerms,
  own: (memo: Hex) => boolean,
): Found {
  const currencies = [...new Set(mined.logs.map(({ address }) => lower(address)))].filter(isToken)
  const all = currencies.flatMap((currency) =>
    readTransfers(mined.logs, currency).map((transfer) => ({ transfer, currency })),
  )
  const ours = all.filter(({ transfer }) => rail.refunder!.returnsFor(transfer.recipient))
  const bound = ours.filter(({ transfer: { memo } }) => memo !== undefined && own(memo))
  const loose = rail.unbound === 'refuse' ? [] : ours.filter(isLoose)
  const [chosen, ...more] = bound.length > 0 ? bound : loose
  if (!chosen || chosen.transfer.amount === 0n)
    fail('The transaction shows no payment of this challenge to us')
  if (more.length > 0)
    fail('The transaction shows several payments to us, and none of them for certain is this')
  const { transfer, currency } = chosen
  const rest = all.filter((one) => one.currency === currency && isElse(one.transfer))
  if (rest.length === 0) return { transfer, currency, amount: transfer.amount }
  const legs: Parameters<typeof matchLegs>[1] = [transfer, ...usual.splits]
  const matched = matchLegs([transfer, ...rest.map((one) => one.transfer)], legs, own)
  if (matched?.spare.length !== 0)
    fail('The transaction has paid others, too, and it is not known any more who was meant to get a part')
  return { transfer, currency, amount: transfer.amount + total(usual.splits) }

  function isLoose({ transfer: { memo }, currency }: (typeof all)[number]): boolean {
    return currency === usual.currency && (memo === undefined || memo === usual.memo)
  }

  function isElse(one: Transfer): boolean {
    const pays = one.from === transfer.from && one !== transfer && one.recipient !== feeManager
    // Paid to another challenge, it is no part of this one.
    return pays && !(one.memo !== undefined && isTagged(one.memo))
  }
}

/** Who takes the fees of the chain, by a transfer like any other. */
const feeManager: Hex = '0xfeec000000000000000000000000000000000000'

function fail(detail: string): never {
  throw new PaymentError('verification-failed', `${detail}.`)
}
