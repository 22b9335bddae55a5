import { isBase64urlAlphabet } from './base64url.ts'
import { isDigest } from './digest.ts'
import { parseTime } from './time.ts'

const METHOD = /^[a-z]+$/
const INTENT = /^[A-Za-z0-9-]+$/
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/

/** The parameters that take part in the binding and have a grammar. */
export interface Grammatical {
  method: string
  intent: string
  request: string
  expires?: string
  digest?: string
  opaque?: string
}

/**
 * The name of the first parameter that breaks its grammar; undefined if none does. Of `request` and `opaque` only the
 * alphabet is looked at. What passes holds no `|`.
 *
 * @see draft-httpauth-payment-00, "Required parameters", "Optional parameters"
 */
export function brokenParameter(of: Grammatical): keyof Grammatical | undefined {
  if (!METHOD.test(of.method)) return 'method'
  if (!INTENT.test(of.intent)) return 'intent'
  if (!isBase64urlAlphabet(of.request)) return 'request'
  if (of.expires !== undefined && parseTime(of.expires) === undefined) return 'expires'
  if (of.digest !== undefined && !isDigest(of.digest)) return 'digest'
  if (of.opaque !== undefined && !isBase64urlAlphabet(of.opaque)) return 'opaque'
  return undefined
}

/** Whether the text is a `token` (RFC 9110 section 5.6.2), as names of fields are. */
export function isToken(text: string): boolean {
  return TOKEN.test(text)
}
