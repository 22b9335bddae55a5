import { describe, expect, test } from 'vitest'
import { atOnce, swapped, type StoreBench } from './test-store-bench.ts'

/** Queues: what is due, in which order, page by page. */
export function dueQuestions(bench: StoreBench): void {
  const { dueIn, key, listed, opened, paged, pass, put, queue, span, store, write } = bench

  describe('due', () => {
    test('lists what is due, oldest first, up to the limit', async () => {
      await put('third', dueIn('q', 0), key('1'))
      await put('first', dueIn('q', -2000), key('2'))
      await put('second', dueIn('q', -1000), key('3'))
      await put('later', dueIn('q', span()), key('4'))
      await put('elsewhere', dueIn('r', 0), key('5'))
      expect(await listed('q')).toEqual(['first', 'second', 'third'])
      expect(await listed('q', 2)).toEqual(['first', 'second'])
      expect(await listed('nothing')).toEqual([])
      await pass(span() + 50)
      expect(await listed('q')).toEqual(['first', 'second', 'third', 'later'])
    })

    test('shows whole entries and claims nothing', async () => {
      const version = await put('one', dueIn('q', 0))
      const entry = { key: key(), value: 'one', version, leased: false }
      expect(await store().due(queue('q'), 9)).toEqual([entry])
      expect(await store().due(queue('q'), 9)).toEqual([entry])
    })

    test('follows what is written last', async () => {
      const version = await put('moved', dueIn('q', 0))
      const other = await put('put off', dueIn('q', 0), key('2'))
      const gone = await put('deleted', dueIn('q', 0), key('3'))
      await swapped(store().swap(key(), version, write('moved', dueIn('r', 0))))
      await swapped(store().swap(key('2'), other, write('put off', dueIn('q', span()))))
      await swapped(store().swap(key('3'), gone, 'delete'))
      expect([await listed('q'), await listed('r')]).toEqual([[], ['moved']])
      await pass(span() + 50)
      expect(await listed('q')).toEqual(['put off'])
    })

    test('pages in order, each entry once, with equal due times too', async () => {
      const expected: string[] = []
      for (let index = 0; index < 30; index += 1) {
        const late = Math.floor(index / 10)
        expected.push(`${late}`)
        await put(`${late}`, dueIn('q', (late - 9) * 1000), key((index * 7) % 30))
      }
      for (const limit of [1, 3, 10, 29, 30, 31]) {
        expect((await paged('q', limit)).map((entry) => entry.value)).toEqual(expected)
      }
      const keys = (await store().due(queue('q'), 100)).map((entry) => entry.key)
      expect(new Set(keys).size).toBe(30)
    })

    test('pages on behind an entry that has changed or vanished since', async () => {
      for (let index = 0; index < 6; index += 1) await put(`${index}`, dueIn('q', 0), key(index))
      const page = await store().due(queue('q'), 3)
      const rest = ['0', '1', '2', '3', '4', '5'].filter((value) =>
        page.every((entry) => entry.value !== value),
      )
      const after = page.at(-1)!
      await swapped(store().swap(after.key, after.version, write('put off', dueIn('q', span()))))
      expect((await listed('q', 9, after)).toSorted()).toEqual(rest)
      await swapped(store().swap(after.key, (await store().get(after.key))!.version, 'delete'))
      expect((await listed('q', 9, after)).toSorted()).toEqual(rest)
    })

    test('no page skips or repeats what stays due while others come and go', busy, async () => {
      const stores = opened().another ? [store(), await opened().another!()] : [store()]
      const staying: string[] = []
      // Two that stay, then two that move, so that pages also begin and end between them.
      for (let index = 0; index < 80; index += 1) {
        if (index % 4 < 2) staying.push(`${index}`)
        await put(`${index}`, dueIn('q', (index - 100) * 1000), key(index))
      }
      let writing = true
      const passes = (async () => {
        for (let limit = 1; writing || limit < 4; limit += 1) {
          const seen = (await paged('q', 1 + (limit % 7))).map((entry) => entry.value)
          expect(seen.filter((value) => staying.includes(value))).toEqual(staying)
        }
      })()
      const writes = atOnce(4, stores, async (one, writer) => {
        for (let round = 0; round < 60; round += 1) {
          const at = key(4 * ((round * 7 + writer * 5) % 20) + 2 + (writer % 2))
          const entry = await one.get(at)
          const moved = write('moved', dueIn('q', round % 3 === 0 ? 3_600_000 : -((round * 37) % 101) * 1000))
          // Writers meet; that the slower one is refused is all the same here.
          await one.swap(at, entry?.version ?? 'absent', entry && round % 5 === 0 ? 'delete' : moved)
        }
      })
      await Promise.all([passes, writes.finally(() => (writing = false))])
    })
  })
}

const busy = { timeout: 60_000 }
