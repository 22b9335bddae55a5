import type { NextRequest } from 'next/server.js'
import { adapter, delivery, ledger, toResponse, twoGates } from '@mppkit/server'
import type { Gate, Mpp, MppOptions, Payment } from '@mppkit/server'
import { answered } from './lib/answered.ts'
import { Ending } from './lib/ending.ts'
import { incoming } from './lib/incoming.ts'
import { refill } from './lib/refill.ts'
import { replace, storeOf } from './lib/shared.ts'

const payments = /* @__PURE__ */ ledger<Request>()
// Handlers that have a gate: another one around them would only show when somebody has paid.
const guarded = /* @__PURE__ */ new WeakSet<object>()

/**
 * The payment that let this request in.
 * @throws TypeError for a request that passed no gate
 */
export const payment = (request: Request): Payment => payments.get(request)

/** What Next passes beside the request. */
interface Context {
  params: Promise<Record<string, string | string[] | undefined>>
}

type Answering = Response | Promise<Response>

/** The handlers of a route file. */
interface Handlers {
  GET?(request: NextRequest, context: Context): Answering
  HEAD?(request: NextRequest, context: Context): Answering
  POST?(request: NextRequest, context: Context): Answering
  PUT?(request: NextRequest, context: Context): Answering
  PATCH?(request: NextRequest, context: Context): Answering
  DELETE?(request: NextRequest, context: Context): Answering
}

type Guarded<Handler> = Handler extends (...args: infer Args) => unknown
  ? (...args: Args) => Promise<Response>
  : never

/** Guards route handlers. */
export interface Guard {
  /** Guards one handler; both of its arguments are kept. */
  <R extends Request = NextRequest, Rest extends unknown[] = [Context]>(
    handler: (request: R, ...rest: Rest) => Answering,
  ): (request: R, ...rest: Rest) => Promise<Response>
  /** Guards all handlers of a file; `OPTIONS`, for the preflights of other origins, comes with them. */
  all<H extends Handlers>(
    handlers: H,
  ): { [Method in keyof H]: Guarded<H[Method]> } & { OPTIONS: (request: Request) => Promise<Response> }
}

/** Guards route handlers with a gate. */
export function paid(gate: Gate): Guard {
  const guard = <R extends Request, Rest extends unknown[]>(
    handler: (request: R, ...rest: Rest) => Answering,
  ): ((request: R, ...rest: Rest) => Promise<Response>) => {
    if (typeof handler !== 'function')
      throw new TypeError('mppkit: what is guarded is a route handler: mpp.charge(…)(async (request) => …)')
    if (guarded.has(handler)) throw twoGates()
    const wrapped = (request: R, ...rest: Rest): Promise<Response> =>
      serve(gate, request, () => handler(request, ...rest))
    guarded.add(wrapped)
    return wrapped
  }
  const all = (handlers: object): object => {
    const entries = Object.entries(handlers).map(([method, handler]) => {
      if (METHODS.includes(method)) return [method, guard(handler as never)] as const
      throw new TypeError(
        `mppkit: all() guards ${METHODS.join(', ')}, not ${method}. It answers OPTIONS itself, and hands that out`,
      )
    })
    return { ...Object.fromEntries(entries), OPTIONS: guard(() => new Response(null, { status: 204 })) }
  }
  return Object.assign(guard, { all }) as Guard
}

const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE']

async function serve(gate: Gate, request: Request, run: () => Answering): Promise<Response> {
  payments.check(request)
  const shown = incoming(request)
  const opening = await gate(shown)
  const decision = opening.kind === 'admit' ? await opening.admit() : opening
  if (decision.kind === 'respond') return toResponse(decision.answer)
  if (shown.bytes && request.bodyUsed) refill(request, await shown.bytes)
  if (decision.kind === 'pass') return run()
  const { grant } = decision
  payments.set(request, grant.payment)
  const ending = new Ending(request)
  const { gone, report, send } = delivery(grant, shown, ending.told ? { outgoing: ending } : undefined)
  if (gone) return new Response(null, { status: 499 })
  // Next never touches the body of an answer whose client has left by then.
  ending.once('close', () => report(ending.headersSent ? ending.statusCode : 499, 'some'))
  try {
    return ending.begin(await send(await answered(run, request)))
  } catch (error) {
    if (!ending.told) report(500, 'nothing')
    throw error
  }
}

const create = /* @__PURE__ */ adapter(paid)

/**
 * Makes gates for route handlers: `export const GET = mpp.charge({ amount: '0.01' })(async (request) => …)`.
 * Under `next dev` the origin may be left out.
 */
export function createMpp<const Methods extends MppOptions['methods']>(
  options: MppOptions<Methods>,
): Mpp<Guard, Methods> {
  if (typeof options !== 'object' || options === null) return create(options)
  const developing = process.env.NODE_ENV === 'development'
  const { realm, store = storeOf(realm), origin = developing ? 'http://localhost' : undefined } = options
  const mpp = create({ ...options, store, ...(origin !== undefined && { origin }) })
  if (developing) replace(`${realm} ${options.methods.map(({ name }) => name).join()}`, mpp)
  return mpp
}
