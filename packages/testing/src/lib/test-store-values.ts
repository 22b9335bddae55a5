import { describe, expect, test } from 'vitest'
import { swapped, type StoreBench } from './test-store-bench.ts'

/** What comes back is what was written, whatever it was. */
export function valueQuestions({ dueIn, key, listed, put, queue, store, write }: StoreBench): void {
  describe('keys and values', () => {
    test('values of 1 MiB, and empty ones', async () => {
      const large = mebibyte()
      const version = await put(large, dueIn('q', 0))
      expect((await store().get(key()))?.value === large).toBe(true)
      expect((await store().due(queue('q'), 1))[0]?.value === large).toBe(true)
      const refused = await store().swap(key(), 'absent', write(''))
      expect(!refused.ok && refused.entry?.value === large).toBe(true)
      await swapped(store().swap(key(), version, write('')))
      expect((await store().get(key()))?.value).toBe('')
    })

    test('any well-formed text is given back unchanged', async () => {
      for (const text of texts) {
        const version = await put(text)
        expect((await store().get(key()))?.value).toBe(text)
        await swapped(store().swap(key(), version, 'delete'))
      }
    })

    test('odd keys are kept apart and given back unchanged', async () => {
      const odd = ` |  |a b|'|"|\`|\\|%|_|*|?|[a]|{b}|}|:|/|\n|\t|é|e\u0301|😀|ß|SS|İ|__proto__|constructor`
      const keys = ['', ...odd.split('|'), ...texts].map((text) => key(text))
      for (const one of keys) await put(one, {}, one)
      for (const one of keys) expect(await store().get(one)).toMatchObject({ key: one, value: one })
    })

    test('keys of 512 characters, that differ only in the last', async () => {
      const keys = fillers.flatMap((filler) => {
        const long = key(filler.repeat(512)).slice(0, 510)
        const whole = /[\ud800-\udbff]$/.test(long) ? `${long.slice(0, -1)}x` : long
        return ['aa', 'ab', '😀', '😁'].map((last) => whole + last)
      })
      expect(new Set(keys.map((one) => one.length))).toEqual(new Set([512]))
      for (const one of keys) await put(one.slice(-2), dueIn('q', 0), one)
      for (const one of keys) expect(await store().get(one)).toMatchObject({ key: one, value: one.slice(-2) })
      const due = await store().due(queue('q'), 100)
      expect(due.map((entry) => entry.key).toSorted()).toEqual(keys.toSorted())
    })

    test('odd queues are kept apart', async () => {
      const odd = ['', ' ', '😀', "'", '\0', '\0x', '%', '_', '*', ':', 'é', 'e\u0301']
      for (const name of odd) await put(name, dueIn(name, 0), key(name))
      for (const name of odd) expect(await listed(name)).toEqual([name])
    })

    test('keys and queues that differ only by case are different', async () => {
      await put('lower', dueIn('q', 0), key('a'))
      await put('upper', dueIn('Q', 0), key('A'))
      expect((await store().get(key('a')))?.value).toBe('lower')
      expect((await store().get(key('A')))?.value).toBe('upper')
      expect([await listed('q'), await listed('Q')]).toEqual([['lower'], ['upper']])
    })
  })
}

const fillers = ['k', 'é', '€', '中', '😀', '\u0301', '"', '\\', '\0', '\u{10ffff}']

const texts = [
  '\0',
  'a\0b',
  '\0'.repeat(64),
  `"'\`\\"''$1 $$ ; -- /* */ %s ? :name {} [] \\0 \\u0000 \\x00`,
  ' \t\r\n\u000b\u001b\u007f\u0080\u2028\u2029\ufeff\ufffe\uffff ',
  '😀👩‍👩‍👧‍👦🇺🇳é̂',
  'ab\u202ecd\u200f',
  '\ufeffx',
  '{"a":1}',
  'null',
  '0123',
  // Every kind of length in UTF-8, at its borders.
  '\u007f\u0080\u07ff\u0800\ud7ff\ue000\uffff\u{10000}\u{10ffff}',
]

/** 1 MiB of UTF-8 that no compression makes much smaller. */
function mebibyte(): string {
  let seed = 1
  let text = ''
  for (let index = 0; index < 104_857; index += 1) {
    seed = (seed * 48_271) % 2_147_483_647
    // Two bytes, three, four, one: ten in all.
    text += String.fromCodePoint(
      0x80 + (seed & 0x77f),
      0x4e00 + ((seed >>> 8) & 0xfff),
      0x1f300 + (seed & 0xff),
      0x20 + ((seed >>> 16) & 0x3f),
    )
  }
  return text + 'x'.repeat(6)
}
