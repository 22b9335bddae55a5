/** Counts the payments that this process is at work on, so that it can end between them. */
export interface Traffic {
  /** False: this server is shutting down and takes no more. */
  enter(): boolean
  leave(): void
  /** Lets nobody in any more. Resolves when all have left, or after `timeout` milliseconds; with how many are still inside. */
  drain(timeout: number): Promise<number>
}

export function createTraffic(): Traffic {
  let inside = 0
  let closed = false
  const waiting = new Set<() => void>()
  return {
    enter() {
      if (closed) return false
      inside += 1
      return true
    },
    leave() {
      inside -= 1
      if (inside === 0) for (const go of waiting) go()
    },
    async drain(timeout) {
      closed = true
      if (inside === 0) return 0
      let timer: ReturnType<typeof setTimeout> | undefined
      await new Promise<void>((resolve) => {
        waiting.add(resolve)
        timer = setTimeout(resolve, timeout)
      })
      clearTimeout(timer)
      return inside
    },
  }
}
