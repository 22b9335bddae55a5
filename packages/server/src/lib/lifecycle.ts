import { PaymentError, type Entry, type Noted, type OnceMethod, type Receipt, type Store } from '@mppkit/core'
import type { Attempt, FaultPoint, Verdict } from './attempt.ts'
import type { Limiter } from './limits.ts'
import { createClaims, say, giveUp } from './claims.ts'
import { createRecovery, type Recovery } from './recovery.ts'
import {
  Fenced,
  Hold,
  LATE,
  named,
  parseRecord,
  recordKey,
  type Claim,
  type PaymentRecord,
  holdOn,
} from './record.ts'
import type { PaymentEvent } from './operator.ts'
import { createRefunds, type Refunds } from './refund.ts'
import { createRun } from './run.ts'
import { RailContext } from './rail-context.ts'
import { methodStore, newHolder, sharesPromises } from './runtime.ts'
import { addStep } from './steps.ts'
import { situationOf, TABLE } from './table.ts'
import type { Kept } from './seam.ts'
import { createTraffic, type Traffic } from './traffic.ts'

export interface LifecycleOptions {
  realm: string
  store: Store
  methods: readonly OnceMethod<never>[]
  now(): number
  onError(error: unknown, payment?: { id: string; challengeId: string }): void
  onEvent?: ((event: PaymentEvent) => void | Promise<void>) | undefined
  /** Counts refused credentials per remote; undefined: no limit. */
  limiter?: Limiter | undefined
  hash(text: string): string | Promise<string>
  /** Seconds: the longest lifetime of a challenge of this server. */
  longest(): number
  seal(quote: string, answer: Kept): Promise<string>
  open(quote: string, sealed: string): Promise<Kept | undefined>
  probe?: ((point: FaultPoint) => void | Promise<void>) | undefined
}

export interface Lifecycle {
  lookUp(quote: string): Promise<Entry | undefined>
  /** Whether money of this quote may have moved, with nothing delivered for it yet. True when the store cannot say. */
  isOpen(quote: string): Promise<boolean>
  admit(attempt: Attempt): Promise<Verdict>
  recovery: Recovery
  refunds: Refunds
  traffic: Traffic
}

const STORE_DOWN: Verdict = {
  kind: 'unavailable',
  detail: 'The payment could not be looked up or recorded. Send the same credential again.',
}
const RAIL_DOWN: Verdict = {
  kind: 'unavailable',
  detail: 'The payment could not be checked or settled now. Send the same credential again.',
}
const ENDING: Verdict = {
  kind: 'unavailable',
  detail: 'This server is shutting down. Send the same credential again.',
}
const BUSY: Verdict = { kind: 'conflict', retry: true, detail: 'The payment is being settled.' }

/** What happens to a payment, decided once for every transport and framework. Knows no HTTP. */
export function createLifecycle(options: LifecycleOptions): Lifecycle {
  const { realm, store, now, onError, probe } = options
  const stores = new Map(options.methods.map((method) => [method.name, methodStore(store, method.name)]))
  const verifying = new Map<string, Promise<{ payer?: string }>>()
  const report = (error: unknown, attempt: Attempt): void =>
    onError(error, { id: attempt.quote, challengeId: attempt.challenge.id })
  const refunds = createRefunds(options, stores)
  const recovery = createRecovery(options, stores, refunds)
  const traffic = createTraffic()
  const stakeClaims = createClaims(options)

  return { lookUp: (quote) => store.get(recordKey(realm, quote)), isOpen, admit, recovery, refunds, traffic }

  async function isOpen(quote: string): Promise<boolean> {
    try {
      const entry = await store.get(recordKey(realm, quote))
      return entry !== undefined && !['delivered', 'refunded'].includes(parseRecord(entry).state)
    } catch (error) {
      onError(error)
      return true
    }
  }

  async function admit(attempt: Attempt): Promise<Verdict> {
    if (!traffic.enter()) return ENDING
    const verdict = await decide(attempt)
    // Who got a grant leaves when the handler has ended.
    if (verdict.kind !== 'granted') traffic.leave()
    return verdict
  }

  async function decide(attempt: Attempt): Promise<Verdict> {
    try {
      let entry = attempt.entry ?? (await store.get(recordKey(realm, attempt.quote)))
      if (probe) await probe('looked-up')
      for (let round = 0; round < 3; round++) {
        const verdict = entry ? await known(attempt, entry) : await fresh(attempt)
        if (verdict) return verdict
        entry = await store.get(recordKey(realm, attempt.quote))
      }
      return BUSY
    } catch (error) {
      if (error instanceof Fenced) return BUSY
      report(error, attempt)
      return STORE_DOWN
    }
  }

  /** No record: the credential must be good now. */
  async function fresh(attempt: Attempt): Promise<Verdict | undefined> {
    const { method, parsed } = attempt
    const expired = now() >= attempt.expires
    const outdated = expired || !attempt.terms()
    const moved = (parsed.moved ?? method.moves === 'before') && now() < attempt.expires + LATE * 1000
    if (outdated && !moved) {
      return {
        kind: 'refused',
        code: 'invalid-challenge',
        detail: expired
          ? 'The challenge has expired.'
          : 'The challenge was made for other terms than this route asks now.',
      }
    }
    let payer: string | undefined
    try {
      payer = (await verify(attempt)).payer
    } catch (error) {
      return railFault(attempt, error)
    }
    if (probe) await probe('verified')
    const hold = await newHold(attempt, payer, moved, outdated)
    const standing = await hold.take()
    if (standing) return standing.value ? known(attempt, standing) : undefined
    if (probe) await probe('claimed')
    return holding(hold, () => proceed(attempt, hold))
  }

  /** Some record: the table. */
  async function known(attempt: Attempt, entry: Entry): Promise<Verdict | undefined> {
    const record = parseRecord(entry)
    const same =
      record.claim.challenge.id === attempt.challenge.id && record.claim.proof === attempt.parsed.key
    const situation = situationOf(record, entry)
    const action = TABLE[situation][same ? 'same' : 'other']
    switch (action.kind) {
      case 'resume':
        return resume(attempt, record, entry)
      case 'redeem':
        return redeem(attempt, record, entry)
      case 'replay':
        return replay(attempt, record, action.detail)
      case 'wait':
      case 'conflict':
      case 'refuse':
        return say(action, record)
    }
  }

  /** Claims the proof and the key for a quote that is ours, then moves the money. */
  async function proceed(attempt: Attempt, hold: Hold): Promise<Verdict> {
    const blocked = await stakeClaims(hold)
    if (blocked) return blocked
    return settle(attempt, hold)
  }

  /** No lease outlives a request that has failed. */
  async function holding(hold: Hold, work: () => Promise<Verdict>): Promise<Verdict> {
    try {
      return await work()
    } catch (error) {
      await hold.lapse().catch(() => {})
      throw error
    }
  }

  async function settle(attempt: Attempt, hold: Hold): Promise<Verdict> {
    try {
      const receipt = await attempt.method.settle(attempt.parsed as never, contextOf(attempt, hold))
      return await paid(attempt, hold, named(receipt, hold))
    } catch (error) {
      if (hold.lost || error instanceof Fenced) return BUSY
      if (error instanceof PaymentError) await giveUp(store, hold)
      else await hold.lapse().catch((reason: unknown) => report(reason, attempt))
      return railFault(attempt, error)
    }
  }

  /** The money is here: the handler starts, or, where the challenge no longer holds, the money is listed. */
  async function paid(attempt: Attempt, hold: Hold, receipt: Receipt): Promise<Verdict> {
    if (!hold.claim.late) {
      await hold.write({ state: 'settled', receipt, started: 1, open: true }, true)
      return granted(attempt, hold)
    }
    await hold.write({ state: 'unclaimed', receipt }, false)
    // Not 402: that would invite a second payment.
    return {
      kind: 'conflict',
      retry: false,
      detail: `The money has arrived (${receipt.reference}), but the challenge no longer holds. It is listed for the seller to return.`,
    }
  }

  /** A payment whose process died, or whose outcome was unknown. */
  async function resume(attempt: Attempt, record: PaymentRecord, entry: Entry): Promise<Verdict | undefined> {
    const hold = holdOn(store, entry, record, {}, 'resumed', now)
    if (await hold.take()) return undefined
    return holding(hold, () => takeOver(attempt, hold, record.note))
  }

  async function takeOver(attempt: Attempt, hold: Hold, note: string | undefined): Promise<Verdict> {
    const blocked = await stakeClaims(hold)
    if (blocked) return blocked
    if (note === undefined) return settle(attempt, hold)
    try {
      const found = await attempt.method.find(note, contextOf(attempt, hold))
      if (found === 'unknown') return await settle(attempt, hold)
      if (found === 'not-moved') {
        await giveUp(store, hold)
        return {
          kind: 'refused',
          code: 'verification-failed',
          detail: 'The payment was not made and can no longer be made.',
        }
      }
      return await paid(attempt, hold, named(found, hold))
    } catch (error) {
      if (hold.lost || error instanceof Fenced) return BUSY
      await hold.lapse().catch((reason: unknown) => report(reason, attempt))
      // Whatever the rail calls it: what has become of the money is not known.
      report(error, attempt)
      return RAIL_DOWN
    }
  }

  /** Paid, and not delivered: the handler starts again. */
  async function redeem(attempt: Attempt, record: PaymentRecord, entry: Entry): Promise<Verdict | undefined> {
    // An attempt that never reported its end may have handed over anything.
    const reached = record.open && record.reached === 'nothing' ? 'some' : record.reached
    const started = record.started + 1
    const change = { started, open: true, reached }
    const hold = holdOn(store, entry, record, change, `started-${started}`, now)
    if (await hold.take()) return undefined
    return holding(hold, () => granted(attempt, hold))
  }

  async function replay(attempt: Attempt, record: PaymentRecord, detail: string): Promise<Verdict> {
    const { claim, kept } = record
    if (
      kept !== undefined &&
      attempt.idempotencyKey !== undefined &&
      claim.answerKey === (await answerKey(attempt))
    ) {
      const answer = await options.open(claim.quote, kept)
      if (answer) return { kind: 'kept', answer }
    }
    return { kind: 'refused', code: 'invalid-challenge', detail }
  }

  async function granted({ safe }: Attempt, hold: Hold): Promise<Verdict> {
    if (probe) await probe('settled')
    const { receipt } = hold.progress
    if (!receipt) throw new Error(`the record of payment ${hold.claim.quote} is settled but holds no receipt`)
    const canRefund = recovery.methodOf(hold.claim)?.refund !== undefined
    const { seal } = options
    const run = createRun({
      hold,
      receipt,
      canRefund,
      safe,
      seal,
      onError,
      probe,
      recovery,
      leave: traffic.leave,
    })
    if (probe) await probe('handler-started')
    return { kind: 'granted', run }
  }

  function verify(attempt: Attempt): Promise<{ payer?: string }> {
    const { method, parsed } = attempt
    const context = contextOf(attempt)
    if (!sharesPromises) return method.verify(parsed as never, context)
    const key = `${attempt.challenge.id} ${parsed.key}`
    let work = verifying.get(key)
    if (!work) {
      work = method.verify(parsed as never, context)
      verifying.set(key, work)
      const done = (): boolean => verifying.delete(key)
      work.then(done, done)
    }
    return work
  }

  function contextOf(attempt: Attempt, hold?: Hold): Noted {
    const { challenge, request, source, issued, method } = attempt
    const parts = { challenge, request, source, issued, now, store: stores.get(method.name) ?? store }
    return new RailContext(parts, hold, (error) => report(error, attempt), probe)
  }

  async function newHold(
    attempt: Attempt,
    payer: string | undefined,
    moved: boolean,
    late: boolean,
  ): Promise<Hold> {
    const { challenge, quote, parsed, idempotencyKey, source } = attempt
    const { description: _, header: __, ...bound } = challenge
    const claim: Claim = {
      quote,
      challenge: bound,
      proof: parsed.key,
      zero: attempt.request['amount'] === '0',
      expires: attempt.expires,
      attempts: attempt.attempts,
      within: attempt.within,
    }
    if (moved) claim.moved = true
    if (late) claim.late = true
    if (payer !== undefined) claim.payer = payer
    if (source !== undefined) claim.source = source
    if (idempotencyKey !== undefined) {
      claim.answerKey = await answerKey(attempt)
      if (payer !== undefined)
        claim.keyClaim = `key:${await options.hash(JSON.stringify([realm, attempt.scope, payer, idempotencyKey]))}`
    }
    const progress = {
      state: 'pending' as const,
      holder: newHolder(),
      started: 0,
      open: false,
      reached: 'nothing' as const,
      steps: addStep('', 'claimed', now()),
    }
    const noted = parsed.note === undefined ? progress : { ...progress, note: parsed.note }
    return new Hold(store, recordKey(realm, quote), claim, noted, 'absent', now)
  }

  function answerKey(attempt: Attempt): string | Promise<string> {
    return options.hash(JSON.stringify([attempt.scope, attempt.idempotencyKey]))
  }

  function railFault(attempt: Attempt, error: unknown): Verdict {
    if (error instanceof PaymentError) {
      if (attempt.remote !== undefined) options.limiter?.count(attempt.remote)
      return { kind: 'refused', code: error.code, detail: error.detail }
    }
    report(error, attempt)
    return RAIL_DOWN
  }
}
