import { afterEach, beforeEach, vi } from 'vitest'

/** The process's clocks stand still in every test of a file, but for `pass`. */
export function fakeTimers(): { now(): number; pass(ms: number): Promise<unknown> } {
  const pass = (ms: number): Promise<unknown> => vi.advanceTimersByTimeAsync(ms)
  beforeEach(
    () =>
      void vi.useFakeTimers({
        toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'performance', 'Date'],
      }),
  )
  afterEach(async () => {
    // One timer renews all leases of a process; it ends by itself when none is left.
    await pass(5_000)
    vi.useRealTimers()
  })
  return { now: () => Date.now(), pass }
}
