import type { Entry } from '@mppkit/core'
import type { LifecycleOptions } from './lifecycle.ts'
import { putBehind, refundedQueue, unclaimedQueue, untoldQueue } from './queues.ts'
import { parseRecord } from './record.ts'
import type { Refunds } from './refund.ts'
import { newHolder, sharesPromises } from './runtime.ts'

/** Milliseconds for which a listener that has failed is left alone. */
const PAUSE = 30_000

/** Tells the operator what he should hear of, at least once: whoever fails to listen is told again. */
export interface Announcer {
  /** Tells of up to `limit` events of each kind, oldest first. Never rejects. Where nobody listens, another server may. */
  run(limit: number): Promise<void>
  /** `run`, unless a listener has failed a moment ago. */
  soon(limit: number): Promise<void>
}

export function createAnnouncer(
  { realm, store, onError, onEvent }: LifecycleOptions,
  refunds: Refunds,
): Announcer {
  let quietUntil = 0
  let running: Promise<void> | undefined

  return { run, soon: (limit) => (performance.now() < quietUntil ? Promise.resolve() : run(limit)) }

  function run(limit: number): Promise<void> {
    if (!onEvent) return Promise.resolve()
    if (!sharesPromises) return announce(limit, onEvent)
    // A listener that hangs holds up the other events, and nothing else.
    running ??= announce(limit, onEvent).finally(() => (running = undefined))
    return running
  }

  async function announce(limit: number, listener: Listener): Promise<void> {
    await tellAll(untoldQueue(realm), limit, (entry) => tell(entry, listener))
    await tellAll(refundedQueue(realm), limit, (entry) => tellRefund(entry, listener))
  }

  /** One that cannot be told, or read, goes behind the others. */
  async function tellAll(queue: string, limit: number, each: (entry: Entry) => Promise<void>): Promise<void> {
    try {
      for (const entry of await store.due(queue, limit)) {
        if (entry.leased) continue
        try {
          await each(entry)
        } catch (error) {
          quietUntil = performance.now() + PAUSE
          onError(error)
          await putBehind(store, entry, { queue, in: 0 })
        }
      }
    } catch (error) {
      onError(error)
    }
  }

  async function tell(entry: Entry, listener: Listener): Promise<void> {
    const record = parseRecord(entry)
    const { claim, receipt } = record
    if (receipt) await listener({ type: 'unclaimed', id: claim.quote, receipt })
    const value = JSON.stringify({ ...record, holder: newHolder(), told: true })
    const due = { queue: unclaimedQueue(realm), in: 0 }
    // Refused if the operator was quicker: then there is nothing left to tell.
    await store.swap(entry.key, entry.version, { value, ttl: 'forever', due })
  }

  async function tellRefund(entry: Entry, listener: Listener): Promise<void> {
    const made = refunds.made(entry)
    if (made) await listener({ type: 'refunded', id: made.quote, receipt: made.receipt, refund: made.refund })
    await store.swap(entry.key, entry.version, { value: entry.value, ttl: 'forever' })
  }
}

type Listener = NonNullable<LifecycleOptions['onEvent']>
