import type { SignatureEnvelope } from 'ox/tempo/SignatureEnvelope'
import { isAddress, lower, type Hex } from './address.ts'
import { heavy } from './heavy.ts'
import { readSignature } from './signature.ts'

/**
 * The little that is needed of an account: any local account of viem fits, those of `viem/tempo` included
 * (secp256k1, P-256, passkeys, access keys).
 */
export interface SigningAccount {
  address: string
  /** Signs 32 bytes; may return a bare signature or one wrapped for the chain. */
  sign?: ((parameters: { hash: Hex }) => Promise<Hex>) | undefined
}

/** An account that can sign. */
export interface Signing {
  address: string
  sign(hash: Hex): Promise<Hex>
}

/** @throws TypeError for what cannot sign by itself, naming `what`. */
export function checkAccount(account: SigningAccount, what: string): Signing {
  if (typeof account !== 'object' || account === null || !isAddress(account.address)) {
    throw new TypeError(`${what} must be an account, e.g. privateKeyToAccount(key) of viem/accounts`)
  }
  if (typeof account.sign !== 'function') {
    throw new TypeError(
      `${what} cannot sign by itself: give a local account, e.g. privateKeyToAccount(key) of viem/accounts`,
    )
  }
  return { address: account.address, sign: (hash) => account.sign!({ hash }) }
}

/** Looks, at the first signature, whether it is that of the address: what another key signed moves no money, and nobody would say why. */
export function checkSigner({ address, sign }: Signing): Signing {
  let checked = false
  return {
    address,
    async sign(hash) {
      const signed = await sign(hash)
      if (!checked) await checkSignature(signed, hash, address)
      checked = true
      return signed
    },
  }
}

async function checkSignature(signed: Hex, hash: Hex, address: string): Promise<void> {
  const tools = await heavy()
  let envelope: SignatureEnvelope
  try {
    envelope = tools.Signatures.from(signed)
  } catch {
    throw new TypeError('account.sign returned no signature: give a local account, e.g. of viem/accounts')
  }
  // These cannot be verified here; the chain can.
  if (envelope.type === 'multisig' || (envelope.type === 'keychain' && envelope.version !== 'v2')) return
  let signer: string
  try {
    signer = readSignature(envelope, hash, tools).account
  } catch (error) {
    throw new TypeError('account.sign does not sign the hash that it is given', { cause: error })
  }
  if (signer !== lower(address)) {
    throw new TypeError(
      `account.sign signs for ${signer}, but account.address is ${address}: they must be of one account`,
    )
  }
}
