import type * as Hash from 'ox/Hash'
import type * as Hexes from 'ox/Hex'
import type * as Signature from 'ox/Signature'
import type * as KeyAuthorization from 'ox/tempo/KeyAuthorization'
import type * as SignatureEnvelope from 'ox/tempo/SignatureEnvelope'
import type * as TxEnvelopeTempo from 'ox/tempo/TxEnvelopeTempo'
import type { Hex } from './address.ts'

/** What takes tens of milliseconds to load: the codecs and curves of the chain. */
export interface Heavy {
  Envelope: typeof TxEnvelopeTempo
  Signatures: typeof SignatureEnvelope
  Keys: typeof KeyAuthorization
  Hex: typeof Hexes
  Signature: typeof Signature
  /** Keccak-256 of bytes given as hex. */
  keccak: (data: Hex) => Hex
  /** Keccak-256 of UTF-8 text. */
  hashText: (text: string) => Hex
}

let loading: Promise<Heavy> | undefined

/** Loads them at the first need and keeps them. */
export function heavy(): Promise<Heavy> {
  loading ??= load().catch((error: unknown) => {
    loading = undefined
    throw error
  })
  return loading
}

async function load(): Promise<Heavy> {
  const [Envelope, Signatures, Keys, Hex_, Signature_, { keccak256 }] = await Promise.all([
    import('ox/tempo/TxEnvelopeTempo'),
    import('ox/tempo/SignatureEnvelope'),
    import('ox/tempo/KeyAuthorization'),
    import('ox/Hex'),
    import('ox/Signature'),
    import('ox/Hash') as Promise<typeof Hash>,
  ])
  return {
    Envelope,
    Signatures,
    Keys,
    Hex: Hex_,
    Signature: Signature_,
    keccak: (data) => keccak256(data),
    hashText: (text) => keccak256(Hex_.fromString(text)),
  }
}
