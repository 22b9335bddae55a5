/** What a credential repeats of its challenge. */
export type Echo = Record<string, unknown> & {
  id: string
  realm: string
  method: string
  intent: string
  request: string
}

/** The text of a request without one of its members. */
export function without(request: string, member: string): string {
  const { [member]: _, ...rest } = JSON.parse(Buffer.from(request, 'base64url').toString()) as Record<
    string,
    unknown
  >
  return JSON.stringify(rest)
}

/** Reads a credential. Throws `SyntaxError` for what is none. */
export function decode(credential: string): { challenge: Echo; payload: Record<string, string> } {
  const [, token = ''] = /^\w+ +([A-Za-z0-9_-]+)$/.exec(credential) ?? []
  if (token.length % 4 === 1) throw new SyntaxError('not base64url')
  const bytes = Buffer.from(token, 'base64url')
  if (bytes.toString('base64url') !== token) throw new SyntaxError('not base64url')
  const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  const value = JSON.parse(text) as { challenge: Echo; payload: Record<string, string> }
  for (const one of [value, value.challenge, value.payload])
    if (typeof one !== 'object' || one === null || Array.isArray(one)) throw new SyntaxError('no credential')
  const { source = '' } = value as { source?: unknown }
  if (typeof source !== 'string') throw new SyntaxError('no credential')
  return value
}
