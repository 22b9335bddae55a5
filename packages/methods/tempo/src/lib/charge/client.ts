import {
  parseTime,
  PaymentError,
  type Challenge,
  type ClientContext,
  type ClientMethod,
  type JsonObject,
  type Prepared,
} from '@mppkit/core'
import { checkAccount, checkSigner, type SigningAccount } from '../account.ts'
import { checkAddress, isToken, lower, type Hex } from '../address.ts'
import { resolveChain } from '../chains.ts'
import { feeOf } from '../fees.ts'
import { heavy } from '../heavy.ts'
import { checkBigint, checkOptions, checkTimeout } from '../options.ts'
import { createRpc } from '../rpc.ts'
import { createSettlement } from '../settlement.ts'
import { createWallet } from '../wallet.ts'
import { findPayment, type Payment } from './payment.ts'
import { proofHash } from '../proof.ts'
import { signPayment } from './signing.ts'
import { formatSource, legsOf, readRequest, type ChargeRequest, type Mode } from './wire.ts'

/** What a buyer says once. */
export interface ChargeOptions {
  /** A local account of viem, those of `viem/tempo` (P-256, passkeys, access keys) included. */
  account: SigningAccount
  /** The one chain to pay on. Default 4217, Tempo; with `testnet` 42431, Moderato. Other chains need `rpcUrl`. */
  chainId?: number
  testnet?: boolean
  rpcUrl?: string | undefined
  /** Who sends the transaction: `pull`, the server; `push`, this client. Default: `pull` where it is offered. */
  mode?: Mode
  /** The token to pay fees in, a USD token; default: the currency of the payment. */
  feeToken?: string
  /** A name that goes, as a fingerprint, into the memo of each payment. */
  clientId?: string
  /** How to prove one's identity: `v3` (default) as deployed servers want it, or as in the draft. */
  proof?: 'v3' | 'draft'
  /** Gas limit; default 100,000 and 300,000 for each transfer, enough for recipients that never held the token. */
  gas?: bigint
  /** The most that may be paid per gas, in attodollars; default 50e9. */
  maxFeePerGas?: bigint
  /** The part of it that goes to the validator; default 1e9. */
  maxPriorityFeePerGas?: bigint
  /** Milliseconds that the node has for an answer; default 15,000. */
  rpcTimeout?: number
}

const known: Record<keyof ChargeOptions, true> = {
  account: true,
  chainId: true,
  testnet: true,
  rpcUrl: true,
  mode: true,
  feeToken: true,
  clientId: true,
  proof: true,
  gas: true,
  maxFeePerGas: true,
  maxPriorityFeePerGas: true,
  rpcTimeout: true,
}

/** Seconds that the transaction is valid; the chain allows 30. */
const lifetime = 25
/** Seconds that it may seem to be valid by our own clock, where the server's is another. */
const longest = 35
/** Seconds before its end in which the chain does not take a transaction any more. */
const least = 4

/**
 * Pays charges on Tempo. Costs nothing to make: no network, no heavy module.
 * @throws TypeError with the remedy for options that cannot work.
 * @see draft-tempo-charge-00
 */
export function charge(options: ChargeOptions): ClientMethod {
  checkOptions(options, known, 'tempo.charge', 'tempo.charge({ account: privateKeyToAccount(key) })')
  const { clientId, mode, proof = 'v3' } = options
  const { chainId, rpcUrl } = resolveChain(options)
  const rpcTimeout = checkTimeout(options.rpcTimeout)
  const account = checkSigner(checkAccount(options.account, 'account'))
  const payer = lower(account.address)
  const feeToken = options.feeToken === undefined ? undefined : checkAddress(options.feeToken, 'feeToken')
  if (feeToken !== undefined && !isToken(feeToken))
    throw new TypeError('feeToken must be a TIP-20 token (0x20c0…)')
  if (mode !== undefined && mode !== 'pull' && mode !== 'push')
    throw new TypeError("mode must be 'pull' or 'push'")
  if (proof !== 'v3' && proof !== 'draft') throw new TypeError("proof must be 'v3' or 'draft'")
  const maxFeePerGas = options.maxFeePerGas ?? 50_000_000_000n
  const tip = options.maxPriorityFeePerGas ?? 1_000_000_000n
  for (const [name, value] of Object.entries({
    maxFeePerGas,
    maxPriorityFeePerGas: tip,
    gas: options.gas ?? 1n,
  }))
    checkBigint(value, name)
  if (maxFeePerGas <= 0n || tip < 0n || tip > maxFeePerGas)
    throw new TypeError('maxFeePerGas must be positive and cover maxPriorityFeePerGas')
  if (options.gas !== undefined && options.gas <= 0n) throw new TypeError('gas must be positive')
  const rpc = createRpc(rpcUrl, rpcTimeout, chainId)
  const settlement = createSettlement(rpc)
  const wallet = createWallet(rpc, payer, { maxFeePerGas, tip })

  const gasFor = (request: ChargeRequest) =>
    options.gas ?? 100_000n + 300_000n * BigInt(1 + request.splits.length)

  /** The request, if it is for us. */
  function read(request: JsonObject): ChargeRequest {
    const read = readRequest(request)
    if (read.chainId !== chainId) refuse(`it is for chain ${read.chainId}, not ${chainId}`)
    return read
  }

  /**
   * What leaves the wallet: the amount; the fee, unless the server pays it. A fee in another token counts one for one, so that no
   * limit is blind to it: it is paid in a token of the dollar, with six decimals like all of them.
   */
  function most(request: ChargeRequest): bigint {
    const fee = request.amount === 0n || request.sponsored ? 0n : feeOf(gasFor(request), maxFeePerGas)
    return request.amount + fee
  }

  return {
    name: 'tempo',
    intent: 'charge',

    supports(_challenge, request) {
      try {
        const charge = read(request)
        return charge.amount === 0n || chooseMode(charge, mode) !== undefined
      } catch {
        return false
      }
    },

    cost(_challenge, request) {
      const charge = read(request)
      const recipients =
        charge.amount === 0n ? [charge.recipient] : legsOf(charge).map((leg) => leg.recipient)
      return {
        // TIP-20 tokens have 6 decimals, all of them.
        most: { amount: most(charge), decimals: 6, currency: charge.currency },
        recipients: [...new Set(recipients)],
        network: `eip155:${chainId}`,
      }
    },

    async prepare(challenge, request, context) {
      const charge = read(request)
      const source = formatSource(chainId, account.address)
      const base = { method: 'tempo', intent: 'charge', challenge, source }
      if (charge.amount === 0n) {
        const hash = proofHash(
          proof,
          { chainId, account: payer, challengeId: challenge.id, realm: challenge.realm },
          await heavy(),
        )
        return { ...base, data: { type: 'proof', signature: await account.sign(hash) } }
      }
      const chosen = chooseMode(charge, mode)
      const validBefore = endOf(challenge, context)
      const paying = charge.sponsored ? undefined : (feeToken ?? charge.currency)
      const funds = await wallet.reserve(
        { currency: charge.currency, amount: charge.amount, gas: gasFor(charge), paying },
        context,
      )
      const payment = await signPayment({
        account,
        charge,
        challenge,
        clientId,
        validBefore,
        gas: gasFor(charge),
        feeToken: paying,
        ...funds,
      })
      return { ...base, data: { ...payment, type: chosen === 'pull' ? 'transaction' : 'hash' } }
    },

    async send(prepared, context) {
      const { type, signed, hash } = paymentOf(prepared)
      if (type !== 'hash') return
      const mined = await settlement.send(signed, hash!, context.signal)
      if (mined.status === '0x0')
        throw new PaymentError('tempo/reverted', `Transaction ${hash} was reverted: nothing was paid.`)
    },

    payload(prepared) {
      const { type, signature, signed, hash } = prepared.data
      if (type === 'proof') return { type, signature: signature! }
      if (type === 'hash') return { type, hash: hash! }
      return { type: 'transaction', signature: signed! }
    },

    async find(prepared, context) {
      // A proof moves nothing.
      if (prepared.data['type'] === 'proof') return 'not-moved'
      return findPayment(paymentOf(prepared), payer, settlement, context)
    },
  }
}

/** @throws PaymentError `invalid-challenge` if the server does not offer what is wanted. */
function chooseMode(charge: ChargeRequest, wanted: Mode | undefined): Mode {
  // Sponsored, the server has to sign before anybody can send; prescribed, the memo ties a pushed payment to nothing.
  const offered = charge.modes.filter(
    (mode) => mode === 'pull' || (!charge.sponsored && charge.memo === undefined),
  )
  const chosen = wanted ?? (offered.includes('pull') ? 'pull' : 'push')
  if (!offered.includes(chosen)) refuse(`it cannot be paid by ${chosen}`)
  return chosen
}

/** Unix seconds from which on the transaction is void: before the challenge is, so that the money cannot arrive too late. */
function endOf(challenge: Challenge, context: ClientContext): number {
  const now = Math.floor(context.now() / 1000)
  const expires = challenge.expires === undefined ? undefined : parseTime(challenge.expires)
  // By our own clock, too: `now` follows what the server says, and one that lies could keep the signature for later.
  const own = Math.floor(Date.now() / 1000) + longest
  const last = Math.min(now + lifetime, own)
  const end = expires === undefined ? last : Math.min(last, Math.floor(expires / 1000))
  if (end < now + least && end === own)
    throw new Error('the clock of this machine is far behind that of the server: set it')
  if (end < now + least)
    throw new PaymentError('payment-expired', 'The challenge expires too soon to be paid.')
  return end
}

function paymentOf(prepared: Prepared): Payment & { signed: Hex } {
  return prepared.data as unknown as Payment & { signed: Hex }
}

function refuse(detail: string): never {
  throw new PaymentError('invalid-challenge', `The challenge cannot be paid: ${detail}.`)
}
