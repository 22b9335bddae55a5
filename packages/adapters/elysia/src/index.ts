import { adapter, ledger, sideTable, twoGates, type Gate, type Opening, type Payment } from '@mppkit/server'
import { answer } from './lib/answer.ts'
import { bar, unbar } from './lib/bar.ts'
import { besideOf, ElysiaIncoming, type Asked } from './lib/incoming.ts'
import { lasting } from './lib/lasting.ts'
import { replaced, sentry } from './lib/replaced.ts'
import { respond } from './lib/respond.ts'
import type { Answering, Sending } from './lib/sending.ts'
import { uncalled } from './lib/uncalled.ts'

const payments = /* @__PURE__ */ ledger<Request>()

/**
 * The payment that let this request in.
 * @throws TypeError for a request that passed no gate
 */
export const payment = ({ request }: { readonly request: Request }): Payment => payments.get(request)

/** Hooks for Elysia: the third argument of a route, or the first of `guard()`. */
export interface Hooks {
  parse(context: Asked & Answering): Promise<unknown>
  /** Finds out whether the gate is there at all: a hook of the route's own may have replaced it. */
  resolve(context: Answering): void
  /** Answers, too; but no answer of a gate has the shape that a route promises for its own. */
  beforeHandle(context: Asked & Answering): Promise<void>
  mapResponse(context: Answering): Promise<Response | undefined>
  afterResponse(context: Answering): void
}

/** Which gate has opened for a request, and what it said. */
interface Opened {
  gate: Gate
  incoming: ElysiaIncoming
  opening: Promise<Opening>
  /** A second gate has met the request before this one let it in. */
  clashes: boolean
  /** From now on, what is answered is the gate's to answer for. */
  spoken: boolean
  sending?: Sending
}

const opened = /* @__PURE__ */ sideTable<Request, Opened>()

/** Turns a gate into Elysia hooks. */
export function paid(gate: Gate): Hooks {
  const { check, expect, met } = sentry()
  const hooks: Hooks = {
    // Before the parser, so that the gate can read the bytes; it cannot answer here, nor throw what Elysia would change.
    async parse(context) {
      const { incoming, opening } = open(gate, context)
      bar(context, hasSpoken)
      await opening.catch(() => undefined)
      // Something else than `undefined`, so that nobody parses what must not be read.
      return incoming.refused ? {} : undefined
    },
    resolve(this: unknown, context) {
      // Compiled, Elysia calls a hook on the list that it stands in; the gate is in the same one.
      if (!Array.isArray(this)) return hasSpoken(context) ? undefined : bar(context, hasSpoken)
      if (!this.includes(beforeHandle)) throw replaced()
    },
    beforeHandle,
    async mapResponse({ request }) {
      return opened.get(request)?.sending?.mapped() as never
    },
    afterResponse({ request }) {
      met()
      opened.get(request)?.sending?.ended?.()
    },
  }
  return lasting(hooks)

  async function beforeHandle(context: Asked & Answering): Promise<void> {
    const { request } = context
    check()
    payments.check(request)
    const state = open(gate, context)
    if (state.gate !== gate || state.clashes) throw twoGates()
    const opening = await state.opening.catch(rethrow)
    const decision = opening.kind === 'admit' ? await opening.admit() : opening
    state.spoken = true
    if (decision.kind === 'respond') {
      // Node itself tells when an answer has ended.
      if (!besideOf(request)) expect(context)
      const { response, ...sending } = respond(decision.answer, context)
      state.sending = sending
      return response as never
    }
    if (decision.kind === 'pass') return
    payments.set(request, decision.grant.payment)
    unbar(context)
    const { gone, ...sending } = answer(context, decision.grant, state.incoming)
    state.sending = sending
    // Nobody is there to be answered.
    if (gone) return new Response(null, { status: 499 }) as never
  }
}

/** Makes gates for Elysia: `app.get('/photo', handler, mpp.charge({ amount: '0.01' }))`. */
export const createMpp = /* @__PURE__ */ uncalled(adapter(paid))

function hasSpoken({ request }: Answering): boolean {
  return opened.get(request)?.spoken === true
}

/** Opens the gate, once for a request. */
function open(gate: Gate, context: Asked): Opened {
  const { request } = context
  const first = opened.get(request)
  if (first && first.gate !== gate) first.clashes = true
  if (first) return first
  const incoming = new ElysiaIncoming(context)
  const state = { gate, incoming, opening: gate(incoming), clashes: false, spoken: false }
  opened.set(request, state)
  return state
}

/** Elysia leaves a request unanswered whose hook throws nothing at all. */
function rethrow(error: unknown): never {
  throw error instanceof Error ? error : new Error('mppkit: the gate threw', { cause: error })
}
