import { BodyError } from '@mppkit/server'

/** Fastify goes on when it is given nothing. */
export function fault(error: unknown): Error {
  if (error instanceof BodyError) return new BodyError(error.reason, REPLACED)
  return error instanceof Error ? error : new Error('mppkit: the gate threw', { cause: error })
}

const REPLACED =
  'mppkit: a preParsing hook took the body of this request before the gate saw it, so a payment cannot be bound to it. ' +
  'Register the gate before it: it gives the bytes back'

/** Of a route's options that hold half a gate. */
export const HALVED =
  'mppkit: the options of a guarded route have their own preParsing or preHandler, which replaced that of the gate. Put ' +
  'both into an array: preHandler: [check, gate.preHandler]'
