import type { Challenge } from '@mppkit/core'
import type { TxEnvelopeTempo } from 'ox/tempo/TxEnvelopeTempo'
import type { Signing } from '../account.ts'
import type { Hex } from '../address.ts'
import { transferCall } from '../calls.ts'
import { heavy } from '../heavy.ts'
import { formatMemo } from '../memo.ts'
import type { Payment } from './payment.ts'
import { legsOf, type ChargeRequest } from './wire.ts'

export interface Order {
  account: Signing
  charge: ChargeRequest
  challenge: Challenge
  clientId: string | undefined
  /** Unix seconds. */
  validBefore: number
  gas: bigint
  maxFeePerGas: bigint
  maxPriorityFeePerGas: bigint
  /** Undefined: the server pays the fee and chooses the token. */
  feeToken: Hex | undefined
  /** A block before the payment. */
  fromBlock: Hex | undefined
}

const expiring = (1n << 256n) - 1n

/**
 * Signs the transaction that pays a challenge: one transfer per leg, the first with the memo of the challenge,
 * under an expiring nonce, so that after `validBefore` it is void whatever happened.
 * @see draft-tempo-charge-00, "Transaction Construction"
 */
export async function signPayment(order: Order): Promise<Omit<Payment, 'type'> & { signed: Hex }> {
  const {
    account,
    charge,
    challenge,
    clientId,
    validBefore,
    gas,
    maxFeePerGas,
    maxPriorityFeePerGas,
    feeToken,
    fromBlock,
  } = order
  const { Envelope, Signatures, keccak, hashText } = await heavy()
  const [primary, ...splits] = legsOf(charge)
  const bound = {
    realm: challenge.realm,
    challengeId: challenge.id,
    ...(clientId === undefined ? undefined : { clientId }),
  }
  const memo = primary.memo ?? formatMemo(bound, hashText)
  const calls = [{ ...primary, memo }, ...splits].map((leg) => transferCall(charge.currency, leg))
  const envelope: TxEnvelopeTempo = {
    type: 'tempo',
    chainId: charge.chainId,
    calls,
    gas,
    maxFeePerGas,
    maxPriorityFeePerGas,
    nonceKey: expiring,
    nonce: 0n,
    validBefore,
    ...(feeToken === undefined ? { feePayerSignature: null } : { feeToken }),
    // With the seller's memo two equal payments in one second would be the same transaction, and one of them void.
    ...(primary.memo === undefined ? undefined : { validAfter: randomPast(validBefore) }),
  }
  const signature = Signatures.from(await account.sign(Envelope.getSignPayload(envelope)))
  const signed = Envelope.serialize(envelope, { signature })
  return {
    signed,
    validBefore,
    currency: charge.currency,
    recipient: primary.recipient,
    // The seller's memo may be the same each time: it finds nothing.
    ...(primary.memo === undefined ? { memo } : undefined),
    ...(feeToken === undefined ? undefined : { hash: keccak(signed) }),
    ...(fromBlock === undefined ? undefined : { fromBlock }),
  }
}

/** Some second in the month before. */
function randomPast(before: number): number {
  const [random = 0] = crypto.getRandomValues(new Uint32Array(1))
  return before - 60 - (random % 2_592_000)
}
