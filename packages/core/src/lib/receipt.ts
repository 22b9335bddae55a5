import type { JsonValue } from './json.ts'

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

/** The value of a `Payment-Receipt` field. */
export function formatReceipt(receipt: Receipt): string {
  throw new Error(`pending ${receipt.method}`)
}

/** Reads a `Payment-Receipt` field. Throws `SyntaxError` naming the member that is wrong. */
export function parseReceipt(field: string): Receipt {
  throw new Error(`pending ${field}`)
}
