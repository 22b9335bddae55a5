import { PaymentError } from '@mppkit/core'
import type { SignatureEnvelope } from 'ox/tempo/SignatureEnvelope'
import { lower, type Hex } from './address.ts'
import type { Heavy } from './heavy.ts'

/** Whose signature it is. */
export interface Signer {
  account: Hex
  /** Set where a key signed in the name of `account`; whether it may is not known yet. */
  accessKey?: Hex
}

/**
 * Verifies a signature over `hash`. secp256k1 gives the address by recovery; P-256 and passkeys carry their public key,
 * which proves nothing before the signature is checked against it. `recovered`: the address, where it was recovered from this hash already.
 * @throws PaymentError `verification-failed`.
 */
export function readSignature(
  signature: SignatureEnvelope,
  hash: Hex,
  tools: Heavy,
  recovered?: Hex,
): Signer {
  //
  if (signature.type === 'multisig') fail('Multisig accounts cannot be verified yet')
  if (signature.type !== 'keychain') return { account: primitive(signature, hash, tools, recovered) }
  // Version 1 does not bind the key's signature to the account: it could be moved to another account of the same key.
  if (signature.version !== 'v2')
    fail('The access key signature is of a version that does not name its account')
  if (signature.inner.type === 'keychain' || signature.inner.type === 'multisig')
    fail('An access key signs by itself')
  const account = lower(signature.userAddress)
  const bound = tools.keccak(tools.Hex.concat('0x04', hash, account))
  return { account, accessKey: primitive(signature.inner, bound, tools) }
}

/** Half the order of secp256k1: the chain refuses the mirror image of a signature. */
const halfOrder = 0x7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0n

function primitive(signature: SignatureEnvelope, payload: Hex, { Signatures }: Heavy, recovered?: Hex): Hex {
  let address: Hex | undefined
  //
  if (signature.type === 'secp256k1' && signature.signature.s > halfOrder)
    fail('The signature is not in its lower form')
  if (signature.type === 'secp256k1' && recovered !== undefined) return lower(recovered)
  try {
    const claimed = Signatures.extractAddress({ payload, signature })
    // Recovery is the proof; the other kinds have to be checked.
    const proven =
      signature.type === 'secp256k1' || Signatures.verify(signature, { address: claimed, payload })
    if (proven) address = lower(claimed)
  } catch {
    // Points off the curve, client data that is no JSON: not a signature.
  }
  return address ?? fail('The signature is not valid')
}

function fail(detail: string): never {
  throw new PaymentError('verification-failed', `${detail}.`)
}
