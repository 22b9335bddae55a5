import { decodeBase64urlText, encodeBase64url } from './base64url.ts'
import { isJsonObject, parseJson, type JsonValue } from './json.ts'
import { parseTime } from './time.ts'

/** Proof that a payment was settled (draft-httpauth-payment-00, "Payment-Receipt"). Methods may add members. */
export interface Receipt {
  status: 'success'
  method: string
  /** RFC 3339 time of settlement. */
  timestamp: string
  /** Transaction hash, payment id and the like. */
  reference: string
  challengeId?: string
  externalId?: string
  [name: string]: JsonValue | undefined
}

/**
 * The value of a `Payment-Receipt` field.
 *
 * @see draft-httpauth-payment-00, "Payment-Receipt"
 */
export function formatReceipt(receipt: Receipt): string {
  return encodeBase64url(JSON.stringify(receipt))
}

/**
 * Reads a `Payment-Receipt` field. Throws `SyntaxError` naming the member that is wrong. The drafts disagree on
 * whether `reference` is required: a missing one reads as empty.
 *
 * @see draft-httpauth-payment-00, "Payment-Receipt"
 */
export function parseReceipt(field: string): Receipt {
  const value = parseJson(decodeBase64urlText(field))
  if (!isJsonObject(value)) throw new SyntaxError('receipt: not an object')
  const { status, method, timestamp, reference = '', challengeId, externalId } = value
  if (status !== 'success') throw new SyntaxError('receipt: status is not "success"')
  if (typeof method !== 'string' || method === '') throw new SyntaxError('receipt: method is not a text')
  if (typeof timestamp !== 'string' || parseTime(timestamp) === undefined) {
    throw new SyntaxError('receipt: timestamp is not an RFC 3339 date-time')
  }
  if (typeof reference !== 'string') throw new SyntaxError('receipt: reference is not a text')
  if (challengeId !== undefined && typeof challengeId !== 'string') {
    throw new SyntaxError('receipt: challengeId is not a text')
  }
  if (externalId !== undefined && typeof externalId !== 'string') {
    throw new SyntaxError('receipt: externalId is not a text')
  }
  // The spread defines own properties, so a member called __proto__ stays plain data.
  return { ...value, reference } as Receipt
}
