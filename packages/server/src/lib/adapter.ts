import type { OnceMethod } from '@mppkit/core'
import { createGates, type Gates, type MppOptions } from './gates.ts'
import { writeOpenApi, type Api, type Described } from './openapi.ts'
import type { Price } from './price.ts'
import type { Gate, Payment } from './seam.ts'
import { sideTable } from './side-table.ts'

type Methods = readonly OnceMethod<never>[]

/** What `createMpp` returns: makers of whatever the framework guards routes with, and the operator's calls. */
export interface Mpp<Guard, M extends Methods = Methods> extends Omit<Gates<M>, 'charge' | 'openapi'> {
  /** Guards a route: one payment per request. */
  charge(price: Price<M>): Guard
  /**
   * Describes the API, for `/openapi.json` and `/llms.txt`: an operation is paid for if what `charge` returned for its
   * route stands there. Throws `TypeError` with the remedy.
   */
  openapi(api: Api<Guard>): Described
}

/** Turns an adapter's `paid` into its `createMpp`. */
export function adapter<Guard extends object>(
  paid: (gate: Gate) => Guard,
): <const M extends Methods>(options: MppOptions<M>) => Mpp<Guard, M> {
  return (options) => {
    const gates = createGates(options)
    // Beside the guards, not on them: frameworks read what they are given.
    const made = new WeakMap<object, Gate>()
    return {
      ...gates,
      charge(price) {
        const gate = gates.charge(price)
        const guard = paid(gate)
        made.set(guard, gate)
        return guard
      },
      openapi: (api) => writeOpenApi(api, (guard) => made.get(guard), options),
    }
  }
}

const TWO_GATES =
  'mppkit: two gates guard this request. One payment buys one request: keep one gate, and let its price depend on the ' +
  'route with `amount: (request) => …`. Let it name the cheap targets and return the dear price for everything else'

/** The programmer's fault of guarding one request twice, for frameworks that can see it before there is a request. */
export function twoGates(): TypeError {
  return new TypeError(TWO_GATES)
}

/** Which request was paid for: keeps payments beside the framework's own request object, never on it. */
export interface Ledger<Key extends object> {
  /** Throws a `TypeError` when another gate has already let this request in. */
  check(key: Key): void
  set(key: Key, payment: Payment): void
  /** Throws a `TypeError` on a request that passed no gate. */
  get(key: Key): Payment
}

export function ledger<Key extends object>(): Ledger<Key> {
  const payments = sideTable<Key, Payment>()
  return {
    check(key) {
      if (payments.get(key)) throw twoGates()
    },
    set: (key, payment) => payments.set(key, payment),
    get(key) {
      const payment = payments.get(key)
      if (!payment)
        throw new TypeError(
          'mppkit: payment() was called for a request that passed no gate. Guard the route with mpp.charge(…)',
        )
      return payment
    },
  }
}
