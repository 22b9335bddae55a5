import { sideTable } from '@mppkit/server'
import { statusOf } from './made.ts'
import { REMEDY } from './replaced.ts'
import type { Answering } from './sending.ts'

interface Barred {
  answer: unknown
  /** What stood for an error before there was one. */
  readonly error: unknown
  hasSpoken(context: Answering): boolean
}

const barred = /* @__PURE__ */ sideTable<Answering, Barred>()

/**
 * Lets nothing but refusals and errors out until the gate has spoken: a hook that stands in its place would give the
 * content away, and a cache in somebody's hook would sell to whoever shows a credential that nobody has looked at.
 */
export function bar(context: Answering, hasSpoken: Barred['hasSpoken']): void {
  barred.set(context, { answer: undefined, error: context.error, hasSpoken })
  // Compiled or not, Elysia puts every answer of a hook or a handler there, before anything of it is sent.
  Object.defineProperty(context, 'response', RESPONSE)
}

// The same two functions for all: with closures each context would have a shape of its own, which costs more than the gate.
const RESPONSE: PropertyDescriptor & ThisType<Answering> = {
  enumerable: true,
  configurable: true,
  get() {
    return barred.get(this)?.answer
  },
  set(next: unknown) {
    const state = barred.get(this)!
    const hasFailed = this.error !== state.error
    if (!hasFailed && !state.hasSpoken(this) && statusOf({ set: this.set, response: next }, false) < 400)
      throw new TypeError(UNSPOKEN)
    state.answer = next
  },
}

/** The end of `bar`, for those who ask whether there is an answer already. */
export function unbar(context: Answering): void {
  delete context.response
}

const UNSPOKEN =
  'mppkit: a guarded route was about to answer before its gate had spoken: another hook has answered, or stands where ' +
  `that of the gate was. Hooks that answer without a payment belong into onRequest, or behind the gate. ${REMEDY}`
