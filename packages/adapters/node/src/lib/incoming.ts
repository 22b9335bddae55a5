import type { IncomingMessage, ServerResponse } from 'node:http'
import { transportOf, type Incoming } from '@mppkit/server'
import { readBody } from './body.ts'

/** Shows a Node request as the gate wants to see it. `target` is what the router matched, where that is not `req.url`. */
export function incoming(req: IncomingMessage, res: ServerResponse, target: string = req.url ?? '/'): Incoming {
  const { socket } = req
  let signal: AbortSignal | undefined
  return {
    method: req.method ?? 'GET',
    target,
    headers: { get: (name) => field(req, name.toLowerCase()) },
    transport: transportOf(socket),
    remote: socket.remoteAddress,
    get signal() {
      return (signal ??= hangUp(res))
    },
    body: (limit) => readBody(req, limit),
  }
}

// `req.headers` keeps only the first line of some fields, and `req.headersDistinct` parses all of them.
function field({ rawHeaders }: IncomingMessage, name: string): string | null {
  let found: string | null = null
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const key = rawHeaders[i] as string
    if (key.length !== name.length || key.toLowerCase() !== name) continue
    const value = rawHeaders[i + 1] as string
    found = found === null ? value : `${found}, ${value}`
  }
  return found
}

/** Fires when the client goes before its answer is complete. */
function hangUp(res: ServerResponse): AbortSignal {
  const controller = new AbortController()
  const closed = (): void => {
    if (!res.writableFinished) controller.abort()
  }
  if (res.destroyed) closed()
  else res.once('close', closed)
  return controller.signal
}
