import type { Hex } from './address.ts'

/** What each sender has cost us without paying, and how much of it is still open. */
export interface Failures {
  tooMany(sender: Hex, now: number): boolean
  /** Opens one transaction of a sender; undefined when too many are open already. The result closes it. */
  begin(sender: Hex): (() => void) | undefined
  /** Counts a transaction that cost us a fee and paid nothing. */
  add(sender: Hex, at: number): void
}

/** Seconds that a failure counts. */
const window = 600
/** Senders remembered; the one that failed longest ago is forgotten first. */
const maxSenders = 10_000
/** Transactions of one sender under way: each may fail if the money moves away after it was looked at. */
const maxOpen = 16

/** In memory, bounded. Times are Unix seconds. */
export function createFailures(allowed: number): Failures {
  const failed = new Map<Hex, number[]>()
  const open = new Map<Hex, number>()

  function recent(sender: Hex, now: number): number[] {
    return (failed.get(sender) ?? []).filter((at) => at > now - window)
  }

  return {
    //
    tooMany: (sender, now) => recent(sender, now).length >= allowed,
    begin(sender) {
      const count = open.get(sender) ?? 0
      //
      if (count >= maxOpen) return undefined
      open.set(sender, count + 1)
      return () => {
        const left = (open.get(sender) ?? 1) - 1
        if (left > 0) open.set(sender, left)
        else open.delete(sender)
      }
    },
    add(sender, at) {
      const times = [...recent(sender, at), at].slice(-allowed)
      failed.delete(sender)
      failed.set(sender, times)
      if (failed.size > maxSenders) failed.delete(failed.keys().next().value!)
    },
  }
}
