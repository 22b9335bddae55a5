import type { JsonObject } from './json.ts'

/** A payment challenge as on the wire; `request` and `opaque` are the base64url text that was sent. */
export interface Challenge {
  id: string
  realm: string
  method: string
  intent: string
  request: string
  /** RFC 3339. */
  expires?: string
  /** RFC 9530, e.g. `sha-256=:…:`. */
  digest?: string
  opaque?: string
  /** For humans; unbound and untrusted. */
  description?: string
  /** The request header that shall carry the credential, where it is not `Authorization`; echoed, unbound. */
  header?: string
}

/** What one `WWW-Authenticate` field held. */
export interface ParsedChallenges {
  challenges: Challenge[]
  /** `Payment` challenges that cannot be used, each with the reason. */
  rejected: { id?: string; reason: string }[]
}

/** Reads every usable `Payment` challenge of the given field lines (each may hold several challenges of any scheme). Never throws. */
export function parseChallenges(lines: string | readonly string[]): ParsedChallenges {
  throw new Error(`pending ${lines.length}`)
}

/** One `Payment` challenge as a field value. Throws `TypeError` for a value that no header can carry (control characters). */
export function formatChallenge(challenge: Challenge): string {
  throw new Error(`pending ${challenge.id}`)
}

/** A quoted-string with quoted-pairs; the building block of `formatChallenge`, for texts that are made once. */
export function quoteString(value: string): string {
  throw new Error(`pending ${value}`)
}

/** The decoded `request`. Throws `PaymentError('invalid-challenge')` unless it is base64url of a JSON object. */
export function decodeRequest(request: string): JsonObject {
  throw new Error(`pending ${request.length}`)
}

/** The decoded `opaque`. Throws `PaymentError('invalid-challenge')` unless it is base64url of a flat object of strings. */
export function decodeOpaque(opaque: string): Record<string, string> {
  throw new Error(`pending ${opaque.length}`)
}
