import { parseTime, PaymentError, type Context, type Noted, type Receipt } from '@mppkit/core'
import { lower, type Hex } from '../address.ts'
import { readCalls, withoutSwap } from '../calls.ts'
import type { SignedTransaction } from '../envelope.ts'
import { heavy } from '../heavy.ts'
import type { Window } from '../history.ts'
import { bringsKey, isActiveKey } from '../keys.ts'
import { memoOf } from '../memo.ts'
import { timeIn, type MinedTransaction } from '../settlement.ts'
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
  //
  if (envelope.chainId !== charge.chainId) fail('The transaction is for another chain')
  checkSource(context.source, charge.chainId, sender)
  //
  if (envelope.accessList?.length || envelope.authorizationList?.length) {
    fail('The transaction does more than pay')
  }
  // A fee token is not asked for: deployed software leaves it to the chain, which knows the one of the account.
  if (signed.open !== charge.sponsored) {
    fail(
      charge.sponsored
        ? 'The transaction must leave its fee to the server'
        : 'The transaction must pay its own fee',
    )
  }
  const own = memoOf({ realm: context.challenge.realm, challengeId: context.challenge.id }, tools.hashText)
  const bound = checkCalls(signed, charge, own)
  //
  if (!bound && rail.unbound === 'refuse') fail('The transfer does not carry the memo of this challenge')
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
  const { sender } = signed
  const known = minedBefore.get(signed)
  if (known) return conclude(known, sender, charge, context)
  if (!charge.sponsored) {
    const mined = await noteAndLand(signed.bytes.reveal(), signed.hash, signed, charge, context, rail)
    return conclude(mined, sender, charge, context)
  }
  const { failures, sign } = sponsorOf(rail)
  // It is nobody's fault that pays: 503, and whoever runs the server is told.
  if (failures.isSpent(secondsOf(context)))
    throw new Error('failed transactions have cost maxLossPerHour: for a while no fees are paid')
  //
  const end = failures.begin(sender, secondsOf(context))
  if (!end) throw new Error(`too many transactions of ${sender} are under way at our cost`)
  try {
    const { bytes, hash } = await sign(signed)
    const mined = await noteAndLand(bytes, hash, signed, charge, context, rail)
    //
    if (mined.status === '0x0') countFailure(mined, sender, charge, context, rail)
    return await conclude(mined, sender, charge, context)
  } finally {
    end()
  }
}

/** What failed at our cost counts against its sender, and against all of them. */
function countFailure(
  mined: MinedTransaction,
  sender: Hex,
  charge: ChargeRequest,
  context: Context,
  { sponsor }: Rail,
): void {
  sponsor?.failures.add(sender, secondsOf(context), mined.fee ?? sponsor.worst(legsOf(charge).length))
}

/** What a note tells of, of either mode, long after the credential is gone. */
export async function findNoted(
  text: string,
  charge: ChargeRequest,
  context: Context,
  rail: Rail,
): Promise<Receipt | 'not-moved' | 'unknown'> {
  const { hashes, validBefore } = readNote(text)
  const now = secondsOf(context)
  const outcome = await rail.settlement.find(hashes, windowOf(validBefore, context), now, context.signal)
  if (outcome === 'unknown') return 'unknown'
  if (outcome === 'never') return 'not-moved'
  // Sent through somebody else, a pushed payment is still made by its source.
  const named = context.source === undefined ? undefined : readSource(context.source)
  const sender = named?.address ?? lower(outcome.from)
  //
  if (outcome.status === '0x0') {
    //
    if (charge.sponsored) countFailure(outcome, sender, charge, context, rail)
    return 'not-moved'
  }
  return conclude(outcome, sender, charge, context)
}

/**
 * Notes under which hash the bytes will be known, unless that stands there already, then gets them mined.
 * The hash depends on who signed: another instance may have another purse, a passkey never signs the same way twice. The chain mines
 * one of them, so what was noted before is kept, and looked for.
 */
async function noteAndLand(
  bytes: Hex,
  hash: Hex,
  signed: SignedTransaction,
  charge: ChargeRequest,
  context: Noted,
  rail: Rail,
): Promise<MinedTransaction> {
  const noted = notedHashes(context)
  //
  const earlier = (noted ?? []).filter((one) => one !== hash)
  // Where the server does not show what it has noted, it is what `parse` said: nothing of a sponsored transaction.
  if (noted ? !noted.includes(hash) : charge.sponsored) {
    await context.note(writeNote({ hashes: [...earlier, hash], validBefore: signed.envelope.validBefore! }))
  }
  return land({ bytes, hash, earlier }, signed.envelope.validBefore!, context, rail)
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
  validBefore: number,
  context: Context,
  rail: Rail,
): Promise<MinedTransaction> {
  const { settlement } = rail
  //
  for (const one of earlier) {
    const mined = await settlement.receipt(one, context.signal)
    if (mined) return mined
  }
  if (secondsOf(context) < validBefore) {
    try {
      return await settlement.send(bytes, hash, context.signal)
    } catch (error) {
      // With an earlier signature of ours on the way, the node refuses this one for good.
      if (earlier.length === 0) throw error
    }
  }
  const window = windowOf(validBefore, context)
  const outcome = await settlement.find([hash, ...earlier], window, secondsOf(context), context.signal)
  if (outcome === 'never') fail('The transaction was not mined in its time and can no longer be')
  if (outcome === 'unknown')
    throw new Error('the transaction is not mined yet, or its end is not certain yet')
  return outcome
}

/** Whether what was mined is the payment. Not by its time: a clock that is wrong must not turn away money that has just moved. */
async function conclude(
  mined: MinedTransaction,
  sender: Hex,
  charge: ChargeRequest,
  context: Context,
): Promise<Receipt> {
  //
  if (mined.status === '0x0') fail('The transaction was reverted: nothing was paid')
  const { hashText } = await heavy()
  const own = memoOf({ realm: context.challenge.realm, challengeId: context.challenge.id }, hashText)
  //
  if (!paidBy(mined, sender, charge, own)) {
    // The calls were right and went through, but the events do not show it. Whoever holds the money now: a human must look.
    throw new Error(`transaction ${mined.transactionHash} was mined, but its events do not show the payment`)
  }
  return receiptOf(lower(mined.transactionHash), timeIn(mined) ?? secondsOf(context), charge, context)
}

/** Whether the transfers are the payment, to the unit; the result tells whether their memo ties them to this challenge. */
function checkCalls(signed: SignedTransaction, charge: ChargeRequest, own: (memo: Hex) => boolean): boolean {
  const { calls } = signed.envelope
  // A buyer may first buy the currency, at its own cost only.
  const paying = charge.sponsored ? calls : withoutSwap(calls, charge.currency, charge.amount)
  const transfers = readCalls(paying, charge.currency)
  if (!transfers) fail('The transaction does something else than to transfer the currency')
  const matched = matchLegs(transfers, legsOf(charge), own)
  //
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
  //
  if (validBefore === undefined || (expires !== undefined && validBefore > expires / 1000)) {
    fail('The transaction must lose its validity when the challenge expires, or before')
  }
  //
  if (!bound && validBefore < context.issued) fail('The transaction is older than the challenge')
  //
  if (validAfter > now + ahead) fail('The transaction is not valid yet')
  //
  if (nonceKey === expiring && (nonce !== 0n || validBefore > now + longest + ahead)) {
    fail(`An expiring nonce is 0 and lives for ${longest} seconds at most`)
  }
  // Tied by nothing but its window, and with a nonce that lets the window be long, it may have paid for something else before.
  if (!bound && nonceKey !== expiring && !signed.open) await checkAge(signed, context, rail)
  if (validBefore > now) return
  //
  if (signed.open) fail('The transaction is no longer valid')
  // Too late to be sent, but its sender may have done so.
  const window = windowOf(validBefore, context)
  const outcome = await rail.settlement.find([signed.hash], window, now, context.signal)
  //
  if (outcome === 'never') fail('The transaction is no longer valid')
  if (outcome === 'unknown') throw new Error('the end of the transaction is not certain yet')
  if (outcome.status === '0x0') fail('The transaction was reverted: nothing was paid')
  minedBefore.set(signed, outcome)
}

/** When the payment of a challenge can have been mined; with an expiring nonce perhaps shortly before the challenge was made. */
function windowOf(until: number | undefined, { issued }: Context): Window | undefined {
  return until === undefined ? undefined : { from: Math.min(issued, until - longest) - slack, until }
}

/** What is not mined yet will be younger than the challenge. */
async function checkAge(signed: SignedTransaction, context: Context, rail: Rail): Promise<void> {
  const mined = await rail.settlement.receipt(signed.hash, context.signal)
  if (!mined) return
  if ((await rail.settlement.minedAt(mined, context.signal)) < context.issued - slack) {
    fail('The transaction is older than the challenge')
  }
  minedBefore.set(signed, mined)
}

function checkSource(source: string | undefined, chainId: number, sender: Hex): void {
  if (source === undefined) return
  const named = readSource(source)
  //
  if (named?.chainId !== chainId || named.address !== sender)
    fail('The source is not the sender of the transaction')
}

function sponsorOf(rail: Rail): NonNullable<Rail['sponsor']> {
  if (!rail.sponsor) throw new Error('the challenge was issued with a fee payer, but none is configured now')
  return rail.sponsor
}

/** What stands noted. */
function notedHashes(context: Noted): Hex[] | undefined {
  return context.noted === undefined ? undefined : readNote(context.noted).hashes
}

function fail(detail: string): never {
  throw new PaymentError('verification-failed', `${detail}.`)
}
