import type { IncomingMessage } from 'node:http'
import { BodyError } from '@mppkit/server'

const CONSUMED =
  'mppkit: the body of this request was read before the gate saw it, so the payment cannot be bound to it. Mount the gate ' +
  'before the body parser (it gives the bytes back), or let the parser pass them on: express.json({ verify: mpp.rawBody })'

const EMPTY = new Uint8Array(0)
const bodies = new WeakMap<IncomingMessage, Uint8Array | Promise<Uint8Array>>()

/** Keeps the raw bytes of a body that a parser reads before the gate. */
export function remember(req: IncomingMessage, bytes: Uint8Array): void {
  bodies.set(req, bytes)
}

/**
 * Reads a request's body and gives it back, so that a parser or handler reads it again. Memoised per request.
 * HTTP/1.1 only gives back; what HTTP/2 has sent is remembered but read.
 * @param limit in bytes
 * @param patience in milliseconds, for the whole body
 * @throws BodyError
 */
export async function readBody(req: IncomingMessage, limit: number, patience = 10_000): Promise<Uint8Array> {
  let body = bodies.get(req)
  if (!body) {
    if (!hasBody(req)) return EMPTY
    // Refused unread: nothing has been asked of the client yet, and its bytes can be thrown away.
    if (Number(req.headers['content-length']) > limit) throw tooLarge(limit)
    if (req.readableDidRead || req.readableEnded) throw new BodyError('consumed', CONSUMED)
    body = read(req, limit, patience)
    bodies.set(req, body)
  }
  const bytes = await body
  if (bytes.length > limit) throw tooLarge(limit)
  return bytes
}

/** Whether the request's head announces a body. */
export function hasBody({ headers, httpVersionMajor, readableEnded }: IncomingMessage): boolean {
  if (httpVersionMajor > 1) return !readableEnded
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0
}

function read(req: IncomingMessage, limit: number, patience: number): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    let size = 0
    const timer = setTimeout(() => {
      fail('too-slow', `The body did not arrive within ${String(patience / 1000)} seconds.`)
    }, patience)

    req.on('readable', take).on('end', done).on('error', broken).on('close', broken)
    // A small body has often arrived with the head. Waiting for 'readable' would end an empty one.
    take()

    function take(): void {
      // read() on an empty stream whose end has come emits 'end', and a stream that has ended takes nothing back.
      while (req.readableLength > 0) {
        const chunk = req.read() as Buffer | null
        if (chunk === null) break
        size += chunk.length
        if (size > limit) return fail(tooLarge(limit))
        chunks.push(chunk)
      }
      if (req.httpVersionMajor === 1 && req.complete) done()
    }

    function done(): void {
      settle()
      const bytes = chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks, size)
      if (size > 0 && !req.readableEnded) req.unshift(bytes)
      resolve(bytes)
    }

    function broken(): void {
      fail('broken', 'The connection broke before the body was complete.')
    }

    function fail(reason: BodyError | BodyError['reason'], message = ''): void {
      settle()
      reject(typeof reason === 'string' ? new BodyError(reason, message) : reason)
    }

    function settle(): void {
      clearTimeout(timer)
      req.off('readable', take).off('end', done).off('error', broken).off('close', broken)
    }
  })
}

function tooLarge(limit: number): BodyError {
  return new BodyError('too-large', `The body is larger than ${String(limit)} bytes.`)
}
