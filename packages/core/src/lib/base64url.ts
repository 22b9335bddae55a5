/** Bytes, or UTF-8 text, as unpadded base64url (RFC 4648 section 5). */
export function encodeBase64url(data: Uint8Array | string): string {
  throw new Error(`pending ${data.length}`)
}

/** Strict: alphabet, length and trailing bits are checked, padding is refused. Throws `SyntaxError`. */
export function decodeBase64url(text: string): Uint8Array {
  throw new Error(`pending ${text.length}`)
}

/** Strict base64url, then strict UTF-8 without byte order mark. Throws `SyntaxError`. */
export function decodeBase64urlText(text: string): string {
  throw new Error(`pending ${text.length}`)
}
