import type { IncomingMessage, ServerResponse } from 'node:http'
import { transportOf, type Incoming, type Transport } from '@mppkit/server'
import { readBody } from './body.ts'

/** Shows a Node request as the gate wants to see it. `target` is what the router matched, where that is not `req.url`. */
export function incoming(
  req: IncomingMessage,
  res: ServerResponse,
  target: string = req.url ?? '/',
): Incoming {
  return new NodeIncoming(req, res, target)
}

// A class, because an object with getters costs more than the rest of an unpaid request together.
class NodeIncoming implements Incoming {
  readonly method: string
  readonly target: string
  readonly transport: Transport
  readonly remote: string | undefined
  readonly #req: IncomingMessage
  readonly #res: ServerResponse
  #signal: AbortSignal | undefined

  constructor(req: IncomingMessage, res: ServerResponse, target: string) {
    this.method = req.method ?? 'GET'
    this.target = target
    // Now: a socket that has closed no longer knows its peer.
    this.transport = transportOf(req.socket)
    this.remote = req.socket.remoteAddress
    this.#req = req
    this.#res = res
  }

  get headers(): this {
    return this
  }

  /** Not from `req.headers`, which drops the second line of some fields, nor from `headersDistinct`, which parses all. */
  get(name: string): string | null {
    const { rawHeaders } = this.#req
    const wanted = name.toLowerCase()
    let found: string | null = null
    for (let i = 0; i < rawHeaders.length; i += 2) {
      const key = rawHeaders[i] as string
      if (key.length !== wanted.length || key.toLowerCase() !== wanted) continue
      const value = rawHeaders[i + 1] as string
      found = found === null ? value : `${found}, ${value}`
    }
    return found
  }

  get signal(): AbortSignal {
    return (this.#signal ??= hangUp(this.#res))
  }

  body(limit: number): Promise<Uint8Array> {
    return readBody(this.#req, limit)
  }
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
