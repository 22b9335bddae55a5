/** RFC 9530 value of a body: `sha-256=:…:`. Synchronous where the runtime can. */
export function computeDigest(body: Uint8Array, algorithm?: 'sha-256' | 'sha-512'): string | Promise<string> {
  throw new Error(`pending ${body.length} ${algorithm}`)
}

/** True if every known algorithm of `value` matches and at least one is known. Malformed: false. */
export async function verifyDigest(value: string, body: Uint8Array): Promise<boolean> {
  throw new Error(`pending ${value} ${body.length}`)
}

/** Whether the text follows RFC 9530: a dictionary of byte sequences. */
export function isDigest(value: string): boolean {
  throw new Error(`pending ${value}`)
}
