import type { Challenge } from './challenge.ts'

/** Binds challenge parameters to an id: HMAC-SHA256 over seven slots (draft-httpauth-payment-00, "Challenge binding"). */
export interface Binding {
  /** The id for an already joined input; the first secret signs. Synchronous where the runtime can. */
  sign(input: string): string | Promise<string>
  /** Grammar first, then constant-time compare under every secret. */
  verify(challenge: Challenge): boolean | Promise<boolean>
}

/** The seven slots joined by `|`. Assumes checked grammar. */
export function bindingInput(challenge: Omit<Challenge, 'id'>): string {
  throw new Error(`pending ${challenge.realm}`)
}

/** Secrets are UTF-8 text of at least 32 bytes each; the first signs, all verify. Throws `TypeError`. */
export function createBinding(secrets: readonly string[]): Binding {
  throw new Error(`pending ${secrets.length}`)
}
