import { PaymentError } from '@mppkit/core'

/** Where the toy rail can be made to fail. */
export type ToyStep = 'verify' | 'settle' | 'find' | 'refund'

/**
 * How it fails. `decline` and `insufficient` are the payer's fault; `down` rejects before anything is tried;
 * `unknown-before` and `unknown-after` reject after the note, before or after the money has moved; `stall` waits after
 * the note, before the money moves; `slow` only takes its time.
 */
export type ToyFault =
  | 'decline'
  | 'insufficient'
  | 'down'
  | 'unknown-before'
  | 'unknown-after'
  | 'stall'
  | 'slow'

/** A switchboard of failures, shared by the test and the rail. */
export interface ToyFaults {
  /** Lets the next calls of a step fail: one call unless `times` says more, of any payer unless `payer` names one. */
  next(step: ToyStep, fault: ToyFault, options?: { times?: number; payer?: string }): void
  /** Resolves once a call stalls. */
  stalled(): Promise<void>
  /** Lets all stalled calls go on. */
  release(): void
  /** Forgets what was ordered with `next`, and releases. */
  clear(): void
  /** For the rail: the fault that this call shall suffer. */
  draw(step: ToyStep, payer: string): ToyFault | undefined
  /** For the rail: suffers what happens before money moves. */
  suffer(fault: ToyFault | undefined): void | Promise<void>
}

/**
 * @param options.seed Makes the failures of `rates` the same in every run.
 * @param options.rates How likely each fault is, per step: 0 to 1.
 * @param options.slow Milliseconds that a slow call takes. Default 20.
 */
export function createToyFaults(
  options: {
    seed?: number
    rates?: { [step in ToyStep]?: { [fault in ToyFault]?: number } }
    slow?: number
  } = {},
): ToyFaults {
  const random = mulberry32(options.seed ?? 1)
  const orders: { step: ToyStep; fault: ToyFault; payer: string | undefined; left: number }[] = []
  const waiting: (() => void)[] = []
  const watchers: (() => void)[] = []

  function release(): void {
    for (const go of waiting.splice(0)) go()
  }

  return {
    next(step, fault, { times = 1, payer } = {}) {
      orders.push({ step, fault, payer, left: times })
    },
    async stalled() {
      if (waiting.length === 0) await new Promise<void>((resolve) => watchers.push(resolve))
    },
    release,
    clear() {
      orders.length = 0
      release()
    },
    draw(step, payer) {
      for (const [index, order] of orders.entries()) {
        if (order.step !== step || (order.payer !== undefined && order.payer !== payer)) continue
        order.left -= 1
        if (order.left <= 0) orders.splice(index, 1)
        return order.fault
      }
      let dice = options.rates?.[step] ? random() : 1
      for (const [fault, rate] of Object.entries(options.rates?.[step] ?? {})) {
        dice -= rate
        if (dice < 0) return fault as ToyFault
      }
      return undefined
    },
    suffer(fault) {
      if (fault === undefined || fault === 'unknown-after') return
      if (fault === 'decline')
        throw new PaymentError('verification-failed', 'the toy rail declines this payment')
      if (fault === 'insufficient')
        throw new PaymentError('payment-insufficient', 'the toy account is short of money')
      if (fault === 'slow') return new Promise((resolve) => setTimeout(resolve, options.slow ?? 20))
      if (fault !== 'stall') throw new Error(`toy rail: ${fault}`)
      for (const seen of watchers.splice(0)) seen()
      return new Promise((resolve) => waiting.push(resolve))
    },
  }
}

/** A small seeded generator: 0 (inclusive) to 1 (exclusive). */
export function mulberry32(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}
