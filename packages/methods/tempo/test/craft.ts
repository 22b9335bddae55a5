import type { JsonObject } from '@mppkit/core'
import * as Hash from 'ox/Hash'
import * as HexLib from 'ox/Hex'
import * as AuthorizationTempo from 'ox/tempo/AuthorizationTempo'
import * as SignatureEnvelope from 'ox/tempo/SignatureEnvelope'
import * as TxEnvelopeTempo from 'ox/tempo/TxEnvelopeTempo'
import type { SigningAccount } from '../src/lib/account.ts'
import type { Hex } from '../src/lib/address.ts'
import { transferCall } from '../src/lib/calls.ts'
import { formatMemo, memoOf } from '../src/lib/memo.ts'
import type { Leg } from '../src/lib/transfers.ts'
import { realm, usd, type Offer } from './harness.ts'

export const expiring = (1n << 256n) - 1n
export const hashText = (text: string): Hex => Hash.keccak256(HexLib.fromString(text))

export type Draft = Partial<TxEnvelopeTempo.TxEnvelopeTempo>

/** The memo of a challenge. */
export const memoFor = (made: Offer, clientId?: string): Hex =>
  formatMemo(
    {
      realm: made.challenge.realm,
      challengeId: made.challenge.id,
      ...(clientId === undefined ? {} : { clientId }),
    },
    hashText,
  )

export const isMemoFor = (made: Offer) => memoOf({ realm, challengeId: made.challenge.id }, hashText)

/** Transfers as a transaction makes them. */
export const transfers = (legs: readonly Leg[], currency: string = usd) =>
  legs.map((leg) => transferCall(currency as Hex, leg))

/** The transfer that an honest buyer of an unsplit challenge would make. */
export const honest = (made: Offer, over: Partial<Leg> = {}): Leg => ({
  recipient: made.request['recipient'] as Hex,
  amount: BigInt(made.request['amount'] as string),
  memo: memoFor(made),
  ...over,
})

export const draft = (over: Draft = {}): TxEnvelopeTempo.TxEnvelopeTempo => ({
  type: 'tempo',
  chainId: 1337,
  calls: [],
  gas: 1_000_000n,
  maxFeePerGas: 45_000_000_000n,
  maxPriorityFeePerGas: 0n,
  nonceKey: expiring,
  nonce: 0n,
  validBefore: Math.floor(Date.now() / 1000) + 20,
  feeToken: usd,
  ...over,
})

/** Signs what an attacker (or a strange wallet) made up. `feePayerSignature: null` leaves the fee to a sponsor. */
export async function sign(account: SigningAccount, over: Draft): Promise<Hex> {
  const envelope = draft(over)
  if (envelope.feePayerSignature === null) delete envelope.feeToken
  const signature = SignatureEnvelope.from(
    await account.sign!({ hash: TxEnvelopeTempo.getSignPayload(envelope) }),
  )
  return TxEnvelopeTempo.serialize(envelope, { signature })
}

/** Consent to let a contract act for the account (EIP-7702). */
export async function authorizations(
  account: SigningAccount,
  contract: Hex,
): Promise<NonNullable<TxEnvelopeTempo.TxEnvelopeTempo['authorizationList']>> {
  const authorization = { address: contract, chainId: 1337, nonce: 0n }
  const payload = AuthorizationTempo.getSignPayload(authorization)
  return [
    AuthorizationTempo.from(authorization, {
      signature: SignatureEnvelope.from(await account.sign!({ hash: payload })),
    }),
  ]
}

export const transaction = (signature: string): { payload: JsonObject } => ({
  payload: { type: 'transaction', signature },
})

export const open = (signature: string) => TxEnvelopeTempo.deserialize(signature as `0x76${string}`)

export const usdCall = (recipient: Hex, amount: bigint) => transferCall(usd, { recipient, amount })
