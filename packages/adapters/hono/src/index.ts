import {
  adapter,
  BodyError,
  deliver,
  ledger,
  peerOf,
  readBody,
  targetOf,
  toResponse,
  waitUntilOf,
  type Beside,
  type Gate,
  type Incoming,
  type Payment,
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
    const request = incoming(c)
    const opening = await gate(request)
    const decision = opening.kind === 'admit' ? await opening.admit() : opening
    if (decision.kind === 'respond') return toResponse(decision.answer)
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

function incoming(c: Context): Incoming {
  const { raw } = c.req
  return {
    method: raw.method,
    target: targetOf(raw.url),
    headers: raw.headers,
    ...peerOf(c.env as Beside | undefined),
    get signal() {
      return raw.signal
    },
    get waitUntil() {
      return waitUntilOf(executionContext(c))
    },
    body: (limit) => body(c, limit),
  }
}

/** Reads into Hono's own cache, so that the handler parses the body as if nobody had read it. */
async function body(c: Context, limit: number): Promise<Uint8Array> {
  const { raw, bodyCache } = c.req
  const [cached] = Object.keys(bodyCache)
  if (cached === undefined) {
    const bytes = await readBody(raw, limit)
    // Hono keeps promises here, though its type names what they resolve to.
    bodyCache.arrayBuffer = Promise.resolve(bytes.slice().buffer) as never
    return bytes
  }
  // A parsed form does not lead back to the bytes that came: its boundary would be another.
  if (cached === 'formData') throw new BodyError('consumed', CONSUMED)
  const bytes = new Uint8Array(await c.req.arrayBuffer())
  if (bytes.length > limit) throw new BodyError('too-large', `The body is larger than ${String(limit)} bytes.`)
  return bytes
}

const CONSUMED =
  'mppkit: c.req.formData() was called before the gate, so a payment cannot be bound to the body. Mount the gate before ' +
  'it, or read the form with c.req.parseBody(), which keeps the bytes'

function executionContext(c: Context): Beside | undefined {
  // The getter throws where there is none, which is dear; on Node there never is.
  if ((c.env as Beside | undefined)?.outgoing) return undefined
  try {
    return c.executionCtx
  } catch {
    return undefined
  }
}
