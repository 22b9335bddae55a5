import {
  adapter,
  BodyError,
  deliver,
  ledger,
  peerOf,
  readBody,
  targetOf,
  waitUntilOf,
  type Answer,
  type Beside,
  type Gate,
  type Incoming,
  type Payment,
  type Transport,
} from '@mppkit/server'
import type { Context, MiddlewareHandler } from 'hono'

// By Context: middleware such as hono/body-limit replaces `c.req.raw`.
const payments = ledger<Context>()

/**
 * The payment that let this request in.
 * @throws TypeError for a request that passed no gate
 */
export const payment = (c: Context): Payment => payments.get(c)

/** Turns a gate into Hono middleware. */
export function paid(gate: Gate): MiddlewareHandler {
  return async (c, next) => {
    payments.check(c)
    const request = new HonoIncoming(c)
    const opening = await gate(request)
    const decision = opening.kind === 'admit' ? await opening.admit() : opening
    if (decision.kind === 'respond') return respond(c, decision.answer)
    // Handlers may take the raw request, for a proxy, instead of what Hono keeps of it.
    if (c.req.raw.bodyUsed && c.req.bodyCache.arrayBuffer)
      c.req.raw = new Request(c.req.raw, { body: await c.req.arrayBuffer() })
    if (decision.kind === 'pass') return next()
    payments.set(c, decision.grant.payment)
    const response = await deliver(decision.grant, request, c.env as Beside | undefined, async () => {
      await next()
      return c.res
    })
    if (c.finalized && c.res !== response) {
      // Assigned over a live response, the new one would take on the old one's headers.
      c.res = undefined
      c.res = response
    }
    return response
  }
}

/** Makes gates for Hono: `app.use('/photos/*', mpp.charge({ amount: '0.01' }))`. */
export const createMpp = adapter(paid)

/** Through the context, so that headers which other middleware has set stay on the answer. */
function respond(c: Context, { status, headers, body }: Answer): Response {
  const fields: Record<string, string | string[]> = {}
  for (const [name, value] of headers) {
    const held = fields[name]
    fields[name] = held === undefined ? value : [held, value].flat()
  }
  return c.newResponse(body as string | null, status as 200, fields)
}

// A class, because an object with getters costs more than the rest of an unpaid request together.
class HonoIncoming implements Incoming {
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
