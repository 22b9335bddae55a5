import {
  adapter,
  ledger,
  toResponse,
  twoGates,
  type Answer,
  type Gate,
  type Opening,
  type Payment,
} from '@mppkit/server'
import { answer, type Answering, type Paid } from './lib/answer.ts'
import { ElysiaIncoming, type Asked } from './lib/incoming.ts'

const payments = /* @__PURE__ */ ledger<Request>()

/**
 * The payment that let this request in.
 * @throws TypeError for a request that passed no gate
 */
export const payment = ({ request }: { readonly request: Request }): Payment => payments.get(request)

/** Hooks for Elysia: the third argument of a route, or the first of `guard()`. */
export interface Hooks {
  parse(context: Asked): Promise<unknown>
  /** Answers, too; but no answer of a gate has the shape that a route promises for its own. */
  beforeHandle(context: Asked & Answering): Promise<void>
  mapResponse(context: Answering): Promise<Response | undefined>
  afterResponse(context: Answering): void
  error(context: Answering): void
}

/** Which gate has opened for a request, and what it said. */
interface Opened {
  gate: Gate
  incoming: ElysiaIncoming
  opening: Promise<Opening>
  paid?: Paid
}

const opened = /* @__PURE__ */ new WeakMap<Request, Opened>()
/** Requests that a second gate has met before the first one let them in. */
const clashing = /* @__PURE__ */ new WeakSet<Request>()

/** Turns a gate into Elysia hooks. */
export function paid(gate: Gate): Hooks {
  const hooks: Hooks = {
    // Before the parser, so that the gate can read the bytes; it cannot answer here, nor throw what Elysia would change.
    async parse(context) {
      const { incoming, opening } = open(gate, context)
      await opening.catch(() => undefined)
      // Something else than `undefined`, so that nobody parses what must not be read.
      return incoming.refused ? {} : undefined
    },
    async beforeHandle(context) {
      const { request } = context
      payments.check(request)
      const state = open(gate, context)
      if (state.gate !== gate || clashing.has(request)) throw twoGates()
      const opening = await state.opening.catch(rethrow)
      const decision = opening.kind === 'admit' ? await opening.admit() : opening
      if (decision.kind === 'respond') return respond(decision.answer, context) as never
      if (decision.kind === 'pass') return
      payments.set(request, decision.grant.payment)
      state.paid = answer(context, decision.grant, state.incoming)
      // Nobody is there to be answered.
      if (state.paid.gone) return new Response(null, { status: 499 }) as never
    },
    async mapResponse({ request }) {
      return opened.get(request)?.paid?.mapped()
    },
    afterResponse: ({ request }) => opened.get(request)?.paid?.ended(),
    error: ({ request }) => opened.get(request)?.paid?.failed(),
  }
  for (const hook of Object.values(hooks) as object[])
    Object.defineProperty(hook, 'toString', { value: source })
  return hooks
}

/** Makes gates for Elysia: `app.get('/photo', handler, mpp.charge({ amount: '0.01' }))`. */
export const createMpp = /* @__PURE__ */ adapter(paid)

/**
 * Elysia reads the source of hooks to learn what to await, whose answer counts, and which parts of the context to make.
 * This tells it the same whatever a bundler has made of ours; without a `return` it would ignore the gate's answer.
 */
const source = (): string => 'async function gate(c){return[c.set,c.server]}'

/** Opens the gate, once for a request. */
function open(gate: Gate, context: Asked): Opened {
  const { request } = context
  const first = opened.get(request)
  if (first && first.gate !== gate) clashing.add(request)
  if (first) return first
  const incoming = new ElysiaIncoming(context)
  const state = { gate, incoming, opening: gate(incoming) }
  opened.set(request, state)
  return state
}

/** Elysia leaves a request unanswered whose hook throws nothing at all. */
function rethrow(error: unknown): never {
  throw error instanceof Error ? error : new Error('mppkit: the gate threw', { cause: error })
}

function respond(given: Answer, { set }: Answering): Response {
  const response = toResponse(given)
  // What Elysia makes of it has a body of unknown length.
  if (typeof given.body === 'string')
    response.headers.set('content-length', String(new TextEncoder().encode(given.body).length))
  const cookies = response.headers.getSetCookie()
  if (cookies.length > 1) {
    // On Node, Elysia drops all but one of a Response whose headers it has to merge with others.
    response.headers.delete('set-cookie')
    set.headers['set-cookie'] = cookies
  }
  return response
}
