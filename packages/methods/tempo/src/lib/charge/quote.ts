import { parseAmount, type JsonObject, type Terms } from '@mppkit/core'
import { checkAddress, isToken, isWord, lower, pathUsd, type Hex } from '../address.ts'
import { checkOptions } from '../options.ts'
import { total, type Leg } from '../transfers.ts'
import { bothModes, maxSplits, type Mode } from './wire.ts'

/** Somebody else who gets a part of the amount. */
export interface Split {
  /** Decimal string in whole units. */
  amount: string
  recipient: string
  /** 32 bytes in hex. */
  memo?: string
}

/** What a price may say differently from the method. */
export interface ChargeOverride {
  currency?: string
  recipient?: string
  memo?: string
  splits?: readonly Split[]
  modes?: readonly Mode[]
  /** `false`: the buyer pays the fee of this price. */
  feePayer?: false
}

/** What holds for every price of the method. */
export interface Standing extends Omit<ChargeOverride, 'feePayer'> {
  chainId: number
  decimals: number
  sponsored: boolean
  unbound?: 'accept' | 'refuse'
}

const known: Record<keyof (Terms & ChargeOverride), true> = {
  amount: true,
  currency: true,
  recipient: true,
  description: true,
  externalId: true,
  memo: true,
  splits: true,
  modes: true,
  feePayer: true,
}

const zero = '0x0000000000000000000000000000000000000000'

/**
 * Checks the terms and writes the request of a challenge. Addresses are in lower case: every peer reads that.
 * @throws TypeError with the remedy.
 */
export function writeRequest(standing: Standing, terms: Terms & ChargeOverride): JsonObject {
  checkOptions(terms, known, 'a price for tempo', "{ amount: '0.01', tempo: { splits } }")
  const { chainId, decimals } = standing
  const currency = checkCurrency(terms.currency ?? standing.currency ?? pathUsd)
  const recipient = checkRecipient(terms.recipient ?? standing.recipient, 'recipient')
  const memo = checkMemo(terms.memo ?? standing.memo, 'memo')
  if (memo !== undefined && standing.unbound === 'refuse')
    throw new TypeError("a prescribed memo ties a payment to no challenge: drop memo, or unbound: 'refuse'")
  const splits = checkSplits(terms.splits ?? standing.splits, decimals)
  const sponsored = standing.sponsored && terms.feePayer !== false
  const modes = checkModes(terms.modes, standing.modes, sponsored, memo)
  const amount = terms.amount === null ? undefined : parseAmount(terms.amount, decimals)

  const request: JsonObject = { currency, recipient }
  if (terms.description !== undefined) request['description'] = terms.description
  if (terms.externalId !== undefined) request['externalId'] = terms.externalId
  const details: JsonObject = { chainId }
  request['methodDetails'] = details
  if (amount !== undefined) request['amount'] = String(amount)
  if (amount === 0n) {
    // A proof of identity moves nothing, so there is nothing to split, to mark, to sponsor or to send.
    if (terms.splits || terms.memo)
      throw new TypeError('an amount of 0 moves nothing: drop splits and memo from this price')
    return request
  }
  if (amount !== undefined && splits && total(splits) >= amount) {
    throw new TypeError('the splits take the whole amount: leave something for the recipient')
  }
  if (sponsored) details['feePayer'] = true
  if (memo !== undefined) details['memo'] = memo
  if (splits) details['splits'] = splits.map((split) => ({ ...split, amount: String(split.amount) }))
  if (modes.length === 1) details['supportedModes'] = [...modes]
  return request
}

/** What a payment of the method is made of where no price said otherwise. */
export interface UsualTerms {
  currency: Hex
  memo?: Hex
  splits: Leg[]
}

/** @throws TypeError with the remedy. */
export function usualTerms(standing: Standing): UsualTerms {
  const memo = checkMemo(standing.memo, 'memo')
  return {
    currency: checkCurrency(standing.currency ?? pathUsd),
    ...(memo === undefined ? undefined : { memo }),
    splits: checkSplits(standing.splits, standing.decimals) ?? [],
  }
}

function checkCurrency(value: string): Hex {
  const currency = checkAddress(value, 'currency')
  //
  if (!isToken(currency)) throw new TypeError(`currency ${value} is no TIP-20 token: those begin with 0x20c0`)
  return currency
}

function checkRecipient(value: string | undefined, what: string): Hex {
  const recipient = checkAddress(value, what)
  if (recipient === zero || isToken(recipient))
    throw new TypeError(`${what} ${value} cannot receive: tokens refuse it`)
  return recipient
}

function checkMemo(value: string | undefined, what: string): Hex | undefined {
  if (value === undefined) return undefined
  if (!isWord(value)) throw new TypeError(`${what} must be 32 bytes: 0x and 64 hex digits`)
  return lower(value)
}

function checkSplits(splits: readonly Split[] | undefined, decimals: number): Leg[] | undefined {
  if (splits === undefined) return undefined
  if (!Array.isArray(splits) || splits.length === 0)
    throw new TypeError('splits must have members: leave it out if there are none')
  if (splits.length > maxSplits)
    throw new TypeError(`${splits.length} splits: one transaction takes at most ${maxSplits}`)
  return splits.map((split, i) => {
    const amount = parseAmount(split.amount, decimals)
    if (amount === 0n) throw new TypeError(`splits[${i}].amount is zero: drop it`)
    const recipient = checkRecipient(split.recipient, `splits[${i}].recipient`)
    const memo = checkMemo(split.memo, `splits[${i}].memo`)
    return memo === undefined ? { recipient, amount } : { recipient, amount, memo }
  })
}

/**
 * The modes that really work. A pushed payment is tied to its challenge by the memo of its first transfer, so there is none
 * where the memo is prescribed; and none where the server pays the fee, for it must sign first.
 */
function checkModes(
  asked: readonly Mode[] | undefined,
  standing: readonly Mode[] | undefined,
  sponsored: boolean,
  memo: Hex | undefined,
): readonly Mode[] {
  for (const modes of [asked, standing]) {
    const known = modes === undefined || (modes.length > 0 && modes.every((mode) => bothModes.includes(mode)))
    if (!known) throw new TypeError("modes must list 'pull', 'push' or both")
  }
  const wanted = asked ?? standing ?? bothModes
  const modes = bothModes.filter(
    (mode) => wanted.includes(mode) && (mode === 'pull' || (!sponsored && memo === undefined)),
  )
  if (modes.length === 0) {
    const reason = sponsored ? 'the fee is paid by feePayer, which' : 'the memo is prescribed, which'
    throw new TypeError(`modes asks for 'push' only, but ${reason} works with 'pull' only`)
  }
  return modes
}
