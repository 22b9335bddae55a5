import { parseTime, PaymentError, type Context, type Noted, type Receipt } from '@mppkit/core'
import { lower, type Hex } from '../address.ts'
import { readCalls, withoutSwap } from '../calls.ts'
import type { SignedTransaction } from '../envelope.ts'
import { heavy } from '../heavy.ts'
import { bringsKey, isActiveKey } from '../keys.ts'
import { memoOf } from '../memo.ts'
import type { MinedTransaction } from '../settlement.ts'
import { matchLegs } from '../transfers.ts'
import { paidBy, readNote, receiptOf, secondsOf, slack, writeNote, type Rail } from './rail.ts'
import { legsOf, readSource, type ChargeRequest } from './wire.ts'

const expiring = (1n << 256n) - 1n

/** Seconds by which a buyer's clock may be ahead of ours. */
const ahead = 15

/** Seconds that the chain gives a transaction with an expiring nonce. */
const longest = 30

/** Found mined by `verify`, before anything was sent by us: the payer did it. */
const minedBefore = new WeakMap<SignedTransaction, MinedTransaction>()

/**
 * Judges a signed transaction against its challenge. Asks the node only about access keys, windows that are over and sponsored fees.
 * @see draft-tempo-charge-00, "Transaction Verification"
 */
export async function verifyPull(
  signed: SignedTransaction,
  charge: ChargeRequest,
  context: Context,
  rail: Rail,
): Promise<{ payer?: string }> {
  const { envelope, sender } = signed
  const tools = await heavy()
  const now = secondsOf(context)
  if (envelope.chainId !== charge.chainId) fail('The transaction is for another chain')
  checkSource(context.source, charge.chainId, sender)
  if (envelope.accessList?.length || envelope.authorizationList?.length)
    fail('The transaction does more than pay')
  if (signed.open !== charge.sponsored) {
    fail(
      charge.sponsored
        ? 'The transaction must leave its fee to the server'
        : 'The transaction must pay its own fee',
    )
  }
  const own = memoOf({ realm: context.challenge.realm, challengeId: context.challenge.id }, tools.hashText)
  const bound = checkCalls(signed, charge, own)
  await checkWindow(signed, bound, context, rail)

  if (charge.sponsored) {
    const sponsor = sponsorOf(rail)
    sponsor.check(signed, legsOf(charge).length, now)
    await sponsor.rehearse(signed, rail.rpc, now, context.signal)
  } else if (signed.accessKey !== undefined && !minedBefore.has(signed)) {
    // The signature proves the key; that the key may act for the account it names, only the account or the chain can say.
    const brought = bringsKey(envelope, sender, signed.accessKey, now, tools)
    if (!brought && !(await isActiveKey(rail.rpc, sender, signed.accessKey, now, context.signal))) {
      fail('The access key may not act for the account')
    }
  }
  return { payer: sender }
}

/** Sends the transaction, or finds that it was sent before. One call to the node. */
export async function settlePull(
  signed: SignedTransaction,
  charge: ChargeRequest,
  context: Noted,
  rail: Rail,
): Promise<Receipt> {
  const known = minedBefore.get(signed)
  if (known) return conclude(known, signed.sender, charge, context, rail)
  if (!charge.sponsored) {
    const mined = await land(
      { bytes: signed.bytes.reveal(), hash: signed.hash, earlier: [] },
      signed,
      context,
      rail,
    )
    return conclude(mined, signed.sender, charge, context, rail)
  }
  return settleSponsored(signed, charge, context, rail)
}

/** What a note tells of, long after the credential is gone. */
export async function findPull(
  text: string,
  charge: ChargeRequest,
  context: Context,
  rail: Rail,
): Promise<Receipt | 'not-moved' | 'unknown'> {
  const { hashes, validBefore } = readNote(text)
  const outcome = await rail.settlement.find(hashes, validBefore, secondsOf(context), context.signal)
  if (outcome === 'unknown') return 'unknown'
  if (outcome === 'never') return 'not-moved'
  try {
    return await conclude(outcome, lower(outcome.from), charge, context, rail)
  } catch (error) {
    // Mined and no payment: that is as final as not mined.
    if (error instanceof PaymentError) return 'not-moved'
    throw error
  }
}

async function settleSponsored(
  signed: SignedTransaction,
  charge: ChargeRequest,
  context: Noted,
  rail: Rail,
): Promise<Receipt> {
  const { sender } = signed
  const { failures, sign } = sponsorOf(rail)
  const end = failures.begin(sender)
  if (!end) throw new Error(`too many transactions of ${sender} are under way at our cost`)
  let failedAt: number | undefined
  try {
    const { bytes, hash } = await sign(signed)
    // Another instance may have signed with another purse: the chain mines one of the two, so both are looked for.
    const earlier = notedHashes(context).filter((noted) => noted !== hash)
    await context.note(writeNote({ hashes: [...earlier, hash], validBefore: signed.envelope.validBefore! }))
    const mined = await land({ bytes, hash, earlier }, signed, context, rail)
    if (mined.status === '0x0') failedAt = secondsOf(context)
    return await conclude(mined, sender, charge, context, rail)
  } finally {
    end(failedAt)
  }
}

/** What is to be mined: the bytes, or one of those that were signed before them for the same transaction. */
interface Cargo {
  bytes: Hex
  hash: Hex
  earlier: readonly Hex[]
}

/** Gets the bytes mined while they can be, else says what became of them. Throws `PaymentError` only if nothing ever can. */
async function land(
  { bytes, hash, earlier }: Cargo,
  signed: SignedTransaction,
  context: Context,
  rail: Rail,
): Promise<MinedTransaction> {
  const { settlement } = rail
  const { validBefore } = signed.envelope
  for (const one of earlier) {
    const mined = await settlement.receipt(one, context.signal)
    if (mined) return mined
  }
  if (secondsOf(context) < validBefore!) {
    try {
      return await settlement.send(bytes, hash, context.signal)
    } catch (error) {
      // With an earlier signature of ours on the way, the node refuses this one for good.
      if (earlier.length === 0) throw error
    }
  }
  const outcome = await settlement.find([hash, ...earlier], validBefore, secondsOf(context), context.signal)
  if (outcome === 'never') fail('The transaction was not mined in its time and can no longer be')
  if (outcome === 'unknown')
    throw new Error('the transaction is not mined yet, or its end is not certain yet')
  return outcome
}

/** Whether what was mined is the payment. */
async function conclude(
  mined: MinedTransaction,
  sender: Hex,
  charge: ChargeRequest,
  context: Context,
  rail: Rail,
): Promise<Receipt> {
  if (mined.status === '0x0') fail('The transaction was reverted: nothing was paid')
  const { hashText } = await heavy()
  const own = memoOf({ realm: context.challenge.realm, challengeId: context.challenge.id }, hashText)
  if (!paidBy(mined, sender, charge, own)) {
    // The calls were right and went through, but the events do not show it. Whoever holds the money now: a human must look.
    throw new Error(`transaction ${mined.transactionHash} was mined, but its events do not show the payment`)
  }
  const at = await rail.settlement.minedAt(mined, context.signal)
  if (at < context.issued - slack) fail('The transaction is older than the challenge')
  return receiptOf(lower(mined.transactionHash), at, charge, context)
}

/** Whether the transfers are the payment, to the unit; the result tells whether their memo ties them to this challenge. */
function checkCalls(signed: SignedTransaction, charge: ChargeRequest, own: (memo: Hex) => boolean): boolean {
  const { calls } = signed.envelope
  // A buyer may first buy the currency, at its own cost only.
  const paying = charge.sponsored ? calls : withoutSwap(calls, charge.currency, charge.amount)
  const transfers = readCalls(paying, charge.currency)
  if (!transfers) fail('The transaction does something else than to transfer the currency')
  const matched = matchLegs(transfers, legsOf(charge), own)
  if (!matched || matched.spare.length > 0) fail('The transfers are not the ones that were asked for')
  return matched.first.memo !== undefined && own(matched.first.memo)
}

/**
 * When the transaction can be mined: not after the challenge has expired, so that a payment never comes too late to be used,
 * and, if nothing else ties it to the challenge, not before the challenge was made.
 */
async function checkWindow(
  signed: SignedTransaction,
  bound: boolean,
  context: Context,
  rail: Rail,
): Promise<void> {
  const { validBefore, validAfter = 0, nonceKey, nonce = 0n } = signed.envelope
  const now = secondsOf(context)
  const expires = context.challenge.expires === undefined ? undefined : parseTime(context.challenge.expires)
  if (validBefore === undefined || (expires !== undefined && validBefore > expires / 1000)) {
    fail('The transaction must lose its validity when the challenge expires, or before')
  }
  if (!bound && validBefore < context.issued) fail('The transaction is older than the challenge')
  if (validAfter > now + ahead) fail('The transaction is not valid yet')
  if (nonceKey === expiring && (nonce !== 0n || validBefore > now + longest + ahead)) {
    fail(`An expiring nonce is 0 and lives for ${longest} seconds at most`)
  }
  if (validBefore > now) return
  if (signed.open) fail('The transaction is no longer valid')
  // Too late to be sent, but its sender may have done so.
  const outcome = await rail.settlement.find([signed.hash], validBefore, now, context.signal)
  if (outcome === 'never') fail('The transaction is no longer valid')
  if (outcome === 'unknown') throw new Error('the end of the transaction is not certain yet')
  if (outcome.status === '0x0') fail('The transaction was reverted: nothing was paid')
  minedBefore.set(signed, outcome)
}

function checkSource(source: string | undefined, chainId: number, sender: Hex): void {
  if (source === undefined) return
  const named = readSource(source)
  if (named?.chainId !== chainId || named.address !== sender)
    fail('The source is not the sender of the transaction')
}

function sponsorOf(rail: Rail): NonNullable<Rail['sponsor']> {
  if (!rail.sponsor) throw new Error('the challenge was issued with a fee payer, but none is configured now')
  return rail.sponsor
}

/** What an earlier try has noted, where the server shows it. */
function notedHashes(context: Noted & { noted?: string }): Hex[] {
  return context.noted === undefined ? [] : readNote(context.noted).hashes
}

function fail(detail: string): never {
  throw new PaymentError('verification-failed', `${detail}.`)
}
