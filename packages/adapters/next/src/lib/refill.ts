const READERS = ['arrayBuffer', 'blob', 'bytes', 'clone', 'formData', 'json', 'text'] as const

/**
 * Gives a request its body back, in place: Next's own additions to it, and those of wrappers around the gate (a session,
 * a trace), stay where they are.
 */
export function refill(request: Request, bytes: Uint8Array): void {
  const { method, headers, signal, url } = request
  const fresh = new Request(url, { method, headers, signal, body: bytes as BodyInit })
  for (const name of READERS)
    Object.defineProperty(request, name, { configurable: true, value: () => fresh[name]() })
  for (const name of ['body', 'bodyUsed'] as const)
    Object.defineProperty(request, name, { configurable: true, get: () => fresh[name] })
}
