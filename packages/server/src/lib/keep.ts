import { decodeBase64url, encodeBase64url } from '@mppkit/core'
import type { Kept } from './seam.ts'

const IV = 12

/** Encrypts kept answers at rest, so that whoever reads the store does not read what was sold. */
export interface Sealer {
  seal(quote: string, answer: Kept): Promise<string>
  /** Undefined if no secret opens it. */
  open(quote: string, sealed: string): Promise<Kept | undefined>
}

/** AES-256-GCM under a key derived from the server's secret (HKDF-SHA-256); the quote is authenticated with it. */
export function createSealer(secrets: readonly string[]): Sealer {
  const keys: (Promise<CryptoKey> | undefined)[] = []
  const keyOf = (index: number): Promise<CryptoKey> => (keys[index] ??= deriveKey(secrets[index] as string))

  return {
    async seal(quote, answer) {
      const iv = crypto.getRandomValues(new Uint8Array(IV))
      const sealed = await crypto.subtle.encrypt(parameters(iv, quote), await keyOf(0), encode(answer))
      return `${encodeBase64url(iv)}.${encodeBase64url(new Uint8Array(sealed))}`
    },
    async open(quote, sealed) {
      const [iv, data] = sealed.split('.').map(decodeBase64url)
      if (!iv || !data) return undefined
      for (let index = 0; index < secrets.length; index++) {
        try {
          return decode(
            new Uint8Array(
              await crypto.subtle.decrypt(parameters(iv, quote), await keyOf(index), data as BufferSource),
            ),
          )
        } catch {
          // Sealed under another secret of the list.
        }
      }
      return undefined
    },
  }
}

function parameters(iv: Uint8Array, quote: string): AesGcmParams {
  return { name: 'AES-GCM', iv: iv as BufferSource, additionalData: new TextEncoder().encode(quote) }
}

async function deriveKey(secret: string): Promise<CryptoKey> {
  const material = await crypto.subtle.importKey('raw', new TextEncoder().encode(secret), 'HKDF', false, [
    'deriveKey',
  ])
  const derivation = {
    name: 'HKDF',
    hash: 'SHA-256',
    salt: new Uint8Array(0),
    info: new TextEncoder().encode('mppkit kept answer'),
  }
  return crypto.subtle.deriveKey(derivation, material, { name: 'AES-GCM', length: 256 }, false, [
    'encrypt',
    'decrypt',
  ])
}

/** A JSON line with status and headers, then the body's bytes. */
function encode({ status, headers, body }: Kept): Uint8Array<ArrayBuffer> {
  const head = new TextEncoder().encode(`${JSON.stringify([status, headers, body === null])}\n`)
  const bytes = typeof body === 'string' ? new TextEncoder().encode(body) : (body ?? new Uint8Array(0))
  const all = new Uint8Array(head.length + bytes.length)
  all.set(head)
  all.set(bytes, head.length)
  return all
}

function decode(all: Uint8Array): Kept {
  const end = all.indexOf(0x0a)
  const [status, headers, empty] = JSON.parse(new TextDecoder().decode(all.subarray(0, end))) as [
    number,
    [string, string][],
    boolean,
  ]
  return { status, headers, body: empty ? null : all.slice(end + 1) }
}
