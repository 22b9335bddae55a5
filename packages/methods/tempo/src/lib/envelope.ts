import { PaymentError } from '@mppkit/core'
import type { SignatureEnvelope } from 'ox/tempo/SignatureEnvelope'
import type { TxEnvelopeTempo } from 'ox/tempo/TxEnvelopeTempo'
import { lower, type Hex } from './address.ts'
import { heavy, type Heavy } from './heavy.ts'
import { Sealed } from './sealed.ts'
import { readSignature } from './signature.ts'

/** A transaction as its sender signed it. */
export interface SignedTransaction {
  /** All that was signed, without the signature. */
  envelope: TxEnvelopeTempo<false>
  /** The account whose money moves. For an access key: the account that the key claims to act for. */
  sender: Hex
  /** The key that signed, where it is not the account's own. */
  accessKey?: Hex
  /** Whether a sponsor has yet to sign; only then the bytes are not final. */
  open: boolean
  /** The hash under which the chain will know it; of an open one, nothing that the chain will ever see. */
  hash: Hex
  /**
   * The same for every spelling of the same transaction: other signature, other sponsor, other fee token.
   * The chain executes at most one transaction per value (expiring nonces), or per nonce that it covers.
   */
  id: Hex
  /** The signed bytes, and the signature in them. */
  bytes: Sealed<Hex>
  signature: Sealed<SignatureEnvelope>
}

/** Ten splits with memos and a passkey signature come to 5,000 digits. */
const maxDigits = 16_384

/**
 * Reads a signed transaction of type 0x76, or 0x78 (the same, on its way to a sponsor).
 * The signature is verified, so that `sender` is who signed, unless there is an `accessKey`:
 * whether that key may act for the account is for the chain to say.
 * @throws PaymentError `malformed-credential` for anything but the one canonical spelling,
 * `verification-failed` for a signature that is not the sender's.
 */
export async function openTransaction(text: unknown): Promise<SignedTransaction> {
  //
  if (typeof text !== 'string' || text.length > maxDigits || !/^0x(?:[0-9a-f]{2})+$/.test(text)) {
    malformed('signature is not a transaction in lower-case hex')
  }
  const bytes = text as Hex
  if (!bytes.startsWith('0x76') && !bytes.startsWith('0x78'))
    malformed('only Tempo transactions (0x76, 0x78) can pay')
  const tools = await heavy()
  const { signature, ...envelope } = decode(bytes, tools)
  if (!signature) malformed('the transaction is not signed')
  // A 0x78 envelope names a sender; anyone can write that, so it must be the one that signed. Of a 0x76 envelope the decoder recovers it.
  const named = bytes.startsWith('0x78')
  const { Envelope, Hex, keccak } = tools
  const covered = Envelope.encodeForSigning(envelope)
  const signer = readSignature(signature, keccak(covered), tools, named ? undefined : envelope.from)
  //
  if (named && lower(envelope.from ?? '') !== signer.account) {
    throw new PaymentError('verification-failed', 'The transaction names a sender that did not sign it.')
  }
  return {
    envelope,
    sender: signer.account,
    ...(signer.accessKey === undefined ? undefined : { accessKey: signer.accessKey }),
    open: envelope.feePayerSignature === null,
    hash: keccak(bytes),
    //
    id: keccak(Hex.concat(covered, signer.account)),
    bytes: new Sealed(bytes),
    signature: new Sealed(signature),
  }
}

/** Decodes, and encodes again: what does not come back as it went in carries something that was not decoded. */
function decode(bytes: Hex, { Envelope }: Heavy): TxEnvelopeTempo {
  let envelope: TxEnvelopeTempo
  let again: string
  try {
    envelope = Envelope.deserialize(bytes as `0x76${string}`)
    again = bytes.startsWith('0x78')
      ? Envelope.serialize(envelope, { format: 'feePayer', sender: envelope.from! })
      : Envelope.serialize(envelope)
  } catch {
    // The library's message quotes the transaction.
    malformed('the transaction cannot be decoded')
  }
  //
  if (again !== bytes) malformed('the transaction is not in canonical form')
  return envelope
}

function malformed(detail: string): never {
  throw new PaymentError('malformed-credential', `The credential cannot be read: ${detail}.`)
}
