import { BodyError, type Incoming, type Transport } from './seam.ts'

/** What a runtime passes to a fetch handler beside the request. Everything may be missing. */
export interface Beside {
  /** Node, through `@hono/node-server`. */
  incoming?: { httpVersionMajor: number; socket?: Socket; url?: string | undefined }
  outgoing?: Outgoing
  /** Deno. */
  remoteAddr?: { hostname?: string }
  /** Deno: settles when the runtime is done with the answer; resolves also when the client has left. */
  completed?: PromiseLike<void>
  /** Bun: its server. */
  requestIP?(request: Request): { address: string } | null
  url?: URL | string
  /** Workers, and those who followed them. */
  waitUntil?: (work: Promise<unknown>) => void
}

interface Socket {
  encrypted?: boolean
  remoteAddress?: string | undefined
  destroyed?: boolean
  once?(event: 'close', listener: () => void): unknown
}

interface Outgoing {
  destroyed?: boolean
  headersSent: boolean
  statusCode: number
  writableEnded: boolean
  writableFinished: boolean
  once(event: string, listener: () => void): unknown
}

/** Judges a connection by its socket. */
export function transportOf({ encrypted, remoteAddress = '' }: Socket): Transport {
  if (encrypted) return 'tls'
  return isLoopback(remoteAddress) ? 'loopback' : 'plain'
}

function isLoopback(address: string): boolean {
  return address === '::1' || /^(::ffff:)?127\./.test(address)
}

/**
 * Transport and address of the peer, where the runtime shows its socket.
 * @param request as the runtime made it: Bun knows no other
 */
export function peerOf(
  env: Beside | undefined,
  request?: Request,
): { transport: Transport; remote: string | undefined } {
  const socket = env?.incoming?.socket
  if (socket) return { transport: transportOf(socket), remote: socket.remoteAddress }
  if (request && typeof env?.requestIP === 'function') {
    const remoteAddress = env.requestIP(request)?.address
    // Through a Unix socket there is no address.
    if (remoteAddress === undefined) return NOBODY
    // The server's own URL, which is its configuration: that of the request holds what the client has sent.
    const encrypted = String(env.url).startsWith('https:')
    return { transport: transportOf({ encrypted, remoteAddress }), remote: remoteAddress }
  }
  const remote = env?.remoteAddr?.hostname
  if (typeof remote !== 'string') return NOBODY
  // Whether there is TLS is not shown beside the request, and its URL may be what the client has sent.
  return { transport: isLoopback(remote) ? 'loopback' : 'unknown', remote }
}

const NOBODY = { transport: 'unknown', remote: undefined } as const

/** Path and query of a request's URL, untouched. */
export function targetOf(url: string): string {
  return url.slice(url.indexOf('/', url.indexOf(':') + 3))
}

/** The runtime's `waitUntil`, if it has one. */
export function waitUntilOf(beside: Beside | undefined): Incoming['waitUntil'] {
  return typeof beside?.waitUntil === 'function' ? (work) => beside.waitUntil?.(work) : undefined
}

// A class, because an object with getters costs more than the rest of an unpaid request together.
const CONSUMED =
  'mppkit: the body of this request was read before the gate saw it, so a payment cannot be bound to it. Mount the gate ' +
  'before whatever reads the body; it leaves the body readable'

/**
 * Reads the body of a web `Request`, which is then used up.
 * @param limit bytes; a Content-Length above it is refused unread, a body without one where it is passed
 * @param patience milliseconds for the whole body
 * @throws BodyError
 */
export async function readBody(request: Request, limit: number, patience = 10_000): Promise<Uint8Array> {
  if (request.method === 'GET' || request.method === 'HEAD') return new Uint8Array(0)
  if (request.bodyUsed) throw new BodyError('consumed', CONSUMED)
  const { headers } = request
  const length = headers.has('transfer-encoding') ? null : headers.get('content-length')
  if (Number(length) > limit) throw tooLarge(limit)
  let timer: ReturnType<typeof setTimeout> | undefined
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => {
      reject(new BodyError('too-slow', `The body did not arrive within ${String(patience / 1000)} seconds.`))
    }, patience)
  })
  try {
    // A runtime holds a body to its Content-Length, and reads it faster in one piece.
    const sized = length !== null && /^\d+$/.test(length)
    const bytes = await Promise.race([late, sized ? request.arrayBuffer() : collect(request.body, limit)])
    if (bytes.byteLength > limit) throw tooLarge(limit)
    return bytes instanceof Uint8Array ? bytes : new Uint8Array(bytes)
  } catch (error) {
    throw error instanceof BodyError
      ? error
      : new BodyError('broken', 'The connection broke before the body was complete.')
  } finally {
    clearTimeout(timer)
  }
}

async function collect(body: ReadableStream<Uint8Array> | null, limit: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = []
  let size = 0
  const reader = body?.getReader()
  while (reader) {
    const { done, value } = await reader.read()
    if (done) break
    size += value.length
    if (size > limit) {
      reader.releaseLock()
      // Deno would leave the connection open, and deaf; others would drop it, and with it the answer.
      if ('Deno' in globalThis) body?.cancel().catch(() => undefined)
      throw tooLarge(limit)
    }
    chunks.push(value)
  }
  return concat(chunks)
}

function tooLarge(limit: number): BodyError {
  return new BodyError('too-large', `The body is larger than ${String(limit)} bytes.`)
}

/** Several pieces as one. */
export function concat(chunks: readonly Uint8Array[]): Uint8Array {
  if (chunks.length === 1) return chunks[0] as Uint8Array
  const all = new Uint8Array(chunks.reduce((size, chunk) => size + chunk.length, 0))
  let at = 0
  for (const chunk of chunks) {
    all.set(chunk, at)
    at += chunk.length
  }
  return all
}
