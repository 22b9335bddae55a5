import { sideTable, type Grant } from '@mppkit/server'
import type { Context } from 'hono'

const grants = sideTable<Context, Grant>()

/**
 * Keeps the headers of a grant true where somebody in front of the gate puts another answer in the place of a paid one:
 * Hono lets it inherit all headers, and an error must not carry a receipt.
 */
export function redress(c: Context, grant: Grant): void {
  grants.set(c, grant)
  Object.defineProperty(c, 'res', RES)
}

// The same two functions for all: with closures each context would have a shape of its own, which costs more than the gate.
const RES: PropertyDescriptor & ThisType<Context> = {
  configurable: true,
  get() {
    return Reflect.get(Object.getPrototypeOf(this) as Context, 'res', this)
  },
  set(next: Response | undefined) {
    const { body } = this.res
    Reflect.set(Object.getPrototypeOf(this) as Context, 'res', next, this)
    const grant = grants.get(this)
    if (!next || !grant) return
    const { headers, status } = this.res
    for (const [name] of grant.headers(200)) headers.delete(name)
    for (const [name, value] of grant.headers(status)) headers.set(name, value)
    // Nobody will read it to its end, nor say so.
    if (status >= 400 && body !== next.body && body?.locked === false) body.cancel().catch(() => undefined)
  },
}

/** Of the queue of promises: more than a long chain of middleware takes to come to its end. */
const TURNS = 100

/**
 * For runtimes that do not tell what becomes of an answer: waits for middleware in front of the gate, which may yet fail,
 * so that what counts is the status that goes out. Middleware that fails only after it has waited itself comes too late.
 */
export function belated(c: Context, grant: Grant): Grant {
  return {
    ...grant,
    async finish(outcome) {
      if (outcome.status >= 400 || outcome.reached !== 'all') return grant.finish(outcome)
      // Not until the next turn of the loop: by then the buyer may have come again, and would find his payment held.
      for (let turn = 0; turn < TURNS; turn++) await Promise.resolve()
      await grant.finish({ ...outcome, status: c.res.status })
    },
  }
}
