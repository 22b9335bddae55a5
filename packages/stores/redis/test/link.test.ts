import { afterEach, describe, expect, test, vi } from 'vitest'
import type { Wire } from '../src/lib/client.ts'
import { createLink } from '../src/lib/link.ts'
import { readScript } from '../src/lib/scripts.ts'

const silent: Wire = { address: 'redis://silent', send: () => new Promise(() => {}) }

describe('redisStore: the time of a call', () => {
  afterEach(() => void vi.restoreAllMocks())

  test('no call is given up before its time, not even by the part of a millisecond that timers do not count', async () => {
    const link = createLink(silent, 20)
    const lasted = Array.from({ length: 50 }, async (_, part) => {
      const began = performance.now() + part / 10
      while (performance.now() < began);
      await expect(link.call((run) => run(readScript, ['k'], []))).rejects.toThrow(/no answer within 20 ms/)
      return performance.now() - began
    })
    expect(Math.min(...(await Promise.all(lasted)))).toBeGreaterThanOrEqual(20)
  })

  test('a command may be carried out before the call is given up, and not in the same millisecond', async () => {
    const link = createLink(silent, 400)
    const now = vi.spyOn(performance, 'now').mockReturnValue(1000.5)
    link.learn('5000')
    now.mockReturnValue(1000.9)
    // Given up at 5400.4 by the server's clock, which tells whole milliseconds: 5400 is refused, 5399 is not.
    expect(await link.call(async (_, before) => before())).toBe('5400')
  })

  test('a server whose clock was set back is believed, and a slow answer is not', async () => {
    const link = createLink(silent, 400)
    const now = vi.spyOn(performance, 'now').mockReturnValue(1000)
    link.learn('68000')
    const deadline = () => link.call(async (_, before) => before())
    expect(await deadline()).toBe('68400')
    // Given at 68000, and read 399 ms later.
    now.mockReturnValue(1399)
    link.learn('68000')
    expect(await deadline()).toBe('68799')
    // A replica has taken over whose clock is a minute behind.
    now.mockReturnValue(2000)
    link.learn('9000')
    expect(await deadline()).toBe('9400')
  })

  test('without the time of the server nothing may be carried out', async () => {
    expect(await createLink(silent, 400).call(async (_, before) => before())).toBe('0')
  })
})
