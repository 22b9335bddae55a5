import fc from 'fast-check'
import { expect, test } from 'vitest'
import { decodeText, encodeText } from '../src/lib/text.ts'

test('any string of JavaScript comes back, and no two become one', () => {
  const unit = fc.oneof(
    fc.constantFrom('\0', '\u0010', '\ud800', '\udc00', '😀', '0', 'd800', '0010'),
    fc.string({ unit: 'binary' }),
  )
  const text = fc.array(unit).map((parts) => parts.join(''))
  fc.assert(
    fc.property(text, text, (one, other) => {
      const kept = encodeText(one)
      expect(decodeText(kept)).toBe(one)
      expect(kept).not.toMatch(/\0|\p{Surrogate}/u)
      expect(kept === encodeText(other)).toBe(one === other)
    }),
  )
})

test('ordinary text stands in the table as it is', () => {
  for (const text of ['', '{"a":"\\u0000"}', 'ä€😀\n\u001f', '\uffff']) expect(encodeText(text)).toBe(text)
})
