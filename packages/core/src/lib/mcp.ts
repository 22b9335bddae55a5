import { encodeBase64url } from './base64url.ts'
import { OPTIONAL, REQUIRED, type Challenge } from './challenge.ts'
import type { Credential } from './credential.ts'
import { canonicalize, isJsonObject, type JsonObject } from './json.ts'

/** Codes of JSON-RPC errors about payments (draft-payment-transport-mcp-00, "Error codes"). */
export const MCP_PAYMENT_REQUIRED = -32042
export const MCP_VERIFICATION_FAILED = -32043
export const MCP_INVALID_PARAMS = -32602

/**
 * What a JSON-RPC message brings to pay for its operation:
 * - `notification`: it has no id, so nobody can be asked to pay; drop it.
 * - `absent`: ask for payment, -32042.
 * - `malformed`: -32602.
 * - `credential`: verify it. Its `request` is the base64url form, so that the binding of HTTP fits.
 */
export type McpReading =
  | { kind: 'notification' }
  | { kind: 'absent' }
  | { kind: 'malformed'; detail: string }
  | { kind: 'credential'; credential: Credential; placement: 'params' | 'root' }

/**
 * Reads the credential of a JSON-RPC request for a priced operation, in `params._meta` (MCP) or `_meta` (other
 * JSON-RPC). Not for free operations: those ignore credentials. Never throws.
 *
 * @see draft-payment-transport-mcp-00, "Placement of _meta", "Credential", "Notifications"
 */
export function readMcpCredential(message: unknown): McpReading {
  if (!isJsonObject(message)) return malformed('not a JSON-RPC request')
  if (!Object.hasOwn(message, 'id')) return { kind: 'notification' }
  const nested = isJsonObject(message.params) ? message.params._meta : undefined
  const found: { value: unknown; placement: 'params' | 'root' }[] = []
  for (const [meta, placement] of [
    [nested, 'params'],
    [message._meta, 'root'],
  ] as const) {
    if (meta === undefined) continue
    if (!isJsonObject(meta)) return malformed('_meta is not an object')
    if (Object.hasOwn(meta, KEY)) found.push({ value: meta[KEY], placement })
  }
  const [first, second] = found
  if (first === undefined) return { kind: 'absent' }
  try {
    if (second !== undefined && canonicalize(first.value) !== canonicalize(second.value)) {
      return malformed('two different credentials')
    }
    return { kind: 'credential', credential: readCredential(first.value), placement: first.placement }
  } catch (error) {
    return malformed((error as TypeError).message)
  }
}

const KEY = 'org.paymentauth/credential'

function malformed(detail: string): McpReading {
  return { kind: 'malformed', detail }
}

function readCredential(value: unknown): Credential {
  if (!isJsonObject(value)) throw new TypeError('the credential is not an object')
  const { challenge, payload, source } = value
  if (!isJsonObject(challenge)) throw new TypeError('challenge is not an object')
  if (!isJsonObject(payload)) throw new TypeError('payload is not an object')
  const credential: Credential = { challenge: readChallenge(challenge), payload }
  if (source === undefined) return credential
  if (typeof source !== 'string') throw new TypeError('source is not a text')
  return { ...credential, source }
}

function readChallenge(value: JsonObject): Challenge {
  const challenge: Partial<Challenge> = {}
  for (const name of REQUIRED) if (name !== 'request') challenge[name] = readText(value, name)
  if (!isJsonObject(value.request)) throw new TypeError('challenge.request is not an object')
  challenge.request = encodeBase64url(canonicalize(value.request))
  for (const name of OPTIONAL) if (Object.hasOwn(value, name)) challenge[name] = readText(value, name)
  return challenge as Challenge
}

function readText(value: JsonObject, name: string): string {
  const text = value[name]
  if (typeof text !== 'string' || (name === 'id' && text === '')) {
    throw new TypeError(`challenge.${name} is not a text`)
  }
  return text
}
