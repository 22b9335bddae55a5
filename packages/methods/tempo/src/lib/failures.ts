import type { Hex } from './address.ts'

/** What each sender has cost us without paying, and how much of it is still open. */
export interface Failures {
  tooMany(sender: Hex, now: number): boolean
  /** Opens one transaction of a sender; undefined when those open and those that failed are too many. The result closes it. */
  begin(sender: Hex, now: number): (() => void) | undefined
  /** Counts a transaction that paid nothing, and the fee that it cost us. */
  add(sender: Hex, at: number, loss: bigint): void
  /** Whether all senders together have cost us, within an hour, as much as they may. */
  isSpent(now: number): boolean
}

/** Seconds that a failure counts. */
const window = 600
/** Seconds that a loss counts, and those that are counted together. */
const hour = 3600
const minute = 60
/** Senders remembered; the one that failed longest ago is forgotten first. */
const maxSenders = 10_000

/** In memory, bounded. Times are Unix seconds. */
export function createFailures(allowed: number, maxLoss: bigint): Failures {
  const failed = new Map<Hex, number[]>()
  const open = new Map<Hex, number>()
  const losses = new Map<number, bigint>()

  function recent(sender: Hex, now: number): number[] {
    return (failed.get(sender) ?? []).filter((at) => at > now - window)
  }

  return {
    //
    tooMany: (sender, now) => recent(sender, now).length >= allowed,
    begin(sender, now) {
      const count = open.get(sender) ?? 0
      // Each that is open may fail, too, if the money moves away after it was looked at.
      if (recent(sender, now).length + count >= allowed) return undefined
      open.set(sender, count + 1)
      return () => {
        const left = (open.get(sender) ?? 1) - 1
        if (left > 0) open.set(sender, left)
        else open.delete(sender)
      }
    },
    add(sender, at, loss) {
      const times = [...recent(sender, at), at].slice(-allowed)
      failed.delete(sender)
      failed.set(sender, times)
      if (failed.size > maxSenders) failed.delete(failed.keys().next().value!)
      const slot = Math.floor(at / minute)
      losses.set(slot, (losses.get(slot) ?? 0n) + loss)
      for (const old of losses.keys()) if (old <= slot - hour / minute) losses.delete(old)
    },
    isSpent(now) {
      let sum = 0n
      for (const [slot, loss] of losses) if (slot * minute > now - hour) sum += loss
      //
      return sum >= maxLoss
    },
  }
}
