import { fromLatin1, fromUtf8, isAscii, latin1, utf8 } from './text.ts'

/**
 * Bytes, or UTF-8 text, as unpadded base64url.
 *
 * @see RFC 4648 section 5
 */
export function encodeBase64url(data: Uint8Array | string): string {
  // ASCII text is its own bytes: this is the road of nearly every challenge.
  if (typeof data === 'string') return encodeLatin1(isAscii(data) ? data : latin1(utf8(data)))
  return encodeLatin1(latin1(data))
}

/**
 * The bytes of a base64url text. Strict: alphabet, length and trailing bits are checked, padding is refused. Throws `SyntaxError`.
 *
 * @see RFC 4648 sections 3.2, 3.3, 3.5 and 5
 */
export function decodeBase64url(text: string): Uint8Array {
  return fromLatin1(decodeLatin1(text))
}

/** The text in a base64url text. Strict base64url, then strict UTF-8 without byte order mark. Throws `SyntaxError`. */
export function decodeBase64urlText(text: string): string {
  const decoded = decodeLatin1(text)
  if (isAscii(decoded)) return decoded
  const wide = fromUtf8(fromLatin1(decoded))
  if (wide.charCodeAt(0) === 0xfeff) throw new SyntaxError('starts with a byte order mark')
  return wide
}

/** Whether the text is one or more characters of the alphabet. Says nothing about length and trailing bits. */
export function isBase64urlAlphabet(text: string): boolean {
  return WORD.test(text)
}

const WORD = /^[A-Za-z0-9_-]+$/

/** Through `btoa`, the one encoder that every runtime has built in, several times as fast as a loop over tables. */
function encodeLatin1(text: string): string {
  let encoded = btoa(text)
  if (encoded.includes('+')) encoded = encoded.replaceAll('+', '-')
  if (encoded.includes('/')) encoded = encoded.replaceAll('/', '_')
  return text.length % 3 === 0 ? encoded : encoded.slice(0, encoded.indexOf('='))
}

/** The bytes, one character each. */
function decodeLatin1(text: string): string {
  let decoded: string
  try {
    let plain = text
    if (plain.includes('-')) plain = plain.replaceAll('-', '+')
    if (plain.includes('_')) plain = plain.replaceAll('_', '/')
    decoded = atob(plain)
  } catch {
    throw new SyntaxError('not base64url')
  }
  // `atob` forgives padding, blanks, the other alphabet and trailing bits. Bytes have one strict spelling, so whatever
  // it forgave shows when they are written again; a second spelling would fool a cache of seen texts.
  if (encodeLatin1(decoded) !== text) throw new SyntaxError('not base64url')
  return decoded
}
