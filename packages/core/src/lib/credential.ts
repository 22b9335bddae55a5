import { decodeBase64urlText, encodeBase64url, isBase64urlAlphabet } from './base64url.ts'
import { OPTIONAL, REQUIRED, type Challenge } from './challenge.ts'
import { PaymentError } from './errors.ts'
import { isJsonObject, parseJson, type JsonObject, type JsonValue } from './json.ts'
import { isBlank, trimBlanks } from './text.ts'

/** What a client sends to pay: the echoed challenge, the method's proof, and optionally who pays. */
export interface Credential {
  challenge: Challenge
  payload: JsonObject
  source?: string
}

const MAX_TOKEN = 65_536

/**
 * The `Payment` credentials of an `Authorization` field whose lines were joined by ", "; each as its base64url token,
 * otherwise unchecked. `malformed` says why something that starts with the scheme is no credential.
 *
 * The field is no list, but joined lines look like one, so that two credentials must be told from one. Credentials of
 * other schemes are passed over.
 *
 * @see draft-httpauth-payment-00, "Credential"; RFC 9110 section 11.6.2
 */
export function readAuthorization(field: string | null): { tokens: string[]; malformed?: string } {
  const only = ONLY.exec(field ?? '')?.[1]
  if (only !== undefined) return { tokens: [only] }
  const tokens: string[] = []
  let malformed: string | undefined
  let ownsLast = false
  for (const member of splitMembers(field ?? '')) {
    const text = trimBlanks(member)
    // A comma behind a token cannot come from two lines: an empty line would not have been sent.
    if (text === '' && ownsLast) malformed ??= 'a stray comma'
    ownsLast = SCHEME.test(text)
    if (!ownsLast) continue
    const token = trimSpaces(text.slice('payment'.length))
    if (token === '') malformed ??= 'a scheme without a token'
    else if (isBase64urlAlphabet(token)) tokens.push(token)
    else malformed ??= 'not base64url'
  }
  return malformed === undefined ? { tokens } : { tokens, malformed }
}

/**
 * Decodes the base64url token of a credential. Strict about encoding, JSON and types; unknown members are ignored. The
 * grammar of the echoed parameters is for `Binding.verify`. Throws `PaymentError('malformed-credential')`.
 *
 * @see draft-httpauth-payment-00, "Credential"
 */
export function parseCredential(token: string): Credential {
  if (token.length > MAX_TOKEN) throw malformed(`longer than ${MAX_TOKEN} characters`)
  const value = decode(token)
  if (!isJsonObject(value)) throw malformed('not an object')
  const { challenge, payload, source } = value
  if (!isJsonObject(challenge)) throw malformed('challenge is not an object')
  if (!isJsonObject(payload)) throw malformed('payload is not an object')
  const credential: Credential = { challenge: readChallenge(challenge), payload }
  if (source !== undefined) {
    if (typeof source !== 'string') throw malformed('source is not a text')
    credential.source = source
  }
  return credential
}

/**
 * `Payment <token>`, the value of an `Authorization` field.
 *
 * @see draft-httpauth-payment-00, "Credential"
 */
export function formatCredential(credential: Credential): string {
  const { challenge, payload, source } = credential
  const echoed: Partial<Challenge> = {}
  for (const name of REQUIRED) echoed[name] = challenge[name]
  for (const name of OPTIONAL) if (challenge[name] !== undefined) echoed[name] = challenge[name]
  return `Payment ${encodeBase64url(JSON.stringify({ challenge: echoed, payload, source }))}`
}

const ONLY = /^payment +([A-Za-z0-9_-]+)$/i
/** The scheme as a whole word. A tab behind it makes a malformed credential, not another scheme. */
const SCHEME = /^payment(?:[ \t]|$)/i
/** An empty one hashes like an absent one. */
const NEVER_EMPTY: readonly string[] = ['id', 'expires', 'digest', 'opaque']

function malformed(detail: string, cause?: unknown): PaymentError {
  return new PaymentError('malformed-credential', detail, { cause })
}

function decode(token: string): JsonValue {
  try {
    return parseJson(decodeBase64urlText(token))
  } catch (cause) {
    throw malformed((cause as SyntaxError).message, cause)
  }
}

function readChallenge(value: JsonObject): Challenge {
  const challenge: Partial<Challenge> = {}
  for (const name of REQUIRED) challenge[name] = readText(value, name)
  for (const name of OPTIONAL) if (Object.hasOwn(value, name)) challenge[name] = readText(value, name)
  return challenge as Challenge
}

function readText(value: JsonObject, name: string): string {
  const text = value[name]
  if (typeof text !== 'string') throw malformed(`challenge.${name} is not a text`)
  if (text === '' && NEVER_EMPTY.includes(name)) throw malformed(`challenge.${name} is empty`)
  return text
}

/** Splits at the commas outside of quoted strings. */
function* splitMembers(field: string): Generator<string> {
  let start = 0
  let quoted = false
  for (let at = 0; at < field.length; at++) {
    const char = field.charAt(at)
    if (quoted && char === '\\') at++
    else if (char === '"') quoted = !quoted
    else if (char === ',' && !quoted) {
      yield field.slice(start, at)
      start = at + 1
    }
  }
  yield field.slice(start)
}

/** Only spaces separate the token from its scheme. */
function trimSpaces(text: string): string {
  let start = 0
  while (text.charAt(start) === ' ') start++
  return isBlank(text.charCodeAt(start)) ? text : text.slice(start)
}
