import type { Entry, Version } from '@mppkit/core'
import { describe, expect, test } from 'vitest'
import { swapped, type StoreBench } from './test-store-bench.ts'

/** What a swap writes and what it refuses. */
export function swapQuestions({ key, put, span, store, write }: StoreBench): void {
  describe('get and swap', () => {
    test('what was written is read, with the version that the swap gave', async () => {
      expect(await store().get(key())).toBeUndefined()
      const version = await put('one')
      expect(await store().get(key())).toEqual({ key: key(), value: 'one', version, leased: false })
    })

    test('a swap on the present version writes and gives another version', async () => {
      const first = await put('one')
      const second = await swapped(store().swap(key(), first, write('two')))
      expect(second).not.toBe(first)
      expect(await store().get(key())).toEqual({ key: key(), value: 'two', version: second, leased: false })
    })

    test("a swap from 'absent' over an entry is refused and shows it", async () => {
      const version = await put('one', { lease: span() })
      const entry = { key: key(), value: 'one', version, leased: true }
      expect(await store().swap(key(), 'absent', write('two'))).toEqual({ ok: false, entry })
      expect(await store().get(key())).toEqual(entry)
    })

    test('a swap on a spent version is refused and shows what stands, even if the value is the same', async () => {
      const first = await put('same')
      const second = await swapped(store().swap(key(), first, write('same')))
      const entry = { key: key(), value: 'same', version: second, leased: false }
      expect(await store().swap(key(), first, write('late'))).toEqual({ ok: false, entry })
      expect(await store().swap(key(), first, 'delete')).toEqual({ ok: false, entry })
      expect(await store().get(key())).toEqual(entry)
    })

    test('the version of another key is refused, over an entry and where there is none', async () => {
      const version = await put('one')
      expect(await store().swap(key('2'), version, write('two'))).toEqual({ ok: false })
      expect(await store().swap(key('2'), version, 'delete')).toEqual({ ok: false })
      const entry = {
        key: key('2'),
        value: 'two',
        version: await put('two', {}, key('2')),
        leased: false,
      }
      expect(await store().swap(key('2'), version, write('three'))).toEqual({ ok: false, entry })
    })

    test('a version that no store ever gave is refused', async () => {
      await put('one')
      for (const version of ['', '0', 'x', "' OR 1=1 --"]) {
        expect(await store().swap(key(), version, write('two'))).toMatchObject({
          ok: false,
          entry: { value: 'one' },
        })
      }
    })

    test("delete wants the present version, or 'absent' where there is nothing to delete", async () => {
      await swapped(store().swap(key(), 'absent', 'delete'))
      const version = await put('one')
      expect(await store().swap(key(), 'absent', 'delete')).toMatchObject({
        ok: false,
        entry: { value: 'one' },
      })
      await swapped(store().swap(key(), version, 'delete'))
      expect(await store().get(key())).toBeUndefined()
      expect(await store().swap(key(), version, 'delete')).toEqual({ ok: false })
    })

    test('a version of a deleted entry does not match its successor', async () => {
      const spent = new Set<Version>()
      for (let round = 0; round < 5; round += 1) {
        const version = await put('same')
        for (const old of spent)
          expect(await store().swap(key(), old, write('late'))).toMatchObject({ ok: false })
        expect(spent).not.toContain(version)
        spent.add(version)
        spent.add(await swapped(store().swap(key(), version, 'delete')))
      }
    })

    test('entries are copies', async () => {
      const given = write('one')
      const version = await swapped(store().swap(key(), 'absent', given))
      given.value = 'changed'
      const entry = (await store().get(key()))!
      Object.assign(entry, { value: 'changed', version: 'changed', leased: true })
      const refused = (await store().swap(key(), 'absent', write('two'))) as { entry: Entry }
      refused.entry.value = 'changed'
      expect(await store().get(key())).toEqual({ key: key(), value: 'one', version, leased: false })
    })

    test('a write that could never be read back is rejected', async () => {
      for (const ttl of [0, -1, Number.NaN, Infinity]) {
        await expect(store().swap(key(), 'absent', write('one', { ttl }))).rejects.toThrow()
      }
      expect(await store().get(key())).toBeUndefined()
    })
  })
}
