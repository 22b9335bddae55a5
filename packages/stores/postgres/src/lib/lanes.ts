/** No answer in time. */
export class Overdue extends Error {}

/** At most so many at once; the others wait their turn, in order. */
export interface Lanes {
  /**
   * Calls `work` once when a lane is free. Rejects with `Overdue` after `ms`: before its turn, and it is never called; or
   * after, and it keeps its lane for as long as it lasts.
   */
  enter<T>(work: () => Promise<T>, ms: number): Promise<T>
}

export function createLanes(count: number): Lanes {
  let free = count
  const waiting = new Set<() => void>()

  function leave(): void {
    const [next] = waiting
    if (next === undefined) free += 1
    else next()
  }

  async function turn(ms: number): Promise<void> {
    if (free > 0) {
      free -= 1
      return
    }
    let called!: () => void
    const call = new Promise<void>((resolve) => {
      called = () => {
        waiting.delete(called)
        resolve()
      }
    })
    waiting.add(called)
    try {
      await before(call, ms)
    } catch (error) {
      // Called just now, when the time was up: the turn goes to the next one.
      if (!waiting.delete(called)) leave()
      throw error
    }
  }

  return {
    async enter(work, ms) {
      const end = performance.now() + ms
      await turn(ms)
      const done = work().finally(leave)
      return before(done, end - performance.now())
    },
  }
}

/** Rejects with `Overdue` when `work` has not settled after `ms`; it goes on, and nobody hears what becomes of it. */
export async function before<T>(work: PromiseLike<T>, ms: number): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Overdue('no answer in time')), Math.max(ms, 0))
  })
  try {
    return await Promise.race([work, late])
  } finally {
    clearTimeout(timer)
  }
}
