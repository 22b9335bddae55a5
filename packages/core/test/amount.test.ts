import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { formatAmount, parseAmount, parseBaseUnits } from '../src/index.ts'

describe('amounts', () => {
  test.each([
    ['0.01', 6, 10_000n],
    ['1', 0, 1n],
    ['0', 18, 0n],
    ['1.50', 2, 150n],
    ['123456789012345678901234567890.5', 1, 1_234_567_890_123_456_789_012_345_678_905n],
  ])('%s with %d decimals is %d', (text, decimals, units) => {
    expect(parseAmount(text, decimals)).toBe(units)
  })

  test.each([
    ['-1', 2],
    ['+1', 2],
    ['1e3', 2],
    ['.5', 2],
    ['5.', 2],
    ['01', 2],
    ['', 2],
    [' 1', 2],
    ['1\n', 2],
    ['0.001', 2],
    ['1.0', 0],
    ['1,5', 2],
    ['0x1', 2],
    ['١', 2],
    ['9'.repeat(200), 2],
    ['1', -1],
    ['1', 1.5],
    ['1', 1000],
  ])('refuses %s with %d decimals', (text, decimals) => {
    expect(() => parseAmount(text, decimals)).toThrow(TypeError)
  })

  test('refuses what is no text', () => {
    expect(() => parseAmount(0.01 as unknown as string, 2)).toThrow(TypeError)
  })

  test('round trip', () => {
    fc.assert(
      fc.property(
        fc.bigInt({ min: 0n, max: 2n ** 255n }),
        fc.integer({ min: 0, max: 30 }),
        (units, decimals) => {
          expect(parseAmount(formatAmount(units, decimals), decimals)).toBe(units)
        },
      ),
    )
    expect(formatAmount(1_500_000n, 6)).toBe('1.5')
    expect(formatAmount(100n, 0)).toBe('100')
    expect(formatAmount(-5n, 2)).toBe('-0.05')
    expect(formatAmount(0n, 6)).toBe('0')
  })

  test('base units on the wire are digits without leading zeros', () => {
    expect(parseBaseUnits('0')).toBe(0n)
    expect(parseBaseUnits((2n ** 256n - 1n).toString())).toBe(2n ** 256n - 1n)
    for (const value of [
      '',
      '01',
      '-1',
      '+1',
      '1.0',
      '1e3',
      ' 1',
      '1\n',
      '1_000',
      '١',
      1,
      1n,
      null,
      undefined,
      '1'.repeat(79),
    ]) {
      expect(parseBaseUnits(value)).toBeUndefined()
    }
  })
})
