import type { IncomingMessage } from 'node:http'
import { incoming, isGone, remember, send, watch } from '@mppkit/node'
import { adapter, ledger, type Gate, type Mpp, type MppOptions, type Payment } from '@mppkit/server'
import type { RequestHandler } from 'express'

const payments = ledger<IncomingMessage>()

/**
 * The payment that let this request in.
 * @throws TypeError for a request that passed no gate
 */
export const payment = (req: IncomingMessage): Payment => payments.get(req)

/** Turns a gate into Express middleware. */
export function paid(gate: Gate): RequestHandler {
  return async (req, res, next) => {
    try {
      payments.check(req)
      const opening = await gate(incoming(req, res, req.originalUrl))
      const decision = opening.kind === 'admit' ? await opening.admit() : opening
      if (decision.kind === 'respond') return send(res, decision.answer)
      if (decision.kind === 'proceed') {
        payments.set(req, decision.grant.payment)
        // The client went while the payment was settled: nobody is there to be answered.
        if (isGone(req, res)) return await decision.grant.finish({ status: 499, reached: 'nothing' })
        watch(res, decision.grant)
      }
    } catch (error) {
      // Express goes on to the handler when it is given nothing, and takes "route" and "router" for directions.
      return next(error instanceof Error ? error : new Error('mppkit: the gate threw', { cause: error }))
    }
    next()
  }
}

const create = adapter(paid)

/** Makes gates for Express: `app.use('/photos', mpp.charge({ amount: '0.01' }))`. */
export function createMpp<const Methods extends MppOptions['methods']>(
  options: MppOptions<Methods>,
): ExpressMpp<Methods> {
  return { ...create(options), rawBody: (req, _res, bytes) => remember(req, bytes) }
}

/** What Express needs beside the gates. */
export interface ExpressMpp<Methods extends MppOptions['methods']> extends Mpp<RequestHandler, Methods> {
  /** Keeps the raw bytes for gates that stand behind a parser: `express.json({ verify: mpp.rawBody, inflate: false })`. */
  rawBody(this: void, req: IncomingMessage, res: unknown, bytes: Uint8Array): void
}
