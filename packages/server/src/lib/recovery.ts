import {
  decodeRequest,
  PaymentError,
  type Entry,
  type Noted,
  type OnceMethod,
  type Store,
} from '@mppkit/core'
import type { FaultPoint, LifecycleOptions } from './lifecycle.ts'
import { RailContext } from './rail-context.ts'
import {
  claimFor,
  Fenced,
  giveUp,
  Hold,
  named,
  parseRecord,
  proofKey,
  proofTtl,
  paymentsQueue,
  type Claim,
  type PaymentRecord,
} from './record.ts'
import { afterLastAttempt } from './run.ts'
import { issuedAt } from './quote.ts'
import { newHolder, sharesPromises } from './runtime.ts'

const SWEEP = 4
const EVERY = 10_000
const PAUSE = 1_000
const LONGEST_LOOK = 60_000

/** Finishes what requests left behind: payments in doubt, deliveries that never came, money to be returned. */
export interface Recovery {
  methodOf(claim: Claim): OnceMethod<never> | undefined
  /** Looks at up to `limit` due payments; resolves with how many it looked at. */
  sweep(limit: number): Promise<number>
  /** Starts the timer of long-lived processes; to be called with every request, paid or not. */
  awake(): void
  /** A small sweep after a paid answer, at most one a second. */
  soon(waitUntil?: (work: Promise<unknown>) => void): void
  /** A small sweep now: there is money to be returned. */
  hurry(): Promise<void>
  stop(): void
}

export function createRecovery(options: LifecycleOptions, stores: ReadonlyMap<string, Store>): Recovery {
  const { store, now, onError, probe } = options
  let last = 0
  let timer: ReturnType<typeof setInterval> | undefined
  let stopped = false
  let running: Promise<void> | undefined

  return { methodOf, sweep, awake, soon, hurry, stop }

  function methodOf(claim: Claim): OnceMethod<never> | undefined {
    const { method, intent } = claim.challenge
    return options.methods.find((candidate) => candidate.name === method && candidate.intent === intent)
  }

  function soon(waitUntil?: (work: Promise<unknown>) => void): void {
    if (stopped) return
    const at = Date.now()
    if (at - last < PAUSE) return
    last = at
    const work = hurry()
    waitUntil?.(work)
  }

  async function hurry(): Promise<void> {
    try {
      await sweep(SWEEP)
    } catch (error) {
      onError(error)
    }
  }

  function awake(): void {
    // Where requests share nothing a timer would die with the first of them; there a cron calls recover().
    if (timer !== undefined || stopped || !sharesPromises) return
    timer = setInterval(() => void hurry(), EVERY)
    ;(timer as { unref?(): void }).unref?.()
  }

  function stop(): void {
    stopped = true
    if (timer !== undefined) clearInterval(timer)
    timer = undefined
  }

  /** One at a time: a sweep that overtook another would skip what the other holds. */
  function sweep(limit: number): Promise<number> {
    const work = sharesPromises && running ? running.then(() => run(limit)) : run(limit)
    const quiet = work.then(ignore, ignore)
    running = quiet
    void quiet.then(() => {
      if (running === quiet) running = undefined
    })
    return work
  }

  async function run(limit: number): Promise<number> {
    let seen = 0
    let after: Entry | undefined
    while (seen < limit) {
      const entries = await store.due(paymentsQueue(options.realm), limit - seen, after)
      for (const entry of entries) {
        seen++
        if (!entry.leased) await inTime(look(entry))
      }
      after = entries.at(-1)
      if (after === undefined || entries.length < limit - seen) break
    }
    return seen
  }

  /** One rail that never answers must not stop the others' recovery. */
  async function inTime(work: Promise<void>): Promise<void> {
    let timer: ReturnType<typeof setTimeout> | undefined
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(() => {
        onError(new Error('recovery of a payment takes longer than a minute; going on with the next'))
        resolve()
      }, LONGEST_LOOK)
    })
    await Promise.race([work, late])
    clearTimeout(timer)
  }

  async function look(entry: Entry): Promise<void> {
    let record: PaymentRecord
    try {
      record = parseRecord(entry)
    } catch (error) {
      onError(error)
      return
    }
    const { claim, ...progress } = record
    const hold = new Hold(store, entry.key, claim, { ...progress, holder: newHolder() }, entry.version, now)
    try {
      if (await hold.take()) return
      if (progress.state === 'pending') await finishPending(hold)
      else if (progress.state === 'refunding') await refund(hold)
      else if (progress.state === 'settled') await close(hold)
      else await hold.write({}, false)
    } catch (error) {
      hold.stop()
      if (!(error instanceof Fenced)) onError(error, { id: claim.quote, challengeId: claim.challenge.id })
    }
  }

  /** The process died, or the rail did not say. Without a note nothing was sent, and the lease that we hold keeps it so. */
  async function finishPending(hold: Hold): Promise<void> {
    const { claim, progress } = hold
    const method = methodOf(claim)
    if (!method) return hold.write({}, false)
    const owner = await claimFor(
      store,
      proofKey(claim.challenge.method, claim.proof),
      claim.quote,
      proofTtl(claim, now(), options.longest()),
    )
    if (owner !== undefined) return hold.drop()
    const found =
      progress.note === undefined ? 'not-moved' : await method.find(progress.note, contextOf(hold, method))
    if (found === 'unknown') await hold.write({}, false)
    else if (found === 'not-moved') await giveUp(store, hold)
    else await hold.write({ state: claim.late ? 'unclaimed' : 'settled', receipt: named(found, hold) }, false)
  }

  /** Paid, and nobody came for it in time, or every attempt failed. */
  async function close(hold: Hold): Promise<void> {
    const { claim, progress } = hold
    const reached = progress.open && progress.reached === 'nothing' ? 'some' : progress.reached
    const state = afterLastAttempt(claim.zero, methodOf(claim)?.refund !== undefined, reached)
    await hold.write({ state, reached, open: false }, state === 'refunding')
    if (state === 'refunding') await refund(hold)
  }

  async function refund(hold: Hold): Promise<void> {
    const { claim, progress } = hold
    const method = methodOf(claim)
    if (!method?.refund || !progress.receipt) return hold.write({ state: 'unclaimed' }, false)
    try {
      const receipt = await method.refund(
        progress.receipt,
        { id: claim.quote },
        contextOf(hold, method, 'refund-noted'),
      )
      if (probe) await probe('refund-sent')
      await hold.write({ state: 'refunded', receipt: named(receipt, hold) }, false)
    } catch (error) {
      if (error instanceof Fenced) throw error
      // A refusal is final and needs a human; anything else is tried again.
      await hold.write(error instanceof PaymentError ? { state: 'unclaimed' } : {}, false)
      onError(error, { id: claim.quote, challengeId: claim.challenge.id })
    }
  }

  function contextOf(hold: Hold, method: OnceMethod<never>, noted: FaultPoint = 'noted'): Noted {
    const { challenge, source, quote } = hold.claim
    const parts = {
      challenge,
      request: decodeRequest(challenge.request),
      source,
      issued: issuedAt(quote) ?? 0,
      now,
      store: stores.get(method.name) ?? store,
    }
    return new RailContext(
      parts,
      hold,
      (error) => onError(error, { id: quote, challengeId: challenge.id }),
      probe,
      noted,
    )
  }
}

function ignore(): void {}
