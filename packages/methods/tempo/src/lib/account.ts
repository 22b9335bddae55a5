import { isAddress, type Hex } from './address.ts'

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
