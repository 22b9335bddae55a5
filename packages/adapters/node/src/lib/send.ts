import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Answer } from '@mppkit/server'
import { hasBody } from './body.ts'

/** Milliseconds for which a client may go on sending a body that nobody reads. */
const PATIENCE = 10_000

/** Writes an answer of the gate: several lines of a field stay several, and one piece stays one. */
export function send(res: ServerResponse, { status, headers, body }: Answer): void {
  const fields: Record<string, string | number | string[]> = {}
  for (const [name, value] of headers) {
    const held = fields[name] as string | string[] | undefined
    fields[name] = held === undefined ? value : [held, value].flat()
  }
  if (body instanceof ReadableStream) {
    res.writeHead(status, fields)
    void pump(res, body.getReader())
  } else {
    // Node works the length out only where the head is implicit.
    if (body !== null && status !== 204 && status !== 304) fields['content-length'] = Buffer.byteLength(body)
    res.writeHead(status, fields)
    res.end(body)
  }
  discard(res.req)
}

async function pump(res: ServerResponse, reader: ReadableStreamDefaultReader<Uint8Array>): Promise<void> {
  try {
    while (!res.destroyed && res.req.method !== 'HEAD') {
      const { done, value } = await reader.read()
      if (done) break
      if (!res.write(value)) await drained(res)
    }
    res.end()
    await reader.cancel()
  } catch (error) {
    res.destroy(error as Error)
  }
}

function drained(res: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const go = (): void => {
      res.off('drain', go).off('close', go)
      resolve()
    }
    res.on('drain', go).on('close', go)
  })
}

/**
 * Takes the rest of an unwanted body off the wire. Node does so only for one that nobody began to read; one read in part
 * would block the connection, and a client that sends everything before it reads would wait for ever.
 */
export function discard(req: IncomingMessage): void {
  if (req.httpVersionMajor > 1 || req.complete || req.destroyed || !hasBody(req)) return
  const timer = setTimeout(() => req.destroy(), PATIENCE)
  req.once('end', () => clearTimeout(timer)).once('close', () => clearTimeout(timer))
  req.resume()
}
