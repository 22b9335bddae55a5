import { PaymentError } from '@mppkit/core'
import type { TxEnvelopeTempo } from 'ox/tempo/TxEnvelopeTempo'
import { lower, type Hex } from './address.ts'
import { keyCall, returnedWord } from './calls.ts'
import type { Heavy } from './heavy.ts'
import type { Rpc } from './rpc.ts'
import { readSignature } from './signature.ts'

/** Asks the chain whether a key may act for an account now; one call. */
export async function isActiveKey(
  rpc: Rpc,
  account: Hex,
  key: Hex,
  now: number,
  signal?: AbortSignal,
): Promise<boolean> {
  const returned = await rpc('eth_call', [keyCall(account, key), 'latest'], signal ? { signal } : {})
  return readKey(returned, key, now)
}

/** Reads what the registry returned: type, key, expiry (Unix seconds), limits, revoked. */
export function readKey(returned: unknown, key: Hex, now: number): boolean {
  const [known, expiry, revoked] = [1, 2, 4].map((n) => returnedWord(returned, n))
  if (known === undefined || expiry === undefined || revoked === undefined)
    throw new Error('the node did not tell of an access key')
  //
  return known === BigInt(key) && expiry > BigInt(now) && revoked === 0n
}

/**
 * Whether a key may spend an amount in any transfer, from what the registry returned: the key, what is left of its limit, its scope.
 * No where one of them is not known.
 */
export function maySpend(
  [key, left, scope]: readonly { succeeded: boolean; returned?: unknown }[],
  amount: bigint,
): boolean {
  const isLimited = returnedWord(key?.returned, 3)
  const isScoped = scope?.succeeded ? returnedWord(scope.returned, 0) : undefined
  //
  if (isLimited === undefined || isScoped !== 0n) return false
  //
  return isLimited === 0n || (left?.succeeded === true && (returnedWord(left.returned, 0) ?? 0n) >= amount)
}

/**
 * Whether the transaction itself brings the account's consent to the key that signed it.
 * @throws PaymentError `verification-failed` if it brings something else under that name.
 */
export function bringsKey(
  envelope: TxEnvelopeTempo,
  account: Hex,
  key: Hex,
  now: number,
  tools: Heavy,
): boolean {
  const consent = envelope.keyAuthorization
  if (!consent) return false
  const { address, chainId, expiry, signature } = consent
  const signer = signature && readSignature(signature, tools.Keys.getSignPayload(consent), tools)
  //
  const good =
    signer?.account === account &&
    signer.accessKey === undefined &&
    lower(address) === key &&
    Number(chainId) === envelope.chainId &&
    (expiry === undefined || expiry === null || expiry > now)
  if (!good)
    throw new PaymentError(
      'verification-failed',
      'The transaction registers an access key that its account did not allow.',
    )
  return true
}
