import type { Hex } from './address.ts'
import type { Heavy } from './heavy.ts'

/** What a proof of identity is about. */
export interface Identity {
  chainId: number
  account: Hex
  challengeId: string
  realm: string
}

/**
 * The hash that is signed to prove who one is (EIP-712).
 * `v3` binds the account and the realm, and is what deployed software signs; `draft` is the form of the draft, which binds the challenge id only.
 * @see draft-tempo-charge-00, "Proof Payload"
 */
export function proofHash(form: 'v3' | 'draft', identity: Identity, { Hex, keccak, hashText }: Heavy): Hex {
  const { chainId, account, challengeId, realm } = identity
  const number = (value: number): Hex => Hex.fromNumber(value, { size: 32 })
  const domain = keccak(
    Hex.concat(
      hashText('EIP712Domain(string name,string version,uint256 chainId)'),
      hashText('MPP'),
      hashText(form === 'v3' ? '3' : '1'),
      //
      number(chainId),
    ),
  )
  const message =
    form === 'v3'
      ? Hex.concat(
          hashText('Proof(address account,string challengeId,string realm)'),
          Hex.padLeft(account, 32),
          //
          hashText(challengeId),
          //
          hashText(realm),
        )
      :
        Hex.concat(hashText('Proof(string challengeId)'), hashText(challengeId))
  return keccak(Hex.concat('0x1901', domain, keccak(message)))
}
