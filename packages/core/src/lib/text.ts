const NON_ASCII = /[^\0-\u007f]/
const NON_LATIN1 = /[^\0-\u00ff]/
const SURROGATE = /\p{Surrogate}/u
const encoder = new TextEncoder()
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** Whether every character is ASCII. */
export function isAscii(text: string): boolean {
  return !NON_ASCII.test(text)
}

/** Whether no surrogate stands alone, so that the text has a UTF-8 form. */
export function isWellFormed(text: string): boolean {
  return !SURROGATE.test(text)
}

/** The UTF-8 bytes of a text. */
export function utf8(text: string): Uint8Array<ArrayBuffer> {
  return encoder.encode(text)
}

/** The text of UTF-8 bytes; a byte order mark is kept. Throws `SyntaxError`. */
export function fromUtf8(bytes: Uint8Array): string {
  try {
    return decoder.decode(bytes)
  } catch {
    throw new SyntaxError('not UTF-8')
  }
}

/** The bytes of a text that shows one character per byte; the inverse of `latin1`. */
export function fromLatin1(text: string): Uint8Array {
  const bytes = new Uint8Array(text.length)
  for (let at = 0; at < text.length; at++) bytes[at] = text.charCodeAt(at)
  return bytes
}

/** One character per byte. */
export function latin1(bytes: Uint8Array): string {
  let text = ''
  // In slices, because a call takes a bounded number of arguments.
  for (let at = 0; at < bytes.length; at += 4096) {
    text += String.fromCharCode(...bytes.subarray(at, at + 4096))
  }
  return text
}

/**
 * The text behind a field value of which a runtime shows one character per byte.
 * What is not UTF-8, or was decoded already, stays as it is.
 */
export function fromFieldText(value: string): string {
  if (isAscii(value) || NON_LATIN1.test(value)) return value
  try {
    return decoder.decode(fromLatin1(value))
  } catch {
    return value
  }
}

/** The text without spaces and tabs at either end (RFC 9110 `OWS`; unlike `trim`, nothing else). */
export function trimBlanks(text: string): string {
  let start = 0
  let end = text.length
  while (start < end && isBlank(text.charCodeAt(start))) start++
  while (end > start && isBlank(text.charCodeAt(end - 1))) end--
  return text.slice(start, end)
}

/** Whether a character code is a space or a tab. */
export function isBlank(code: number): boolean {
  return code === 0x20 || code === 0x09
}
