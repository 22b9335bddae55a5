import type { Version } from '@mppkit/core'
import { describe, expect, test } from 'vitest'
import { atOnce, increment, swapped, type StoreBench } from './test-store-bench.ts'

/** Callers of one process, through one store object and through several. */
export function raceQuestions({ dueIn, key, objects, put, queue, span, store, write }: StoreBench): void {
  describe('races', () => {
    const many = { timeout: 60_000 }

    for (const count of [1, 4]) {
      test(`64 claims through ${count} store objects: one winner, and all see it`, many, async ({ skip }) => {
        const stores = await objects(count, skip)
        const results = await atOnce(64, stores, (one, index) => one.swap(key(), 'absent', write(`${index}`)))
        expect(results.filter((result) => result.ok)).toHaveLength(1)
        const entry = await store().get(key())
        expect(entry?.value).toBe(`${results.findIndex((result) => result.ok)}`)
        const losers = results.filter((result) => !result.ok)
        expect(losers).toEqual(losers.map(() => ({ ok: false, entry })))
      })

      test(`64 increments at once through ${count} store objects: none is lost`, many, async ({ skip }) => {
        await put('0')
        const versions = await atOnce(64, await objects(count, skip), (one) => increment(one, key()))
        expect((await store().get(key()))?.value).toBe('64')
        expect(new Set(versions).size).toBe(64)
      })
    }

    for (const count of [1, 8]) {
      test(`8 callers × 50 swaps through ${count} store objects: none is lost`, many, async ({ skip }) => {
        const versions = await atOnce(8, await objects(count, skip), async (one) => {
          const own: Version[] = []
          while (own.length < 50) own.push(await increment(one, key()))
          return own
        })
        expect((await store().get(key()))?.value).toBe('400')
        expect(new Set(versions.flat()).size).toBe(400)
      })
    }

    test('a holder, a takeover and a delete on one version: one of them holds', many, async () => {
      const version = await put('held')
      const nexts = [write('holder'), write('taker'), 'delete'] as const
      const results = await atOnce(3, [store()], (one, index) => one.swap(key(), version, nexts[index]!))
      expect(results.filter((result) => result.ok)).toHaveLength(1)
    })

    test('what one object wrote another reads at once', async ({ skip }) => {
      const stores = await objects(2, skip)
      const version = await put('one', { lease: span(), ...dueIn('q', 0) })
      const entry = { key: key(), value: 'one', version, leased: true }
      expect(await stores[1]!.get(key())).toEqual(entry)
      expect(await stores[1]!.due(queue('q'), 1)).toEqual([entry])
      await swapped(stores[1]!.swap(key(), version, write('two')))
      expect(await store().swap(key(), version, write('late'))).toMatchObject({
        ok: false,
        entry: { value: 'two' },
      })
    })
  })
}
