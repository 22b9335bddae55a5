import {
  PaymentError,
  type Context,
  type JsonObject,
  type Noted,
  type OnceMethod,
  type Parsed,
} from '@mppkit/core'
import { isAddress, isWord, lower } from '../address.ts'
import { modeOf, resolveChain } from '../chains.ts'
import { openTransaction, type SignedTransaction } from '../envelope.ts'
import { heavy } from '../heavy.ts'
import { checkOptions, checkTimeout } from '../options.ts'
import { createRefunder, type Refunder } from '../refunder.ts'
import { createRpc } from '../rpc.ts'
import { createSettlement } from '../settlement.ts'
import { createSponsor, type Sponsor } from '../sponsor.ts'
import {
  parseIdentification,
  settleIdentification,
  verifyIdentification,
  type Identification,
} from './identity.ts'
import { findNoted, settlePull, verifyPull } from './pull.ts'
import { settlePush, verifyPush, type Pushed } from './push.ts'
import { usualTerms, writeRequest, type ChargeOverride, type Split } from './quote.ts'
import { writeNote, type Rail } from './rail.ts'
import { findRefund, readRefundNote, refund } from './refund.ts'
import { readRequest, type ChargeRequest, type Mode } from './wire.ts'

export type { ChargeOverride, Refunder, Split, Sponsor }

/** What a seller says once. */
export interface ChargeOptions {
  /** Who is paid: an address. */
  recipient: string
  /** A TIP-20 token; default pathUSD. */
  currency?: string
  /** Default 4217, Tempo; with `testnet` 42431, Moderato. Other chains need `rpcUrl`. */
  chainId?: number
  testnet?: boolean
  rpcUrl?: string | undefined
  /**
   * Who sends the transaction: `pull`, this server; `push`, the buyer. Default: both.
   * Only `pull` remains where the fee is sponsored or a memo is prescribed.
   */
  modes?: readonly Mode[]
  /** 32 bytes in hex that each payment must carry. Without it buyers write a memo that ties the payment to its challenge, which is safer. */
  memo?: string
  /**
   * What to do with a pulled payment that carries no memo of its challenge, as the draft allows: it is tied to this server's
   * store only, so that a copy of it pays at every other store with the same recipient and price. Default `accept`; give each store
   * a recipient of its own, or set `refuse`: buyers that write the memo (this package, mppx) can still pay.
   */
  unbound?: 'accept' | 'refuse'
  /** Others who get a part of each amount, at most ten. */
  splits?: readonly Split[]
  /** Decimals of the currency; default 6, which all TIP-20 tokens have. */
  decimals?: number
  /** Pays the fees of the buyers. */
  feePayer?: Sponsor
  /** Returns what was paid for nothing, or what you order to be returned. Without it the server lists such money, and you return it. */
  refund?: Refunder
  /** Milliseconds that the node has for an answer, a block included; default 15,000. */
  rpcTimeout?: number
}

/** A credential, read. */
export type Proof =
  | { type: 'transaction'; charge: ChargeRequest; signed: SignedTransaction }
  | { type: 'hash'; charge: ChargeRequest; pushed: Pushed }
  | { type: 'proof'; charge: ChargeRequest; identification: Identification }

/**
 * One payment in a stablecoin on Tempo per challenge. Costs nothing to make: no network, no heavy module.
 * @throws TypeError with the remedy for options that cannot work.
 * @see draft-tempo-charge-00
 */
export function charge(options: ChargeOptions): OnceMethod<ChargeOverride, Proof, 'tempo'> {
  checkOptions(options, known, 'tempo.charge', "tempo.charge({ recipient: '0x…' })")
  const { decimals = 6, feePayer, unbound = 'accept' } = options
  const { chainId, rpcUrl } = resolveChain(options)
  const rpcTimeout = checkTimeout(options.rpcTimeout)
  if (unbound !== 'accept' && unbound !== 'refuse')
    throw new TypeError("unbound must be 'accept' or 'refuse'")
  if (!Number.isInteger(decimals) || decimals < 0 || decimals > 18)
    throw new TypeError('decimals must be a whole number from 0 to 18')
  const rpc = createRpc(rpcUrl, rpcTimeout, chainId)
  const rail: Rail = { chainId, rpc, settlement: createSettlement(rpc), unbound }
  if (feePayer) rail.sponsor = createSponsor(feePayer, chainId)
  if (options.refund !== undefined) rail.refunder = createRefunder(options.refund, options.recipient, chainId)
  const standing = { ...options, chainId, decimals, unbound, sponsored: feePayer !== undefined }
  // Whatever is wrong with the options shall stop the boot, not the first customer.
  writeRequest(standing, { amount: null })
  const usual = usualTerms(standing)

  return {
    name: 'tempo',
    intent: 'charge',
    // Push moves money before; `parsed.moved` says so of each proof.
    moves: 'settle',
    mode: modeOf(chainId),
    takes: (_field, value) => isAddress(value),
    quote: (terms) => writeRequest(standing, terms),
    parse: (payload, challenge, request) => parse(payload, challenge.id, readOwn(request, chainId)),

    verify({ proof }, context) {
      if (proof.type === 'transaction') return verifyPull(proof.signed, proof.charge, context, rail)
      if (proof.type === 'hash') return verifyPush(proof.pushed, proof.charge, context, rail)
      return verifyIdentification(proof.identification, proof.charge, context, rail)
    },

    async settle({ proof }, context: Noted) {
      if (proof.type === 'transaction') return settlePull(proof.signed, proof.charge, context, rail)
      if (proof.type === 'hash') return settlePush(proof.pushed, proof.charge, context, rail)
      return settleIdentification(proof.charge, context)
    },

    async find(note, context: Context) {
      const noted = readRefundNote(note)
      if (noted) return findRefund(noted, context, rail)
      const charge = readRequest(context.request)
      // The payment was begun under another configuration: nothing that this chain could tell.
      if (charge.chainId !== chainId)
        throw new Error(`the payment is on chain ${charge.chainId}, this method on ${chainId}`)
      return findNoted(note, charge, context, rail)
    },

    ...(rail.refunder && {
      refund: (receipt, by, context) => refund(receipt, by, context, rail, usual),
    }),
  }
}

const known: Record<keyof ChargeOptions, true> = {
  recipient: true,
  currency: true,
  chainId: true,
  testnet: true,
  rpcUrl: true,
  modes: true,
  memo: true,
  unbound: true,
  splits: true,
  decimals: true,
  feePayer: true,
  refund: true,
  rpcTimeout: true,
}

/** The kind first: a proof of the wrong kind is refused before anything in it is read. */
async function parse(
  payload: JsonObject,
  challengeId: string,
  charge: ChargeRequest,
): Promise<Parsed<Proof>> {
  const { type } = payload
  if (type === 'proof') {
    //
    if (charge.amount !== 0n) fail('A proof of identity pays nothing')
    const identification = await parseIdentification(payload['signature'])
    // Another signature is another credential, and has to be verified: it must not meet the record of the one that was. The
    // account is what the signature is checked to be of; here it is not known yet.
    const { Signatures, keccak } = await heavy()
    const print = keccak(Signatures.serialize(identification.signature.reveal())).slice(2)
    return { proof: { type, charge, identification }, key: `proof:${challengeId}:${print}` }
  }
  if (type !== 'transaction' && type !== 'hash')
    malformed('payload.type must be "transaction", "hash" or "proof"')
  //
  if (charge.amount === 0n) fail('An amount of zero asks for a proof of identity')
  if (type === 'hash') {
    //
    if (charge.sponsored) fail('Where the server pays the fee the transaction must be sent by it')
    //
    if (!charge.modes.includes('push')) fail('This challenge takes signed transactions only')
    return parsePushed(payload['hash'], charge)
  }
  //
  if (!charge.modes.includes('pull')) fail('This challenge takes transaction hashes only')
  const signed = await openTransaction(payload['signature'])
  const { validBefore } = signed.envelope
  //
  const parsed: Parsed<Proof> = { proof: { type, charge, signed }, key: `tx:${signed.id}` }
  if (validBefore !== undefined) parsed.until = validBefore
  // Before a sponsor has signed nobody knows the final hash.
  if (!signed.open)
    parsed.note = writeNote({
      hashes: [signed.hash],
      ...(validBefore === undefined ? undefined : { validBefore }),
    })
  return parsed
}

/**
 * The key of a pushed payment is its hash, that of a pulled one covers what was signed: one transaction, two keys. It still pays once:
 * - with the memo of a challenge it is refused for every other challenge, pulled (`matchLegs`) or pushed (`judge`);
 * - without such a memo it may be pulled, once by its key, and can never be pushed;
 * - pulled and pushed for the same challenge it meets the one record of that challenge.
 */
function parsePushed(hash: unknown, charge: ChargeRequest): Parsed<Proof> {
  if (!isWord(hash)) malformed('hash must be 32 bytes in hex')
  //
  const pushed = { hash: lower(hash) }
  return {
    proof: { type: 'hash', charge, pushed },
    key: `hash:${pushed.hash}`,
    note: writeNote({ hashes: [pushed.hash] }),
    moved: true,
  }
}

function readOwn(request: JsonObject, chainId: number): ChargeRequest {
  const charge = readRequest(request)
  //
  if (charge.chainId !== chainId)
    throw new PaymentError('invalid-challenge', 'The challenge is for another chain.')
  return charge
}

function malformed(detail: string): never {
  throw new PaymentError('malformed-credential', `The credential cannot be read: ${detail}.`)
}

function fail(detail: string): never {
  throw new PaymentError('verification-failed', `${detail}.`)
}
