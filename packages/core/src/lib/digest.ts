import { nodeCrypto } from './runtime.ts'
import { latin1, trimBlanks } from './text.ts'

/**
 * RFC 9530 value of a body: `sha-256=:…:`. Synchronous where the runtime can.
 *
 * @see draft-httpauth-payment-00, "Body digest"; RFC 9530 section 2
 */
export function computeDigest(
  body: Uint8Array,
  algorithm: 'sha-256' | 'sha-512' = 'sha-256',
): string | Promise<string> {
  if (nodeCrypto !== undefined) {
    const hash = nodeCrypto.createHash(algorithm === 'sha-512' ? 'sha512' : 'sha256')
    return `${algorithm}=:${hash.update(body).digest('base64')}:`
  }
  return digestBySubtle(body, algorithm)
}

/** True if every known algorithm of `value` matches and at least one is known. Malformed: false. */
export async function verifyDigest(value: string, body: Uint8Array): Promise<boolean> {
  const members = parseDigest(value)
  let known = 0
  for (const [algorithm, encoded] of members ?? []) {
    if (algorithm !== 'sha-256' && algorithm !== 'sha-512') continue
    known++
    if ((await computeDigest(body, algorithm)) !== `${algorithm}=:${encoded}:`) return false
  }
  return known > 0
}

/**
 * Whether the text follows RFC 9530: a dictionary of byte sequences. Stricter than structured fields where these
 * leave room for a second reading: no parameters, no repeated keys, and exact lengths for known algorithms.
 *
 * @see RFC 9530 section 2, RFC 8941 sections 3.2 and 3.3.5
 */
export function isDigest(value: string): boolean {
  return parseDigest(value) !== undefined
}

const MEMBER = /^([a-z*][a-z0-9_.*-]*)=:([A-Za-z0-9+/]*={0,2}):$/
/** Base64 of 32 and of 64 bytes; the last character of each has unused bits, which must be zero. */
const EXACT: Record<string, RegExp> = {
  'sha-256': /^[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=$/,
  'sha-512': /^[A-Za-z0-9+/]{85}[AQgw]==$/,
}

function parseDigest(value: string): Map<string, string> | undefined {
  const members = new Map<string, string>()
  for (const member of value.split(',')) {
    const match = MEMBER.exec(trimBlanks(member))
    if (match === null) return undefined
    const [, algorithm = '', encoded = ''] = match
    if (members.has(algorithm)) return undefined
    if (Object.hasOwn(EXACT, algorithm) && !EXACT[algorithm]!.test(encoded)) return undefined
    members.set(algorithm, encoded)
  }
  return members
}

async function digestBySubtle(body: Uint8Array, algorithm: 'sha-256' | 'sha-512'): Promise<string> {
  const hash = await crypto.subtle.digest(algorithm.toUpperCase(), body as Uint8Array<ArrayBuffer>)
  return `${algorithm}=:${btoa(latin1(new Uint8Array(hash)))}:`
}
