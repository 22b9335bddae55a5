import type { Challenge } from './challenge.ts'
import type { JsonObject } from './json.ts'

/** What a client sends to pay: the echoed challenge, the method's proof, and optionally who pays. */
export interface Credential {
  challenge: Challenge
  payload: JsonObject
  source?: string
}

/** The `Payment` credentials of an `Authorization` field whose lines were joined by ", "; each as its base64url token, unchecked. */
export function readAuthorization(field: string | null): { tokens: string[]; malformed?: string } {
  throw new Error(`pending ${field}`)
}

/** Decodes the base64url token of a credential. Throws `PaymentError('malformed-credential')`. */
export function parseCredential(token: string): Credential {
  throw new Error(`pending ${token.length}`)
}

/** `Payment <token>`, the value of an `Authorization` field. */
export function formatCredential(credential: Credential): string {
  throw new Error(`pending ${credential.challenge.id}`)
}
