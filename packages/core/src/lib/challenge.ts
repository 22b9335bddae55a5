import { readAuthLine, type AuthChallenge } from './auth-field.ts'
import { decodeBase64urlText } from './base64url.ts'
import { PaymentError } from './errors.ts'
import { brokenParameter, isToken } from './grammar.ts'
import { isJsonObject, parseJsonWithin, type JsonObject } from './json.ts'
import { fromFieldText, isAscii, isWellFormed, latin1, utf8 } from './text.ts'

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

/** The members of a challenge, in the order in which they are written. */
export const REQUIRED = ['id', 'realm', 'method', 'intent', 'request'] as const
export const OPTIONAL = ['expires', 'digest', 'opaque', 'description', 'header'] as const

/** No request needs more, and whoever walks through a decoded one may recurse. */
const MAX_DEPTH = 32

/**
 * Reads every usable `Payment` challenge of the given field lines (each may hold several challenges of any scheme).
 * Never throws. A bad challenge does not spoil its neighbours; broken syntax ends the line, not the ones before it.
 * Fetch shows field values one character per byte: values that are UTF-8 in that view are decoded.
 *
 * @see draft-httpauth-payment-00, "Challenge"; RFC 9110 section 11.6.1
 */
export function parseChallenges(lines: string | readonly string[]): ParsedChallenges {
  const parsed: ParsedChallenges = { challenges: [], rejected: [] }
  for (const line of typeof lines === 'string' ? [lines] : lines) {
    for (const found of readAuthLine(line)) {
      if (found.scheme === 'payment') take(found, parsed)
    }
  }
  return parsed
}

/**
 * One `Payment` challenge as a field value, every value quoted. Throws `TypeError` for a value that no header can carry
 * (control characters). Text outside of ASCII is written as UTF-8 with one character per byte, which is what writers
 * of header fields (Fetch, Node) put on the wire as these bytes, and what `parseChallenges` reads back.
 *
 * @see draft-httpauth-payment-00, "Challenge"
 */
export function formatChallenge(challenge: Challenge): string {
  let text = `Payment id=${quoteString(challenge.id)}`
  for (const name of REQUIRED) if (name !== 'id') text += `, ${name}=${quoteString(challenge[name])}`
  for (const name of OPTIONAL) {
    const value = challenge[name]
    if (value !== undefined) text += `, ${name}=${quoteString(value)}`
  }
  return text
}

/**
 * A quoted-string with quoted-pairs; the building block of `formatChallenge`, for texts that are made once.
 * Throws `TypeError` for control characters (a tab is none of them) and lone surrogates.
 *
 * @see RFC 9110 section 5.6.4
 */
export function quoteString(value: string): string {
  if (PLAIN.test(value)) return `"${value}"`
  if (CONTROL.test(value)) throw new TypeError('a header field cannot carry control characters')
  if (!isWellFormed(value)) throw new TypeError('a header field cannot carry lone surrogates')
  const escaped = value.replaceAll(/["\\]/g, String.raw`\$&`)
  return `"${isAscii(escaped) ? escaped : latin1(utf8(escaped))}"`
}

/**
 * The decoded `request`. Throws `PaymentError('invalid-challenge')` unless it is base64url of a JSON object, at most 32
 * levels deep.
 *
 * @see draft-httpauth-payment-00, "Required parameters"
 */
export function decodeRequest(request: string): JsonObject {
  return decodeObject('request', request)
}

/**
 * The decoded `opaque`. Throws `PaymentError('invalid-challenge')` unless it is base64url of a flat object of strings.
 *
 * @see draft-httpauth-payment-00, "Optional parameters"
 */
export function decodeOpaque(opaque: string): Record<string, string> {
  const value = decodeObject('opaque', opaque)
  if (Object.values(value).every((item) => typeof item === 'string')) return value as Record<string, string>
  throw new PaymentError('invalid-challenge', 'opaque holds something else than strings')
}

const PLAIN = /^[ !#-[\]-~]*$/
const CONTROL = /[^\t -~\u0080-\uffff]/

function decodeObject(name: string, encoded: string): JsonObject {
  let value: unknown
  try {
    value = parseJsonWithin(decodeBase64urlText(encoded), MAX_DEPTH)
  } catch (cause) {
    throw new PaymentError('invalid-challenge', `${name}: ${(cause as SyntaxError).message}`, { cause })
  }
  if (!isJsonObject(value)) throw new PaymentError('invalid-challenge', `${name} is not a JSON object`)
  return value
}

function take(found: AuthChallenge, into: ParsedChallenges): void {
  const parameters = new Map<string, string>()
  let reason = found.error ?? (found.token68 === undefined ? undefined : 'a token in place of parameters')
  for (const [name, value] of found.parameters) {
    if (parameters.has(name)) reason ??= `${name} is repeated`
    parameters.set(name, fromFieldText(value))
  }
  reason ??= refusal(parameters)
  const id = parameters.get('id')
  if (reason === undefined) into.challenges.push(toChallenge(parameters))
  else into.rejected.push(id === undefined ? { reason } : { id, reason })
}

function refusal(parameters: ReadonlyMap<string, string>): string | undefined {
  for (const name of REQUIRED) if (!parameters.has(name)) return `${name} is missing`
  if (parameters.get('id') === '') return 'id is empty'
  const challenge = toChallenge(parameters)
  const broken = brokenParameter(challenge)
  if (broken !== undefined) return `${broken} is malformed`
  try {
    decodeRequest(challenge.request)
    if (challenge.opaque !== undefined) decodeOpaque(challenge.opaque)
  } catch (error) {
    return (error as PaymentError).detail
  }
  return undefined
}

/** Only what is known: unknown parameters are ignored, and so is a `header` that names no field. */
function toChallenge(parameters: ReadonlyMap<string, string>): Challenge {
  const challenge: Partial<Challenge> = {}
  for (const name of REQUIRED) challenge[name] = parameters.get(name)!
  for (const name of OPTIONAL) {
    const value = parameters.get(name)
    if (value !== undefined && (name !== 'header' || isToken(value))) challenge[name] = value
  }
  return challenge as Challenge
}
