import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Answer } from '@mppkit/server'
import { hasBody } from './body.ts'

/** How long a client may go on sending a body that nobody wants, in milliseconds. */
const PATIENCE = 10_000

/** Writes an answer of the gate, in one piece where it is one. */
export function send(res: ServerResponse, { status, headers, body }: Answer): void {
  const fields: Record<string, string | string[] | number> = {}
  for (const [name, value] of headers) {
    const held = fields[name]
    fields[name] = held === undefined ? value : [held as string, value].flat()
  }
  if (body instanceof ReadableStream) {
    res.writeHead(status, fields)
    void pump(res, body)
  } else {
    if (body !== null) fields['content-length'] = Buffer.byteLength(body)
    res.writeHead(status, fields)
    res.end(body ?? undefined)
  }
  discard(res.req)
}

async function pump(res: ServerResponse, body: ReadableStream<Uint8Array>): Promise<void> {
  const reader = body.getReader()
  const drained = (): Promise<void> => new Promise((resolve) => res.once('drain', resolve).once('close', resolve))
  try {
    for (;;) {
      if (res.destroyed || res.req.method === 'HEAD') return void (await reader.cancel())
      const { done, value } = await reader.read()
      if (done) return
      if (!res.write(value)) await drained()
    }
  } catch (error) {
    res.destroy(error as Error)
  } finally {
    res.end()
  }
}

/**
 * Node throws away a body that nobody began to read. One that was read in part would block the connection, and a client
 * that only reads the answer when it has sent everything would wait for ever.
 */
function discard(req: IncomingMessage): void {
  if (!hasBody(req) || req.complete) return
  req.resume()
  const timer = setTimeout(() => req.destroy(), PATIENCE)
  req.once('end', () => clearTimeout(timer)).once('close', () => clearTimeout(timer))
}
