import { parseAmount, PaymentError } from '@mppkit/core'
import { checkAccount, type Signing, type SigningAccount } from './account.ts'
import { checkAddress, isAddress, isToken, lower, pathUsd, type Hex } from './address.ts'
import { balanceCall, keyCall, keyLimitCall, keyScopeCall, readCalls, returnedWord } from './calls.ts'
import { usualTipLimit } from './chains.ts'
import type { SignedTransaction } from './envelope.ts'
import { feeOf } from './fees.ts'
import { createFailures, type Failures } from './failures.ts'
import { heavy } from './heavy.ts'
import { maySpend, readKey } from './keys.ts'
import { checkBigint, checkOptions } from './options.ts'
import type { Rpc } from './rpc.ts'
import { simulate, type Result } from './simulation.ts'
import { total } from './transfers.ts'

/** Who pays the fees of the buyers, and how much of them at most. */
export interface Sponsor {
  /** A local secp256k1 account. It has to sign the same way every time (RFC 6979), as viem's accounts do. */
  account: SigningAccount
  /** The token that fees are paid in, a USD token; default pathUSD. */
  feeToken?: string
  /** Gas of one transaction; default 1,000,000 and 300,000 for each transfer. */
  maxGas?: bigint
  /** Attodollars per gas; default 100e9. */
  maxFeePerGas?: bigint
  /** The part of it that goes to the validator; default 10e9, on the testnet 50e9. */
  maxPriorityFeePerGas?: bigint
  /** What one payment may cost in all, in whole units of `feeToken`; default 0.05, and 0.02 for each split. */
  maxFee?: string
  /**
   * Failed transactions of one sender in ten minutes, after which its fees are not paid; default 3.
   * It has no more under way at once, either, for each of them may fail.
   */
  maxFailures?: number
  /**
   * What failed transactions of all senders may cost in an hour, in whole units of `feeToken`, before nobody's fees are paid
   * for a while; default 1.00. Counted by each process for itself.
   */
  maxLossPerHour?: string
}

/** A sponsor, checked. */
export interface Sponsoring {
  failures: Failures
  /** What a failed transaction has cost, where the node does not say it: the most that it can have. */
  worst: (legs: number) => bigint
  /** Judges a transaction; throws `PaymentError` for one whose fee shall not be paid. Signs nothing. */
  check: (signed: SignedTransaction, legs: number, now: number) => void
  /** Tries the transfers out, and looks whether the fee can be paid; one call to the node. */
  rehearse: (signed: SignedTransaction, rpc: Rpc, now: number, signal?: AbortSignal) => Promise<void>
  /** The final bytes and their hash. */
  sign: (signed: SignedTransaction) => Promise<{ bytes: Hex; hash: Hex }>
}

const known: Record<keyof Sponsor, true> = {
  account: true,
  feeToken: true,
  maxGas: true,
  maxFeePerGas: true,
  maxPriorityFeePerGas: true,
  maxFee: true,
  maxFailures: true,
  maxLossPerHour: true,
}

const expiring = (1n << 256n) - 1n

/** @throws TypeError saying what is wrong with the options. */
export function createSponsor(options: Sponsor, chainId: number): Sponsoring {
  if (isAddress((options as { address?: unknown } | undefined)?.address))
    throw new TypeError('feePayer must be { account }, not the account itself')
  checkOptions(options, known, 'feePayer', 'feePayer: { account }')
  const signing = checkSponsor(options.account)
  const feeToken =
    options.feeToken === undefined ? pathUsd : checkAddress(options.feeToken, 'feePayer.feeToken')
  if (!isToken(feeToken)) throw new TypeError('feePayer.feeToken must be a TIP-20 token (0x20c0…)')
  const maxFeePerGas = limit(options.maxFeePerGas ?? 100_000_000_000n, 'maxFeePerGas')
  const maxTip = limit(options.maxPriorityFeePerGas ?? usualTipLimit(chainId), 'maxPriorityFeePerGas')
  const maxGas = options.maxGas === undefined ? undefined : limit(options.maxGas, 'maxGas')
  const maxFee = options.maxFee === undefined ? undefined : limit(parseAmount(options.maxFee, 6), 'maxFee')
  const maxFailures = options.maxFailures ?? 3
  if (!Number.isInteger(maxFailures) || maxFailures < 1)
    throw new TypeError('feePayer.maxFailures must be a positive whole number')
  const maxLoss = limit(parseAmount(options.maxLossPerHour ?? '1.00', 6), 'maxLossPerHour')
  const failures = createFailures(maxFailures, maxLoss)
  const worst = (legs: number) => maxFee ?? 50_000n + 20_000n * BigInt(legs - 1)

  function check(signed: SignedTransaction, legs: number, now: number): void {
    const { envelope, open, sender } = signed
    const { gas = 0n, maxFeePerGas: price = 0n, maxPriorityFeePerGas: tip = 0n } = envelope
    //
    if (!open || envelope.feeToken !== undefined)
      decline('it does not leave fee token and fee payer to the server')
    // Everything that costs without paying: each was seen to multiply the fee.
    if (envelope.keyAuthorization || envelope.authorizationList?.length || envelope.accessList?.length)
      decline('it does more than pay')
    //
    if (envelope.calls.length !== legs) decline('it makes other calls than the transfers')
    //
    if (envelope.nonceKey !== expiring)
      decline('its nonce is not the expiring one, so that each lane would cost anew')
    //
    if (gas === 0n || gas > (maxGas ?? 1_000_000n + 300_000n * BigInt(legs)))
      decline('its gas limit is missing or too high')
    //
    if (price === 0n || price > maxFeePerGas || tip > maxTip) decline('its gas price is missing or too high')
    //
    if (feeOf(gas, price) > worst(legs)) decline('its fee could become too high')
    //
    if (failures.tooMany(sender, now))
      decline('the last transactions of its sender failed at our cost; pay the fee yourself')
  }

  async function rehearse(
    signed: SignedTransaction,
    rpc: Rpc,
    now: number,
    signal?: AbortSignal,
  ): Promise<void> {
    const { envelope, sender, accessKey } = signed
    const calls = [
      ...envelope.calls.map(({ to, data }) => ({ from: sender, to: lower(to!), data: lower(data!) })),
      { from: sender, ...balanceCall(feeToken, lower(signing.address)) },
      ...(accessKey === undefined ? [] : keyCalls(sender, accessKey, lower(envelope.calls[0]!.to!))),
    ]
    const results = await simulate(rpc, calls, signal)
    const transfers = results.slice(0, envelope.calls.length)
    //
    if (!transfers.every((result) => result.succeeded)) {
      throw new PaymentError(
        'verification-failed',
        'The transfers would fail: the sender lacks the money, or may not send it.',
      )
    }
    const purse = results[transfers.length]!
    // What runs out of gas fails at our cost, and the sender keeps its money.
    if (envelope.gas! < gasNeeded(transfers, purse, signed)) decline('its gas limit is too low')
    const balance = returnedWord(purse.returned, 0)
    // Our own purse: no fault of the buyer, who must not be asked to pay again.
    if (balance === undefined || balance < feeOf(envelope.gas!, envelope.maxFeePerGas!)) {
      throw new Error(`the fee payer ${signing.address} holds too little of its fee token ${feeToken}`)
    }
    //
    if (accessKey !== undefined && !readKey(results[transfers.length + 1]?.returned, accessKey, now)) {
      throw new PaymentError('verification-failed', 'The access key may not act for the account.')
    }
    // The rehearsal does not know that a key signed: what the key may not spend would fail at our cost.
    if (accessKey !== undefined && !maySpend(results.slice(transfers.length + 1), amountOf(signed)))
      decline('its access key may not spend that much, or only in some ways; pay the fee yourself')
  }

  async function sign(signed: SignedTransaction): Promise<{ bytes: Hex; hash: Hex }> {
    const { Envelope, Signature, keccak } = await heavy()
    const { from: _, feePayerSignature: __, ...rest } = signed.envelope
    const envelope = { ...rest, feeToken }
    const hash = Envelope.getFeePayerSignPayload(envelope, { sender: signed.sender })
    const feePayerSignature = Signature.fromHex(await signing.sign(hash))
    const bytes = Envelope.serialize(envelope, { signature: signed.signature.reveal(), feePayerSignature })
    return { bytes, hash: keccak(bytes) }
  }

  return { failures, worst, check, rehearse, sign }
}

/** What is known of a key: as such, what it may still spend of a token, and on what. */
function keyCalls(account: Hex, key: Hex, token: Hex): { to: Hex; data: Hex }[] {
  return [keyCall(account, key), keyLimitCall(account, key, token), keyScopeCall(account, key)]
}

/** The sum of all transfers; `check` has made sure that they are of one token, and nothing else. */
function amountOf({ envelope }: SignedTransaction): bigint {
  const calls = envelope.calls.map(({ to, data }) => ({ to: lower(to!), data: lower(data!) }))
  return total(readCalls(calls, calls[0]!.to) ?? [])
}

/**
 * The gas that the chain will use, as far as the rehearsal tells; rather a little too low, for clients that estimate closely.
 * Each call of a rehearsal is charged as a transaction of its own, the look into the purse as well: the difference is the transfer.
 */
function gasNeeded(transfers: readonly Result[], purse: Result, { signature }: SignedTransaction): bigint {
  const bare = purse.gasUsed
  const used = transfers.map((result) => result.gasUsed)
  // The node does not say.
  if (bare === undefined || used.includes(undefined)) return 100_000n + 300_000n * BigInt(transfers.length)
  const each = used.map((gas, i) => {
    const whole = gas! > bare ? gas! - bare : 0n
    const again = i === 0 ? 0n : whole > newAccount ? 9_000n : 22_000n
    return whole > again ? whole - again : 0n
  })
  const own = signature.reveal().type === 'secp256k1' ? 0n : otherSignature
  return base + own + each.reduce((sum, gas) => sum + gas, 0n)
}

/** Measured: a sponsored transaction without its calls, signatures of other kinds, and a transfer to who never held the token; what a further transfer need not load again stands above. */
const base = 32_000n
const otherSignature = 5_000n
const newAccount = 200_000n

function checkSponsor(account: SigningAccount): Signing {
  const signing = checkAccount(account, 'feePayer.account')
  const { keyType = 'secp256k1', source } = account as { keyType?: string; source?: string }
  if (keyType !== 'secp256k1' || source === 'accessKey') {
    throw new TypeError(
      'feePayer.account must be a secp256k1 account of its own: the chain takes no other fee payer',
    )
  }
  return signing
}

function limit(value: bigint, what: string): bigint {
  checkBigint(value, `feePayer.${what}`)
  if (value <= 0n) throw new TypeError(`feePayer.${what} must be positive`)
  return value
}

function decline(reason: string): never {
  throw new PaymentError(
    'verification-failed',
    `The fee of this transaction is not paid by the server: ${reason}.`,
  )
}
