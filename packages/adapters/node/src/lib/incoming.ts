import type { IncomingMessage, ServerResponse } from 'node:http'
import { onceClosed, transportOf, type Incoming, type Transport } from '@mppkit/server'
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
    return (this.#signal ??= hangUp(this.#req, this.#res))
  }

  body(limit: number): Promise<Uint8Array> {
    return readBody(this.#req, limit)
  }
}

/** Whether the client went before its answer was complete. */
export function isGone(req: IncomingMessage, res: ServerResponse): boolean {
  // A request whose upload was half read has no socket any more when its answer ends; HTTP/2 lends one that may throw.
  return res.destroyed || (req.httpVersionMajor === 1 && req.socket?.destroyed)
}

/** Fires when the client goes before its answer is complete. */
function hangUp(req: IncomingMessage, res: ServerResponse): AbortSignal {
  const controller = new AbortController()
  const closed = (): void => {
    unheard()
    if (!res.writableFinished) controller.abort()
  }
  const isLeft = isGone(req, res)
  const unheard = onceClosed(isLeft || req.httpVersionMajor > 1 ? undefined : req.socket, closed)
  if (isLeft) closed()
  else res.once('close', closed)
  return controller.signal
}
