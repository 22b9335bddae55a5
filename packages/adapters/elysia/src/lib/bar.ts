import { statusOf } from './made.ts'
import { REMEDY } from './replaced.ts'
import type { Answering } from './sending.ts'

/**
 * Lets nothing but refusals and errors out until the gate has spoken: a hook that stands in its place would give the
 * content away, and a cache in somebody's hook would sell to whoever shows a credential that nobody has looked at.
 */
export function bar(context: Answering, hasSpoken: () => boolean): void {
  const { error } = context
  let answer: unknown
  // Compiled or not, Elysia puts every answer of a hook or a handler there, before anything of it is sent.
  Object.defineProperty(context, 'response', {
    get: () => answer,
    set(next: unknown) {
      const hasFailed = context.error !== error
      if (!hasFailed && !hasSpoken() && statusOf({ set: context.set, response: next }, false) < 400)
        throw new TypeError(UNSPOKEN)
      answer = next
    },
    enumerable: true,
    configurable: true,
  })
}

/** The end of `bar`, for those who ask whether there is an answer already. */
export function unbar(context: Answering): void {
  delete context.response
}

const UNSPOKEN =
  'mppkit: a guarded route was about to answer before its gate had spoken: another hook has answered, or stands where ' +
  `that of the gate was. Hooks that answer without a payment belong into onRequest, or behind the gate. ${REMEDY}`
