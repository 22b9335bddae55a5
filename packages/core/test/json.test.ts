import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { canonicalize, parseJson } from '../src/index.ts'
import { outcome } from './samples.ts'

describe('parseJson', () => {
  test('gives what JSON.parse gives for what JSON.stringify wrote', () => {
    fc.assert(
      fc.property(fc.json({ stringUnit: 'grapheme' }), (text) => {
        expect(parseJson(text)).toEqual(JSON.parse(text))
      }),
    )
  })

  test.each([
    ['{"a":1,"a":2}'],
    ['{ "a" : 1 , "a" : 2 }'],
    [String.raw`{"a":1,"\u0061":2}`],
    ['{"x":[{"b":[],"b":0}]}'],
    ['{"a":{"a":1},"b":[{"a":1}],"a":1}'],
    ['{"__proto__":1,"__proto__":2}'],
    [String.raw`{"\\":1,"\\":2}`],
    [String.raw`{"\"":1,"\"":2}`],
  ])('refuses the repeated name in %s [CORE-070]', (text) => {
    expect(() => parseJson(text)).toThrow('duplicate member name')
  })

  test.each([
    ['{"a":{"a":1},"b":{"a":1}}'],
    ['[{"a":1},{"a":1}]'],
    ['{ "a": "a", "b": "a" }'],
    [String.raw`{"a":"\",\"a\":"}`],
    ['{"a": [1, "a", {"b": "a"}], "b": -0.0e-1}'],
    [String.raw`"\ud83d\ude00"`],
  ])('accepts %s', (text) => {
    expect(parseJson(text)).toEqual(JSON.parse(text))
  })

  test.each([
    [String.raw`"\ud800"`],
    [String.raw`{"\udc00":1}`],
    [String.raw`"\ud83dx\ude00"`],
    ['"\ud800"'],
  ])('refuses the lone surrogate in %s [CORE-045]', (text) => {
    expect(() => parseJson(text)).toThrow('lone surrogate')
  })

  test.each([['1e400'], ['-1e400'], ['[1, 2e999]'], ['9'.repeat(400)]])(
    'refuses the number %s [CORE-045]',
    (text) => {
      expect(() => parseJson(text)).toThrow('number out of range')
    },
  )

  test.each([[''], ['{'], ['NaN'], ['01'], ["{'a':1}"], ['{}{}'], ['\ufeff{}'], ['{"a":1,}'], ['[1]//']])(
    'refuses %s without quoting it [CORE-130]',
    (text) => {
      expect(() => parseJson(text)).toThrow(new SyntaxError('not JSON'))
    },
  )

  test('nesting ends at 64', () => {
    const nested = (depth: number) => '['.repeat(depth) + ']'.repeat(depth)
    expect(parseJson(nested(64))).toBeDefined()
    expect(() => parseJson(nested(65))).toThrow('nested deeper')
    expect(() => parseJson(`${'[{"a":'.repeat(33)}0${'}]'.repeat(33)}`)).toThrow('nested deeper')
    expect(() => parseJson('['.repeat(1_000_000))).toThrow('nested deeper')
    expect(parseJson(JSON.stringify('[{'.repeat(100)))).toBe('[{'.repeat(100))
    expect(parseJson(JSON.stringify(Array.from({ length: 100 }, () => [])))).toHaveLength(100)
  })

  test('a member called __proto__ is data', () => {
    const value = parseJson('{"__proto__":{"amount":"1"}}') as { amount?: string }
    expect(value.amount).toBeUndefined()
    expect(Object.keys(value)).toEqual(['__proto__'])
    expect(canonicalize(value)).toBe('{"__proto__":{"amount":"1"}}')
  })

  test('throws nothing but SyntaxError, and accepts exactly what is JSON without repeated names', () => {
    const piece = fc.constantFrom(
      '{',
      '}',
      '[',
      ']',
      ':',
      ',',
      '"a"',
      '"b"',
      String.raw`"\u0061"`,
      '1',
      '1e999',
      ' ',
    )
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 14 }), (pieces) => {
        const text = pieces.join('')
        expect(outcome(() => parseJson(text))).toBe(isClean(text) ? 'fine' : 'SyntaxError')
      }),
      { numRuns: 3000 },
    )
  })
})

describe('canonicalize', () => {
  test('is canonical, stable and reads back [CORE-045, CORE-055]', () => {
    fc.assert(
      fc.property(fc.jsonValue({ stringUnit: 'grapheme' }), (value) => {
        const text = canonicalize(value)
        expect(canonicalize(parseJson(text))).toBe(text)
        expect(parseJson(text)).toEqual(JSON.parse(JSON.stringify(value)))
        expect(canonicalize(reversed(value))).toBe(text)
      }),
    )
  })

  test('orders by UTF-16 code units, also what looks like an index [CORE-045]', () => {
    expect(canonicalize({ 10: 1, 9: 2, 1: 3, a: 4, '\ufb33': 5, '😀': 6 })).toBe(
      '{"1":3,"10":1,"9":2,"a":4,"😀":6,"\ufb33":5}',
    )
  })

  test('takes objects without a prototype', () => {
    expect(canonicalize(Object.assign(Object.create(null), { b: 1, a: [] }))).toBe('{"a":[],"b":1}')
  })

  const cycle: unknown[] = []
  cycle.push(cycle)
  // oxlint-disable-next-line no-sparse-arrays
  const hole = [1, , 2]
  test.each([
    [undefined],
    [{ a: undefined }],
    [[undefined]],
    [hole],
    [Number.NaN],
    [Infinity],
    [1n],
    [() => 0],
    [Symbol('x')],
    ['\ud800'],
    [{ '\ud800': 1 }],
    [new Date(0)],
    [new Map()],
    [cycle],
  ])('refuses %o', (value) => {
    expect(() => canonicalize(value)).toThrow(TypeError)
  })
})

/** The same value with its members in the opposite order. */
function reversed(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(reversed)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value)
      .toReversed()
      .map(([name, item]) => [name, reversed(item)]),
  )
}

/** By another road: without repeated names there are as many members as colons, if no text holds one. */
function isClean(text: string): boolean {
  let members = 0
  try {
    JSON.parse(text, (_, item: unknown) => {
      if (typeof item === 'object' && item !== null && !Array.isArray(item))
        members += Object.keys(item).length
      return item === Infinity ? JSON.parse('x') : item
    })
  } catch {
    return false
  }
  return members === text.split(':').length - 1
}
