import { parseBaseUnits, PaymentError, type JsonObject, type JsonValue } from '@mppkit/core'
import { isAddress, isToken, isWord, lower, type Hex } from '../address.ts'
import { drafts } from '../chains.ts'
import { total, type Leg } from '../transfers.ts'

/**
 * Who sends the transaction to the chain: `pull`, the server (the credential carries it signed);
 * `push`, the buyer (the credential carries its hash).
 */
export type Mode = 'pull' | 'push'

/** The request of a charge, read and checked. All hex is in lower case. */
export interface ChargeRequest {
  /** Base units, splits included; 0 asks for a proof of identity. */
  amount: bigint
  currency: Hex
  recipient: Hex
  chainId: number
  /** The server pays the fee. */
  sponsored: boolean
  /** 32 bytes that the transfer to the recipient must carry. */
  memo?: Hex
  splits: Leg[]
  modes: readonly Mode[]
  externalId?: string
}

export const bothModes: readonly Mode[] = ['pull', 'push']

/** Splits that fit one transaction with room to spare. */
export const maxSplits = 10

const uint256 = (1n << 256n) - 1n

/**
 * Reads the request of a challenge.
 * @throws PaymentError `invalid-challenge` when it breaks a rule of the method.
 * @see draft-tempo-charge-00, "Request Schema"
 */
export function readRequest(request: JsonObject): ChargeRequest {
  const { currency, recipient, externalId, methodDetails } = request
  const amount = parseBaseUnits(request['amount'])
  if (amount === undefined || amount > uint256) refuse('amount is no string of base units')
  //
  if (!isAddress(currency) || !isToken(currency)) refuse('currency is no TIP-20 token')
  if (!isAddress(recipient)) refuse('recipient is no address')
  if (methodDetails !== undefined && !isObject(methodDetails)) refuse('methodDetails is no object')
  const details = (methodDetails ?? {}) as JsonObject
  const { chainId = drafts.chainId, feePayer = false, memo, splits, supportedModes } = details
  if (typeof chainId !== 'number' || !Number.isSafeInteger(chainId) || chainId < 1)
    refuse('chainId is no chain')
  if (typeof feePayer !== 'boolean') refuse('feePayer is neither true nor false')
  if (memo !== undefined && !isWord(memo)) refuse('memo is not 32 bytes')
  const read: ChargeRequest = {
    amount,
    currency: lower(currency),
    recipient: lower(recipient),
    chainId,
    sponsored: feePayer && amount > 0n,
    splits: splits === undefined ? [] : readSplits(splits),
    modes: supportedModes === undefined ? bothModes : readModes(supportedModes),
  }
  if (memo !== undefined) read.memo = lower(memo)
  if (typeof externalId === 'string') read.externalId = externalId
  if (amount === 0n && (read.memo !== undefined || read.splits.length > 0)) {
    refuse('an amount of zero moves nothing: it can have neither splits nor memo')
  }
  if (read.splits.length > 0 && total(read.splits) >= amount)
    refuse('the splits leave nothing for the recipient')
  return read
}

/** Every transfer that the payment consists of, the one to the main recipient first. */
export function legsOf(request: ChargeRequest): [Leg, ...Leg[]] {
  const primary: Leg = { recipient: request.recipient, amount: request.amount - total(request.splits) }
  if (request.memo !== undefined) primary.memo = request.memo
  return [primary, ...request.splits]
}

/** `did:pkh:eip155:<chain>:<address>` (CAIP-10), the name a payer goes by; undefined if it is none. */
export function readSource(source: string): { chainId: number; address: Hex } | undefined {
  const match = /^did:pkh:eip155:([1-9]\d{0,15}):(0x[0-9a-fA-F]{40})$/.exec(source)
  return match ? { chainId: Number(match[1]), address: lower(match[2]!) } : undefined
}

export function formatSource(chainId: number, address: string): string {
  return `did:pkh:eip155:${chainId}:${address}`
}

function readSplits(value: JsonValue): Leg[] {
  if (!Array.isArray(value) || value.length === 0) refuse('splits is no list with members')
  if (value.length > maxSplits) refuse(`more than ${maxSplits} splits`)
  return value.map((split, i) => {
    if (!isObject(split)) refuse(`split ${i} is no object`)
    const { recipient, memo } = split
    const amount = parseBaseUnits(split['amount'])
    if (amount === undefined || amount === 0n || amount > uint256) refuse(`split ${i} has no amount`)
    if (!isAddress(recipient)) refuse(`split ${i} has no recipient`)
    if (memo !== undefined && !isWord(memo)) refuse(`the memo of split ${i} is not 32 bytes`)
    const leg: Leg = { recipient: lower(recipient), amount }
    if (memo !== undefined) leg.memo = lower(memo)
    return leg
  })
}

function readModes(value: JsonValue): Mode[] {
  const known =
    Array.isArray(value) && value.length > 0 && value.every((mode) => mode === 'pull' || mode === 'push')
  if (!known) refuse('supportedModes must list "pull", "push" or both')
  return value as Mode[]
}

function isObject(value: JsonValue | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function refuse(detail: string): never {
  throw new PaymentError('invalid-challenge', `The request of the challenge cannot be paid: ${detail}.`)
}
