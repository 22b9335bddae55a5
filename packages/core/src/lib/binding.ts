import { encodeBase64url } from './base64url.ts'
import type { Challenge } from './challenge.ts'
import { brokenParameter } from './grammar.ts'
import { nodeCrypto } from './runtime.ts'
import { isWellFormed, utf8 } from './text.ts'

/** Binds challenge parameters to an id: HMAC-SHA256 over seven slots (draft-httpauth-payment-00, "Challenge binding"). */
export interface Binding {
  /** The id for an already joined input; the first secret signs. Synchronous where the runtime can. */
  sign(input: string): string | Promise<string>
  /** Grammar first, then constant-time compare under every secret. */
  verify(challenge: Challenge): boolean | Promise<boolean>
}

/**
 * The seven slots joined by `|`. Assumes checked grammar. An absent slot is empty; `request` and `opaque` are the text
 * that was sent.
 *
 * @see draft-httpauth-payment-00, "Challenge binding"
 */
export function bindingInput(challenge: Omit<Challenge, 'id'>): string {
  const { realm, method, intent, request, expires = '', digest = '', opaque = '' } = challenge
  return `${realm}|${method}|${intent}|${request}|${expires}|${digest}|${opaque}`
}

/**
 * Secrets are UTF-8 text of at least 32 bytes each; the first signs, all verify. Throws `TypeError`.
 *
 * @see draft-httpauth-payment-00, "Challenge binding"; RFC 2104
 */
export function createBinding(secrets: readonly string[]): Binding {
  if (!Array.isArray(secrets) || secrets.length === 0)
    throw new TypeError(`a binding needs a secret: ${REMEDY}`)
  for (const secret of secrets) checkSecret(secret)
  const [first, ...others] = secrets.map(nodeCrypto === undefined ? signerBySubtle : signerByNode) as [
    Signer,
    ...Signer[],
  ]
  return {
    sign: first,
    verify(challenge) {
      if (!isSound(challenge)) return false
      const input = bindingInput(challenge)
      const own = first(input)
      if (typeof own === 'string' && others.length === 0) return isEqual(own, challenge.id)
      return anyEqual([own, ...others.map((sign) => sign(input))], challenge.id)
    },
  }
}

type Signer = (input: string) => string | Promise<string>

const REMEDY = 'make one with `openssl rand -base64 32`'

function checkSecret(secret: unknown): asserts secret is string {
  if (typeof secret !== 'string') throw new TypeError(`a secret is a text of at least 32 bytes: ${REMEDY}`)
  if (!isWellFormed(secret)) throw new TypeError(`a secret must be well-formed text: ${REMEDY}`)
  const { length } = utf8(secret)
  if (length < 32) throw new TypeError(`a secret needs at least 32 bytes, this one has ${length}: ${REMEDY}`)
}

/** Without this, `a|tempo` + `charge` and `a` + `tempo|charge` would share an id: nothing escapes the separator. */
function isSound(challenge: Challenge): boolean {
  return (
    typeof challenge.id === 'string' &&
    typeof challenge.realm === 'string' &&
    !challenge.realm.includes('|') &&
    isWellFormed(challenge.realm) &&
    brokenParameter(challenge) === undefined
  )
}

function signerByNode(secret: string): Signer {
  const { hash, createHmac, createSecretKey } = nodeCrypto!
  if (typeof hash === 'function') return signerByHash(secret, hash)
  const key = createSecretKey(secret, 'utf8')
  return (input) => createHmac('sha256', key).update(input).digest('base64url')
}

const BLOCK = 64

/**
 * HMAC as two hashes at one call each: an `Hmac` object costs several times as much as what it computes.
 *
 * @see RFC 2104 section 2
 */
function signerByHash(secret: string, hash: typeof import('node:crypto').hash): Signer {
  const bytes = utf8(secret)
  const key = bytes.length > BLOCK ? hash('sha256', bytes, 'buffer') : bytes
  // Kept between calls, which are synchronous: the padded key, and room for what is to be signed.
  let inner = padded(key, 0x36, 1024)
  const outer = padded(key, 0x5c, 32)
  return (input) => {
    const room = BLOCK + input.length * 3
    if (inner.length < room) inner = padded(key, 0x36, room)
    const { written } = encoder.encodeInto(input, inner.subarray(BLOCK))
    outer.set(hash('sha256', inner.subarray(0, BLOCK + written), 'buffer'), BLOCK)
    return hash('sha256', outer, 'base64url')
  }
}

const encoder = new TextEncoder()

/** One block of the key with a pad over it, and room behind. */
function padded(key: Uint8Array, pad: number, room: number): Uint8Array<ArrayBuffer> {
  const block = new Uint8Array(BLOCK + room).fill(pad, 0, BLOCK)
  for (const [at, byte] of key.entries()) block[at] = byte ^ pad
  return block
}

function signerBySubtle(secret: string): Signer {
  let key: Promise<CryptoKey> | undefined
  return async (input) => {
    key ??= crypto.subtle.importKey('raw', utf8(secret), { name: 'HMAC', hash: 'SHA-256' }, false, ['sign'])
    return encodeBase64url(new Uint8Array(await crypto.subtle.sign('HMAC', await key, utf8(input))))
  }
}

/** Compares with all of them, so that time does not tell which secret signed. */
function anyEqual(ids: (string | Promise<string>)[], id: string): boolean | Promise<boolean> {
  if (ids.every((own) => typeof own === 'string')) return countEqual(ids, id) > 0
  return Promise.all(ids.map((own) => Promise.resolve(own))).then((all) => countEqual(all, id) > 0)
}

function countEqual(ids: readonly string[], id: string): number {
  return ids.filter((own) => isEqual(own, id)).length
}

/** In constant time for texts of one length; the length of an id is no secret. */
function isEqual(a: string, b: string): boolean {
  if (a.length !== b.length) return false
  let difference = 0
  for (let at = 0; at < a.length; at++) difference |= a.charCodeAt(at) ^ b.charCodeAt(at)
  return difference === 0
}
