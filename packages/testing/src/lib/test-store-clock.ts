import type { Entry, Store } from '@mppkit/core'
import { describe, expect, test } from 'vitest'
import { swapped, type StoreBench } from './test-store-bench.ts'

/** What the store's clock decides: expiry and leases, wherever the caller's clock stands. */
export function clockQuestions(bench: StoreBench): void {
  const { dueIn, key, listed, opened, pass, put, queue, span, store, write } = bench

  describe('ttl', () => {
    test('an expired entry is absent to get, swap and due; its version does not match a successor', async () => {
      // Others that expire before it, so that it is not the one which the next write happens to sweep away.
      for (let index = 0; index < 8; index += 1) await put('', { ttl: span() / 1000 }, key(index))
      const version = await put('one', { ttl: span() / 1000, ...dueIn('q', 0) })
      expect(await listed('q')).toEqual(['one'])
      await pass(span() + 50)
      expect(await store().get(key())).toBeUndefined()
      expect(await listed('q')).toEqual([])
      expect(await store().swap(key(), version, write('late'))).toEqual({ ok: false })
      expect(await store().swap(key(), version, 'delete')).toEqual({ ok: false })
      const second = await put('two')
      expect(second).not.toBe(version)
      expect(await store().swap(key(), version, write('late'))).toMatchObject({
        ok: false,
        entry: { value: 'two' },
      })
      expect(await listed('q')).toEqual([])
    })

    test('each write begins a ttl of its own', async () => {
      const ttl = span() / 1000
      const [longer, shorter] = [key('1'), key('2')]
      await swapped(store().swap(longer, await put('one', { ttl }, longer), write('long')))
      await swapped(store().swap(shorter, await put('one', {}, shorter), write('short', { ttl })))
      await put('kept', { ttl: 'forever' })
      await pass(span() + 50)
      expect((await store().get(longer))?.value).toBe('long')
      expect(await store().get(shorter)).toBeUndefined()
      expect((await store().get(key()))?.value).toBe('kept')
    })

    test("'forever' never vanishes", async ({ skip }) => {
      if (!opened().advance) skip('needs a clock that can be moved')
      await put('kept', { ttl: 'forever' })
      await pass(100 * 365 * 86_400_000)
      expect((await store().get(key()))?.value).toBe('kept')
    })
  })
  describe('lease', () => {
    test('holds until it is over by the clock of the store, for get, due and a refusal alike', async () => {
      await put('one', { lease: span(), ...dueIn('q', 0) })
      const seen = async () => [
        (await store().get(key()))?.leased,
        (await store().due(queue('q'), 1))[0]?.leased,
        ((await store().swap(key(), 'absent', write('two'))) as { entry?: Entry }).entry?.leased,
      ]
      expect(await seen()).toEqual([true, true, true])
      await pass(span() + 50)
      expect(await seen()).toEqual([false, false, false])
    })

    test('a write states everything: without lease and due there are none', async () => {
      const version = await put('one', { lease: span(), ...dueIn('q', 0) })
      await swapped(store().swap(key(), version, write('two')))
      expect(await store().get(key())).toMatchObject({ value: 'two', leased: false })
      expect(await listed('q')).toEqual([])
    })
  })
  describe('clocks', () => {
    for (const [name, skew] of [
      ['an hour ahead', 3_600_000],
      ['an hour behind', -3_600_000],
    ] as const) {
      test(`a caller whose clock is ${name} sees and writes by the clock of the store`, async ({ skip }) => {
        if (opened().clock !== 'server')
          skip('judged by the clock of the host: all processes must agree on it')
        if (!opened().another) skip('needs another()')
        const there = <T>(work: () => Promise<T>): Promise<T> => withSkewedDate(skew, work)
        const other = await there(() => opened().another!({ skew }))
        const options = { lease: span(), ttl: (span() * 4) / 1000 }
        await put('here', { ...options, ...dueIn('q', span()) }, key(1))
        await put('long', { lease: 1_800_000, ttl: 1800, ...dueIn('q', 1_800_000) }, key(2))
        await there(async () => {
          await swapped(other.swap(key(3), 'absent', write('there', { ...options, ...dueIn('q', span()) })))
          const late = write('late', { lease: 1_800_000, ttl: 1800, ...dueIn('q', 1_800_000) })
          await swapped(other.swap(key(4), 'absent', late))
        })
        const keys = [1, 2, 3, 4].map((index) => key(index))
        const seenBy = async (one: Store) => ({
          leased: (await Promise.all(keys.map((at) => one.get(at)))).map((entry) => entry?.leased),
          due: (await one.due(queue('q'), 9)).map((entry) => entry.value).toSorted(),
        })
        const both = async () => [await seenBy(store()), await there(() => seenBy(other))]
        const before = { leased: [true, true, true, true], due: [] }
        expect(await both()).toEqual([before, before])
        await pass(span() + 50)
        const after = { leased: [false, true, false, true], due: ['here', 'there'] }
        expect(await both()).toEqual([after, after])
        await pass(span() * 3 + 50)
        const last = { leased: [undefined, true, undefined, true], due: [] }
        expect(await both()).toEqual([last, last])
      })
    }
  })
}

/** Runs `work` in a process whose `Date` is off by `skew` milliseconds; timers go on as they are. */
async function withSkewedDate<T>(skew: number, work: () => Promise<T>): Promise<T> {
  const { Date: real } = globalThis
  const now = () => real.now() + skew
  globalThis.Date = new Proxy(real, {
    get: (target, name) => (name === 'now' ? now : Reflect.get(target, name)),
    apply: () => new real(now()).toString(),
    construct: (target, args: [], maker) =>
      Reflect.construct(target, args.length > 0 ? args : [now()], maker),
  })
  try {
    return await work()
  } finally {
    globalThis.Date = real
  }
}
