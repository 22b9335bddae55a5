import { decodeRequest, type JsonObject, type Receipt } from '@mppkit/core'
import { Fenced, type Hold, type Progress, type Reached } from './record.ts'
import type { FaultPoint } from './attempt.ts'
import type { Recovery } from './recovery.ts'
import type { Kept, Outcome, Payment } from './seam.ts'

/** One start of a handler, from "settled" to its end. */
export interface Run {
  payment: Payment
  /** Whether a one-piece answer can be kept for a retry. */
  keeps: boolean
  keep(answer: Kept): Promise<void>
  finish(outcome: Outcome): Promise<void>
}

interface RunOptions {
  hold: Hold
  receipt: Receipt
  canRefund: boolean
  /** Whether the request changes nothing (RFC 9110, safe methods). */
  safe: boolean
  seal(quote: string, answer: Kept): Promise<string>
  onError(error: unknown, payment?: { id: string; challengeId: string }): void
  probe?: ((point: FaultPoint) => void | Promise<void>) | undefined
  recovery: Recovery
  /** The handler has ended. */
  leave(): void
}

/** What the buyer paid for: a 2xx, or a redirect. Not 301 and 308, which only correct the address; not 304, "nothing new". */
export function isDelivery(status: number): boolean {
  return status >= 200 && status < 400 && status !== 301 && status !== 304 && status !== 308
}

/** The client left before there was an answer; `reached` says "nothing" only if the handler was never started. */
const CLIENT_GONE = 499

export function createRun({
  hold,
  receipt,
  canRefund,
  safe,
  seal,
  onError,
  probe,
  recovery,
  leave,
}: RunOptions): Run {
  const { claim } = hold
  let finished = false
  let delivered = false
  /** An answer of which nobody knows whether the store took it before its first byte left. */
  let unwritten: string | undefined
  let keeping: Promise<void> | undefined
  const report = (error: unknown): void =>
    onError(error, { id: claim.quote, challengeId: claim.challenge.id })

  return {
    payment: new PaidRequest(hold, receipt),
    keeps: claim.answerKey !== undefined,
    keep: (answer) => (keeping = write(answer)),
    finish,
  }

  async function write(answer: Kept): Promise<void> {
    if (finished || delivered || claim.answerKey === undefined || !isDelivery(answer.status)) return
    try {
      const kept = await seal(claim.quote, answer)
      unwritten = kept
      await hold.write(keptAs(kept), false)
      delivered = true
      if (probe) await probe('kept')
    } catch (error) {
      if (!(error instanceof Fenced)) report(error)
    }
  }

  async function finish(outcome: Outcome): Promise<void> {
    if (finished) return
    finished = true
    // Who hangs up just now may have had the answer on another connection: what is kept, or may be, is delivered.
    await keeping
    try {
      if (probe) await probe('last-byte')
      if (!delivered)
        await hold.insist(unwritten === undefined ? afterAttempt(outcome) : keptAs(unwritten), false)
      if (probe) await probe('delivered')
    } catch (error) {
      // Without a word from us the lease runs out, and the record counts as an attempt that never reported its end.
      hold.stop()
      if (!(error instanceof Fenced)) report(error)
    }
    if (hold.progress.state !== 'delivered') hold.release()
    leave()
    if (hold.progress.state === 'refunding' || hold.progress.state === 'unclaimed') await recovery.hurry()
  }

  function afterAttempt({ status, reached }: Outcome): Partial<Progress> {
    if (status === 101 || (isDelivery(status) && reached === 'all'))
      return { state: 'delivered', open: false, reached: 'all' }
    // A head alone may be what was bought, an address in it; and with a 304 the buyer says that it has the content.
    if (isDelivery(status) || status === 304) return nextAttempt('some')
    // Who hangs up on a handler that changes something keeps the change: an order placed.
    return nextAttempt(status === CLIENT_GONE && !safe ? reached : 'nothing')
  }

  function nextAttempt(handed: Reached): Partial<Progress> {
    const worst = worse(hold.progress.reached, handed)
    return { ...endOfAttempt(hold.progress.started, worst), open: false, reached: worst }
  }

  function endOfAttempt(started: number, reached: Reached): Pick<Progress, 'state'> {
    return started < claim.attempts
      ? { state: 'settled' }
      : { state: afterLastAttempt(claim.zero, canRefund, reached) }
  }
}

/** Who lost this answer on its way has nothing but its copy. */
function keptAs(kept: string): Partial<Progress> {
  return { state: 'delivered', open: false, reached: 'all', kept }
}

/** Who gets the money when no attempt is left: back only if nothing of a good answer was ever handed over. */
export function afterLastAttempt(zero: boolean, canRefund: boolean, reached: Reached): Progress['state'] {
  if (zero) return 'delivered'
  return canRefund && reached === 'nothing' ? 'refunding' : 'unclaimed'
}

function worse(a: Reached, b: Reached): Reached {
  return a === 'nothing' ? b : a
}

/** What the handler sees; the costly parts are made when they are asked for. */
class PaidRequest implements Payment {
  readonly #hold: Hold
  readonly id: string
  readonly attempt: number
  readonly receipt: Receipt
  readonly method: string
  readonly intent: string
  declare readonly payer?: string
  #request: JsonObject | undefined

  constructor(hold: Hold, receipt: Receipt) {
    const { claim, progress } = hold
    this.#hold = hold
    this.id = claim.quote
    this.attempt = progress.started
    this.receipt = receipt
    this.method = claim.challenge.method
    this.intent = claim.challenge.intent
    if (claim.payer !== undefined) this.payer = claim.payer
  }

  get signal(): AbortSignal {
    return this.#hold.signal
  }

  get request(): JsonObject {
    return (this.#request ??= decodeRequest(this.#hold.claim.challenge.request))
  }
}
