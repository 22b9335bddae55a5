import { PaymentError, type Context, type Receipt } from '@mppkit/core'
import type { SignatureEnvelope } from 'ox/tempo/SignatureEnvelope'
import { type Hex } from '../address.ts'
import { heavy } from '../heavy.ts'
import { isActiveKey } from '../keys.ts'
import { proofHash } from '../proof.ts'
import { Sealed } from '../sealed.ts'
import { readSignature } from '../signature.ts'
import { receiptOf, secondsOf, type Rail } from './rail.ts'
import { readSource, type ChargeRequest } from './wire.ts'

/** A signature by which a buyer proves who it is, for nothing. */
export interface Identification {
  signature: Sealed<SignatureEnvelope>
}

/** A passkey's signature with all it signs; ample. */
const maxDigits = 8192

/** @throws PaymentError `malformed-credential` */
export async function parseIdentification(text: unknown): Promise<Identification> {
  if (typeof text !== 'string' || text.length > maxDigits || !/^0x(?:[0-9a-f]{2})+$/i.test(text)) malformed()
  const { Signatures } = await heavy()
  try {
    return { signature: new Sealed(Signatures.deserialize(text as Hex)) }
  } catch {
    return malformed()
  }
}

/**
 * Accepts the typed data that deployed software signs, which names account and realm, and that of the draft, which names the challenge id only.
 * The latter not from access keys: nothing in it says which account a key stands for.
 * @see draft-tempo-charge-00, "Proof Verification"
 */
export async function verifyIdentification(
  { signature }: Identification,
  charge: ChargeRequest,
  context: Context,
  rail: Rail,
): Promise<{ payer: string }> {
  const { source, challenge, signal } = context
  const named = source === undefined ? undefined : readSource(source)
  //
  if (named?.chainId !== charge.chainId)
    fail('A proof needs a source: did:pkh:eip155, this chain, the account')
  const tools = await heavy()
  const account = named.address
  const identity = { chainId: charge.chainId, account, challengeId: challenge.id, realm: challenge.realm }
  const envelope = signature.reveal()
  const keyed = envelope.type === 'keychain'
  //
  for (const form of keyed ? (['v3'] as const) : (['v3', 'draft'] as const)) {
    // A recovered address differs for each form; of the other kinds each but the signed one is refused.
    const signer = attempt(() => readSignature(envelope, proofHash(form, identity, tools), tools))
    if (signer?.account !== account) continue
    if (signer.accessKey === undefined) return { payer: account }
    //
    if (await isActiveKey(rail.rpc, account, signer.accessKey, secondsOf(context), signal))
      return { payer: account }
  }
  return fail('The proof is not signed by its source')
}

/** Nothing moves. */
export function settleIdentification(charge: ChargeRequest, context: Context): Receipt {
  return receiptOf(context.challenge.id, secondsOf(context), charge, context)
}

function attempt<T>(read: () => T): T | undefined {
  try {
    return read()
  } catch (error) {
    if (error instanceof PaymentError) return undefined
    throw error
  }
}

function malformed(): never {
  throw new PaymentError(
    'malformed-credential',
    'The credential cannot be read: signature is not a signature in hex.',
  )
}

function fail(detail: string): never {
  throw new PaymentError('verification-failed', `${detail}.`)
}
