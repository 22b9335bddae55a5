import { adapter, ledger } from './adapter.ts'
import { toResponse } from './answer.ts'
import { BodyError, type Gate, type Grant, type Incoming, type Outcome, type Payment, type Transport } from './seam.ts'

const payments = ledger<Request>()

/**
 * The payment that let this request in.
 * @throws TypeError for a request that passed no gate
 */
export const payment = (request: Request): Payment => payments.get(request)

/** A fetch handler: what else its runtime passes (`env`, `ctx`, `info`) is handed through. */
export type FetchHandler<Rest extends unknown[]> = (request: Request, ...rest: Rest) => Response | Promise<Response>

/** Guards a fetch handler with a gate. */
export function paid(gate: Gate) {
  return <Rest extends unknown[]>(handler: FetchHandler<Rest>) =>
    async (request: Request, ...rest: Rest): Promise<Response> => {
      payments.check(request)
      const [env, context] = rest as Beside[]
      let body: Promise<Uint8Array> | undefined
      const incoming: Incoming = {
        method: request.method,
        target: targetOf(request.url),
        headers: request.headers,
        ...peerOf(env),
        get signal() {
          return request.signal
        },
        get waitUntil() {
          return waitUntilOf(context, env)
        },
        body: (limit) => (body ??= readBody(request, limit)),
      }
      const opening = await gate(incoming)
      const decision = opening.kind === 'admit' ? await opening.admit() : opening
      if (decision.kind === 'respond') return toResponse(decision.answer)
      // What was read is gone from the request; the handler gets one that holds the same bytes.
      const fresh = body ? new Request(request, { body: (await body) as BodyInit }) : request
      if (decision.kind === 'pass') return handler(fresh, ...rest)
      payments.set(request, decision.grant.payment)
      payments.set(fresh, decision.grant.payment)
      return deliver(decision.grant, incoming, env, async () => handler(fresh, ...rest))
    }
}

/** Makes gates for fetch handlers: `export default { fetch: mpp.charge({ amount: '0.01' })(handler) }`. */
export const createMpp = adapter(paid)

/** What runtimes pass to a fetch handler beside the request; everything may be missing. */
export interface Beside {
  /** `@hono/node-server` */
  incoming?: { socket?: Socket }
  outgoing?: Outgoing
  /** Deno: settles when the answer has been sent, or cannot be. */
  completed?: Promise<void>
  /** Workers, and others after them. */
  waitUntil?(work: Promise<unknown>): void
}

interface Socket {
  encrypted?: boolean
  remoteAddress?: string | undefined
  destroyed?: boolean
}

interface Outgoing {
  destroyed: boolean
  headersSent: boolean
  statusCode: number
  once(event: 'finish' | 'close', listener: () => void): unknown
}
