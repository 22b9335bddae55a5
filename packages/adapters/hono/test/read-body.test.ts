import { readBody } from '@mppkit/server'
import { afterEach, expect, test, vi } from 'vitest'

// What every adapter reads a web Request with; Hono's tests stand for it.

afterEach(() => {
  vi.useRealTimers()
})

const post = (body: BodyInit, headers: Record<string, string> = {}): Request =>
  new Request('https://shop.example/', { method: 'POST', body, headers, duplex: 'half' } as RequestInit)

const never = (): ReadableStream => new ReadableStream({ pull: () => new Promise(() => undefined) })

test('a body that does not come is given up after the time that it may take, and the answer says which', async () => {
  vi.useFakeTimers()
  for (const headers of [{}, { 'content-length': '10' }]) {
    let end: unknown
    void readBody(post(never(), headers), 100).catch((error: unknown) => (end = error))
    await vi.advanceTimersByTimeAsync(9_999)
    expect(end).toBeUndefined()
    await vi.advanceTimersByTimeAsync(1)
    expect(end).toMatchObject({ reason: 'too-slow', message: expect.stringContaining('within 10 seconds') })
  }
})

test('nothing waits for a body that has come, or that was refused', async () => {
  vi.useFakeTimers()
  expect(await readBody(post('abc'), 100)).toHaveLength(3)
  expect(await readBody(post('abc', { 'content-length': '3' }), 100)).toHaveLength(3)
  await expect(readBody(post('abc'), 2)).rejects.toMatchObject({ reason: 'too-large' })
  await expect(readBody(post(never(), { 'content-length': '3' }), 2)).rejects.toMatchObject({
    reason: 'too-large',
  })
  // Or a process that is done would stay for as long.
  expect(vi.getTimerCount()).toBe(0)
})
