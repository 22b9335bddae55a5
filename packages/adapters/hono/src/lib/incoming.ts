import {
  BodyError,
  peerOf,
  readBody,
  targetOf,
  waitUntilOf,
  type Beside,
  type Incoming,
  type Transport,
} from '@mppkit/server'
import type { Context } from 'hono'

// A class, because an object with getters costs more than the rest of an unpaid request together.
/** Hono's request, as the gate sees it. */
export class HonoIncoming implements Incoming {
  readonly method: string
  readonly target: string
  readonly headers: Headers
  readonly transport: Transport
  readonly remote: string | undefined
  readonly #c: Context

  constructor(c: Context) {
    const { method, url, headers } = c.req.raw
    const { transport, remote } = peerOf(c.env as Beside | undefined, c.req.raw)
    this.method = method
    // What came over the wire, where it shows: `url` was normalised, and app.mount() cuts its prefix off.
    this.target = (c.env as Beside | undefined)?.incoming?.url ?? targetOf(url)
    this.headers = headers
    this.transport = transport
    this.remote = remote
    this.#c = c
  }

  get signal(): AbortSignal {
    return this.#c.req.raw.signal
  }

  get waitUntil(): Incoming['waitUntil'] {
    const env = this.#c.env as Beside | undefined
    // The getter throws where there is no such context, which is dear; on Node there never is.
    if (env?.outgoing) return undefined
    try {
      return waitUntilOf(this.#c.executionCtx)
    } catch {
      return waitUntilOf(env)
    }
  }

  /** Reads into Hono's own cache, so that the handler parses the body as if nobody had read it. */
  async body(limit: number): Promise<Uint8Array> {
    const { req } = this.#c
    const [cached] = Object.keys(req.bodyCache)
    // A parsed form does not lead back to the bytes that came: its boundary would be another.
    if (cached === 'formData') throw new BodyError('consumed', CONSUMED)
    const bytes = await (cached === undefined ? readBody(req.raw, limit) : req.bytes())
    if (bytes.length > limit)
      throw new BodyError('too-large', `The body is larger than ${String(limit)} bytes.`)
    // Hono keeps promises there, though its type names what they resolve to.
    if (cached === undefined) req.bodyCache.arrayBuffer = Promise.resolve(bytes.slice().buffer) as never
    return bytes
  }
}

const CONSUMED =
  'mppkit: c.req.formData() was called before the gate, so a payment cannot be bound to the body. Mount the gate before ' +
  'it, or read the form with c.req.parseBody(), which keeps the bytes'
