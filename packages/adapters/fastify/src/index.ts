import type { IncomingMessage } from 'node:http'
import { Readable } from 'node:stream'
import { incoming, isGone, readBody, watch } from '@mppkit/node'
import { adapter, ledger, sideTable, twoGates, type Gate, type Opening, type Payment } from '@mppkit/server'
import type { FastifyPluginCallback, FastifyReply, FastifyRequest, RequestPayload } from 'fastify'
import { bar } from './lib/bar.ts'
import { fault, HALVED } from './lib/faults.ts'
import { respond } from './lib/respond.ts'
import { routeHooks, scopePlugin, type Hooks } from './lib/scopes.ts'

const payments = ledger<object>()
const openings = sideTable<object, Exclude<Opening, { kind: 'respond' }>>()

/**
 * The payment that let this request in.
 * @throws TypeError for a request that passed no gate
 */
export const payment = (request: { readonly raw: object }): Payment => payments.get(request.raw)

/** Route options that hold a gate. Typed as loosely as can be, so that the route's own types stay what they are. */
export interface Guard {
  /** Answers whoever has no usable credential, before the body is parsed. */
  readonly preParsing: (request: object, reply: object, payload: RequestPayload, done: Done) => void
  /** Admits the payment, once the input is valid. */
  readonly preHandler: (request: object, reply: object, done: Done) => void
  /** Guards every route of the scope that it is registered in, and of those registered below it afterwards. */
  readonly plugin: FastifyPluginCallback
}

type Done = (error?: Error) => void

/** Turns a gate into route options: `app.get('/photo', paid(gate), handler)`. */
export function paid(gate: Gate): Guard {
  const hooks: Hooks = {
    preParsing(request, reply, payload, done) {
      if (request.is404) return done()
      open(request, reply, payload).then(
        (next) => next && done(null, next),
        (error: unknown) => done(fault(error)),
      )
    },
    preHandler(request, reply, done) {
      if (request.is404) return done()
      admit(request, reply).then(
        (admitted) => admitted && done(),
        (error: unknown) => done(fault(error)),
      )
    },
  }
  const { whole, ...route } = routeHooks(hooks)
  // Not enumerable: where the options are spread, a plugin would be one key too many.
  return Object.defineProperty(route as unknown as Guard, 'plugin', { value: scopePlugin(hooks) })

  /** The payload to be parsed, or undefined where the gate has answered. */
  async function open(
    { raw }: FastifyRequest,
    reply: FastifyReply,
    payload: RequestPayload,
  ): Promise<RequestPayload | undefined> {
    if (!whole()) throw new TypeError(HALVED)
    if (openings.get(raw)) throw twoGates()
    const opening = await gate(incoming(raw, reply.raw))
    if (opening.kind === 'respond') return respond(reply, opening.answer)
    openings.set(raw, opening)
    if (opening.kind === 'admit') bar(reply, () => openings.get(raw) === undefined)
    return payload === raw && raw.readableEnded ? givenBack(raw) : payload
  }

  async function admit({ raw }: FastifyRequest, reply: FastifyReply): Promise<boolean> {
    const opening = openings.get(raw)
    if (!opening) throw new TypeError(HALVED)
    if (opening.kind === 'pass') return true
    if (isOver(reply)) return false
    const decision = await opening.admit()
    openings.set(raw, undefined)
    if (decision.kind === 'respond') {
      respond(reply, decision.answer)
      return false
    }
    const { grant } = decision
    payments.set(raw, grant.payment)
    // While the payment was settled the client went, or the route's time was up: nobody is there to be answered.
    if (isOver(reply)) await grant.finish({ status: 499, reached: 'nothing' })
    else watch(reply.raw, grant)
    return !isOver(reply)
  }
}

/** Makes gates for Fastify: `app.get('/photo', mpp.charge({ amount: '0.01' }), handler)`. */
export const createMpp = adapter(paid)

function isOver({ raw, request, sent }: FastifyReply): boolean {
  return sent || isGone(request.raw, raw)
}

/** HTTP/2 and `inject()` take no bytes back, but Fastify takes another stream. */
async function givenBack(raw: IncomingMessage): Promise<Readable> {
  return Readable.from([await readBody(raw, Infinity)], { objectMode: false })
}
