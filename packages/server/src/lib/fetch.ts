import { adapter, ledger } from './adapter.ts'
import { toResponse } from './answer.ts'
import { deliver } from './deliver.ts'
import type { Gate, Incoming, Payment, Transport } from './seam.ts'
import { peerOf, readBody, targetOf, waitUntilOf, type Beside } from './web.ts'

const payments = /* @__PURE__ */ ledger<Request>()

/**
 * The payment that let this request in.
 * @throws TypeError for a request that passed no gate
 */
export const payment = (request: Request): Payment => payments.get(request)

/** A fetch handler; what its runtime passes beside the request (`env`, `ctx`, `info`) is handed through. */
export type FetchHandler<Rest extends unknown[]> = (
  request: Request,
  ...rest: Rest
) => Response | Promise<Response>

/** Guards a fetch handler with a gate. */
export function paid(gate: Gate) {
  return <Rest extends unknown[]>(handler: FetchHandler<Rest>) =>
    async (request: Request, ...rest: Rest): Promise<Response> => {
      payments.check(request)
      const [env, context] = rest as Beside[]
      const incoming = new FetchIncoming(request, env, context)
      const opening = await gate(incoming)
      const decision = opening.kind === 'admit' ? await opening.admit() : opening
      if (decision.kind === 'respond') return toResponse(decision.answer)
      // What was read is gone from the request: the handler gets one that holds the same bytes.
      const body = request.bodyUsed ? await incoming.bytes : undefined
      const fresh = body ? new Request(request, { body: body as BodyInit }) : request
      if (decision.kind === 'pass') return handler(fresh, ...rest)
      payments.set(request, decision.grant.payment)
      payments.set(fresh, decision.grant.payment)
      return deliver(decision.grant, incoming, env, () => handler(fresh, ...rest))
    }
}

/** Makes gates for fetch handlers: `export default { fetch: mpp.charge({ amount: '0.01' })(handler) }`. */
export const createMpp = /* @__PURE__ */ adapter(paid)

class FetchIncoming implements Incoming {
  readonly method: string
  readonly target: string
  readonly headers: Headers
  readonly transport: Transport
  readonly remote: string | undefined
  /** The body, once a gate has asked for it. */
  bytes: Promise<Uint8Array> | undefined
  readonly #request: Request
  readonly #env: Beside | undefined
  readonly #context: Beside | undefined

  constructor(request: Request, env: Beside | undefined, context: Beside | undefined) {
    const { transport, remote } = peerOf(env, request)
    this.method = request.method
    // What came over the wire, where it shows: the URL of a Request was normalised.
    this.target = env?.incoming?.url ?? targetOf(request.url)
    this.headers = request.headers
    this.transport = transport
    this.remote = remote
    this.#request = request
    this.#env = env
    this.#context = context
  }

  get signal(): AbortSignal {
    return this.#request.signal
  }

  get waitUntil(): Incoming['waitUntil'] {
    return waitUntilOf(this.#context) ?? waitUntilOf(this.#env)
  }

  body(limit: number): Promise<Uint8Array> {
    return (this.bytes ??= readBody(this.#request, limit))
  }
}
