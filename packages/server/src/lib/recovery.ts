import type { Entry, OnceMethod, Store } from '@mppkit/core'
import { createAnnouncer } from './announce.ts'
import { claimFor, giveUp } from './claims.ts'
import type { LifecycleOptions } from './lifecycle.ts'
import { laterContext } from './rail-context.ts'
import { paymentsQueue, putBehind } from './queues.ts'
import {
  Fenced,
  Hold,
  named,
  parseRecord,
  proofKey,
  proofTtl,
  type Claim,
  type PaymentRecord,
  holdOn,
} from './record.ts'
import { Busy, isRefund, type Refunds } from './refund.ts'
import { afterLastAttempt } from './run.ts'
import { sharesPromises } from './runtime.ts'

const SWEEP = 4
const EVERY = 10_000
const PAUSE = 1_000
const LONGEST_LOOK = 60_000
/** Seconds. */
const UNREADABLE = 3600

/** Finishes what requests left behind: payments in doubt, deliveries that never came, money to be returned. */
export interface Recovery {
  methodOf(claim: Claim): OnceMethod<never> | undefined
  /** Looks at up to `limit` due payments, and tells of as many; resolves with how many it looked at. */
  look(limit: number): Promise<number>
  /** Starts the timer of long-lived processes; to be called with every request, paid or not. */
  awake(): void
  /** A small sweep after a paid answer, at most one a second. */
  soon(waitUntil?: (work: Promise<unknown>) => void): void
  /** A small sweep now: there is money to be returned. */
  hurry(): Promise<void>
  stop(): void
  /** Resolves when the sweep under way has ended, or after `timeout` milliseconds. */
  rest(timeout: number): Promise<void>
}

export function createRecovery(
  options: LifecycleOptions,
  stores: ReadonlyMap<string, Store>,
  refunds: Refunds,
): Recovery {
  const { store, now, onError } = options
  const announcer = createAnnouncer(options, refunds)
  let last = 0
  let timer: ReturnType<typeof setInterval> | undefined
  let stopped = false
  let running: Promise<void> | undefined

  return { methodOf, look, awake, soon, hurry, stop, rest }

  function methodOf(claim: Claim): OnceMethod<never> | undefined {
    const { method, intent } = claim.challenge
    return options.methods.find((candidate) => candidate.name === method && candidate.intent === intent)
  }

  function soon(waitUntil?: (work: Promise<unknown>) => void): void {
    if (stopped) return
    const at = Date.now()
    // A clock that was set back must not make it wait.
    if (at >= last && at - last < PAUSE) return
    last = at
    const work = hurry()
    waitUntil?.(work)
  }

  async function hurry(): Promise<void> {
    try {
      await sweep(SWEEP)
      await inTime(announcer.soon(SWEEP))
    } catch (error) {
      onError(error)
    }
  }

  async function look(limit: number): Promise<number> {
    const seen = await sweep(limit)
    await inTime(announcer.run(limit))
    return seen
  }

  async function rest(timeout: number): Promise<void> {
    let timer: ReturnType<typeof setTimeout> | undefined
    await Promise.race([running, new Promise((resolve) => (timer = setTimeout(resolve, timeout)))])
    clearTimeout(timer)
  }

  function awake(): void {
    // Where requests share nothing a timer would die with the first of them; there a cron calls recover().
    if (timer !== undefined || stopped || !sharesPromises) return
    timer = setInterval(() => {
      if (!running) void hurry()
    }, EVERY)
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
    const queue = paymentsQueue(options.realm)
    let seen = 0
    let after: Entry | undefined
    while (seen < limit) {
      const entries = await store.due(queue, limit - seen, after)
      for (const entry of entries) {
        seen++
        if (!entry.leased) await inTime(lookAt(entry))
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
    try {
      await Promise.race([work, late])
    } finally {
      clearTimeout(timer)
    }
  }

  async function lookAt(entry: Entry): Promise<void> {
    if (isRefund(entry)) return refunds.look(entry)
    let record: PaymentRecord
    try {
      record = parseRecord(entry)
    } catch (error) {
      onError(error)
      // What nobody can read must not stop the rest.
      return putBehind(store, entry, { queue: paymentsQueue(options.realm), in: UNREADABLE })
    }
    const { claim, state } = record
    const hold = holdOn(store, entry, record, {}, undefined, now)
    try {
      if (await hold.take()) return
      if (state === 'pending') await finishPending(hold)
      else if (state === 'refunding') await refund(hold)
      else if (state === 'settled') await close(hold)
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
    if (!method) {
      await hold.write({}, false)
      throw new Error(
        `mppkit: money may have moved by ${claim.challenge.method}, which this server no longer has, so nobody can tell; give it back its method`,
      )
    }
    const owner = await claimFor(
      store,
      proofKey(claim.challenge.method, claim.proof),
      claim.quote,
      proofTtl(claim, now(), options.longest()),
    )
    if (owner !== undefined) return hold.drop()
    if (claim.moved && progress.note === undefined) {
      // The buyer's money was there before the claim was; with his credential the payment can still go on.
      await hold.write({}, false)
      throw new Error(
        `mppkit: money has moved by ${claim.challenge.method}, and no note says where: its parse() has to give one`,
      )
    }
    const found =
      progress.note === undefined
        ? 'not-moved'
        : await method.find(progress.note, laterContext(options, stores, method, claim, hold))
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
    const { receipt } = progress
    if (!receipt) return hold.write({ state: 'unclaimed' }, false)
    try {
      await refunds.carryOn(hold, receipt)
    } catch (error) {
      if (error instanceof Fenced) throw error
      // The operator does it himself just now.
      if (!(error instanceof Busy)) onError(error, { id: claim.quote, challengeId: claim.challenge.id })
    }
  }
}

function ignore(): void {}
