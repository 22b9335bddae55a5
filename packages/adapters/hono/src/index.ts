import {
  adapter,
  deliver,
  ledger,
  toResponse,
  type Answer,
  type Beside,
  type Gate,
  type Payment,
} from '@mppkit/server'
import type { Context, MiddlewareHandler } from 'hono'
import { matchedRoutes } from 'hono/route'
import { HonoIncoming } from './lib/incoming.ts'
import { belated, redress } from './lib/redress.ts'

// By Context: middleware such as hono/body-limit replaces `c.req.raw`.
const payments = ledger<Context>()

/**
 * The payment that let this request in.
 * @throws TypeError for a request that passed no gate
 */
export const payment = (c: Context): Payment => payments.get(c)

/** Turns a gate into Hono middleware. */
export function paid(gate: Gate): MiddlewareHandler {
  const middleware: MiddlewareHandler = async (c, next) => {
    payments.check(c)
    const request = new HonoIncoming(c)
    const opening = await gate(request)
    const decision = opening.kind === 'admit' ? await opening.admit() : opening
    if (decision.kind === 'respond') return respond(c, decision.answer, middleware)
    // Handlers may take the raw request, for a proxy, instead of what Hono keeps of it.
    if (c.req.raw.bodyUsed && c.req.bodyCache.arrayBuffer)
      c.req.raw = new Request(c.req.raw, { body: await c.req.arrayBuffer() })
    if (decision.kind === 'pass') return next()
    const env = c.env as Beside | undefined
    const grant = env?.outgoing ? decision.grant : belated(c, decision.grant)
    payments.set(c, grant.payment)
    const response = await deliver(grant, request, env, async () => {
      await next()
      return c.res
    })
    if (c.finalized && c.res !== response) {
      // Assigned over a live response, the new one would take on the old one's headers.
      c.res = undefined
      c.res = response
    }
    redress(c, grant)
    return response
  }
  return middleware
}

/** Makes gates for Hono: `app.use('/photos/*', mpp.charge({ amount: '0.01' }))`. */
export const createMpp = adapter(paid)

/** Through the context, so that headers which other middleware has set stay on the answer. */
function respond(c: Context, answer: Answer, middleware: MiddlewareHandler): Response {
  const { status, headers, body } = answer
  // Nobody has come before the gate: of a bare answer the runtime need not make a Headers object.
  if (c.req.routeIndex === 0 && !c.finalized && matchedRoutes(c)[0]?.handler === middleware)
    return toResponse(answer)
  const fields: Record<string, string | string[]> = {}
  for (const [name, value] of headers) {
    const held = fields[name]
    fields[name] = held === undefined ? value : [held, value].flat()
  }
  return c.newResponse(body as string | null, status as 200, fields)
}
