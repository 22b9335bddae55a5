/** Counts refused credentials per remote address, so that guessing costs the guesser and not the rail. */
export interface Limiter {
  /** Seconds until the remote may try again; 0: it may. */
  blocked(remote: string): number
  count(remote: string): void
}

const MOST_REMOTES = 10_000

/** `rate` as `"20/min"`. In memory and bounded; loopback is never limited. */
export function createLimiter(rate: string, now: () => number): Limiter {
  const match = /^([1-9]\d{0,5})\/(s|min|h)$/.exec(rate)
  if (!match)
    throw new TypeError(
      `mppkit: limits.verify is ${JSON.stringify(rate)}; write it like '20/min' (s, min or h)`,
    )
  const most = Number(match[1])
  const window = { s: 1_000, min: 60_000, h: 3_600_000 }[match[2] as 's' | 'min' | 'h']
  const windows = new Map<string, { since: number; count: number }>()

  return {
    blocked(remote) {
      const seen = windows.get(remote)
      if (!seen || seen.count < most) return 0
      const left = seen.since + window - now()
      return left > 0 ? Math.ceil(left / 1000) : 0
    },
    count(remote) {
      if (isLoopback(remote)) return
      const at = now()
      const seen = windows.get(remote)
      if (seen && at < seen.since + window) {
        seen.count++
        return
      }
      // Oldest first: forgetting one remote's window costs at most one more burst of it.
      if (windows.size >= MOST_REMOTES) windows.delete(windows.keys().next().value as string)
      windows.delete(remote)
      windows.set(remote, { since: at, count: 1 })
    },
  }
}

function isLoopback(remote: string): boolean {
  return remote === '::1' || /^(::ffff:)?127\./.test(remote)
}
