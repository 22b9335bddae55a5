import type { IncomingMessage } from 'node:http'
import { BodyError } from '@mppkit/server'

const CONSUMED =
  'mppkit: the body of this request was read before the gate saw it, so a payment cannot be bound to it. Mount the gate ' +
  'before the body parser (it gives the bytes back), or let the parser pass them on: express.json({ verify: mpp.rawBody, inflate: false })'

const bodies = new WeakMap<IncomingMessage, Uint8Array | Promise<Uint8Array>>()

/** Remembers the raw bytes of a body that a parser reads before the gate. */
export function remember(req: IncomingMessage, bytes: Uint8Array): void {
  bodies.set(req, bytes)
}

/**
 * Reads a request's body and gives it back, so that a parser or the handler reads it again. Memoised.
 * HTTP/2 streams cannot take bytes back: there the body is remembered, but gone for the handler.
 * @param limit bytes; a Content-Length above it is refused unread, a chunked body where it is passed
 * @param patience milliseconds for the whole body
 * @throws BodyError
 */
export async function readBody(req: IncomingMessage, limit: number, patience = 10_000): Promise<Uint8Array> {
  let body = bodies.get(req)
  if (!body) {
    if (!hasBody(req)) return new Uint8Array(0)
    if (Number(req.headers['content-length']) > limit) throw tooLarge(limit)
    // A stream that flows has been piped somewhere, though nothing may have come out of it yet.
    if (req.readableDidRead || req.readableEnded || req.readableFlowing)
      throw new BodyError('consumed', CONSUMED)
    body = read(req, limit, patience)
    bodies.set(req, body)
  }
  const bytes = await body
  if (bytes.length > limit) throw tooLarge(limit)
  return bytes
}

/** Whether the head of a request announces a body. */
export function hasBody({ headers, httpVersionMajor, readableEnded }: IncomingMessage): boolean {
  if (httpVersionMajor > 1) return !readableEnded
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0
}

async function read(req: IncomingMessage, limit: number, patience: number): Promise<Uint8Array> {
  if (req.destroyed) throw broken()
  // A chunked body of no bytes that has arrived with its head: to touch the stream now would end it.
  if (isComplete(req) && req.readableLength === 0) return new Uint8Array(0)
  const chunks: Buffer[] = []
  let size = 0
  await new Promise<void>((resolve, reject) => {
    const timer = setTimeout(() => {
      settle(new BodyError('too-slow', `The body did not arrive within ${String(patience / 1000)} seconds.`))
    }, patience)
    const take = (): void => {
      // read() on a stream that is empty and has seen its end emits 'end', and what has ended takes nothing back. Where
      // nothing else tells the end, it must.
      while (req.readableLength > 0 || !tellsEnd(req)) {
        const chunk = req.read() as Buffer | null
        if (chunk === null) break
        chunks.push(chunk)
        size += chunk.length
        if (size > limit) return settle(tooLarge(limit))
      }
      if (isComplete(req)) settle()
    }
    const ended = (): void => settle()
    const gone = (): void => settle(broken())
    const settle = (error?: BodyError): void => {
      clearTimeout(timer)
      req.off('readable', take).off('end', ended).off('error', gone).off('close', gone)
      if (error) return reject(error)
      // In the same tick as the last read(): 'end' has been scheduled, and is not emitted while there are bytes.
      if (size > 0 && !req.readableEnded) for (const chunk of chunks.toReversed()) req.unshift(chunk)
      resolve()
    }
    req.on('readable', take).on('end', ended).on('error', gone).on('close', gone)
  })
  return chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks, size)
}

function isComplete(req: IncomingMessage): boolean {
  return tellsEnd(req) && req.complete
}

/** HTTP/2 requests say `complete` only when they have been read to the end, and injected ones never. */
function tellsEnd(req: IncomingMessage): boolean {
  return req.httpVersionMajor === 1 && typeof req.complete === 'boolean'
}

function tooLarge(limit: number): BodyError {
  return new BodyError('too-large', `The body is larger than ${String(limit)} bytes.`)
}

function broken(): BodyError {
  return new BodyError('broken', 'The connection broke before the body was complete.')
}
