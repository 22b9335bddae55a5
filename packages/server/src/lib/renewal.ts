import { sharesPromises } from './runtime.ts'

interface Renewable {
  renew(): void
}

/** Milliseconds between two looks at a lease. */
export const TURN = 2_500
const held = new Set<Renewable>()
const timers = new WeakMap<Renewable, ReturnType<typeof setInterval>>()
let turn: ReturnType<typeof setInterval> | undefined

/** Renews a lease until `letGo`. One timer serves all leases of a process: a timer each would cost more than a swap. */
export function keepAlive(hold: Renewable): void {
  if (!sharesPromises) {
    timers.set(
      hold,
      every(() => hold.renew()),
    )
    return
  }
  held.add(hold)
  turn ??= every(() => {
    for (const each of held) each.renew()
    if (held.size > 0) return
    clearInterval(turn)
    turn = undefined
  })
}

export function letGo(hold: Renewable): void {
  if (!sharesPromises) clearInterval(timers.get(hold))
  held.delete(hold)
}

function every(work: () => void): ReturnType<typeof setInterval> {
  const timer = setInterval(work, TURN)
  ;(timer as { unref?(): void }).unref?.()
  return timer
}
