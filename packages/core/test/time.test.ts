import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { formatTime, parseTime } from '../src/index.ts'

describe('parseTime', () => {
  test.each([
    ['2025-01-15T12:00:01Z', 1_736_942_401_000],
    ['2025-01-15t12:00:01z', 1_736_942_401_000],
    ['2025-01-15T13:00:01+01:00', 1_736_942_401_000],
    ['2025-01-15T06:30:01.5-05:30', 1_736_942_401_500],
    ['2025-01-15T12:00:01.123999999999999999999Z', 1_736_942_401_123],
    ['2025-01-15T12:00:01-00:00', 1_736_942_401_000],
    ['2024-02-29T00:00:00Z', Date.UTC(2024, 1, 29)],
    ['2000-02-29T00:00:00Z', Date.UTC(2000, 1, 29)],
    ['0000-01-01T00:00:00Z', -62_167_219_200_000],
    ['0099-03-01T00:00:00Z', Date.parse('0099-03-01T00:00:00Z')],
    ['9999-12-31T23:59:59Z', Date.UTC(9999, 11, 31, 23, 59, 59)],
    ['2016-12-31T23:59:60Z', Date.UTC(2017, 0, 1)],
    ['2016-12-31T18:59:60-05:00', Date.UTC(2017, 0, 1)],
    ['2015-06-30T23:59:60.25Z', Date.UTC(2015, 6, 1) + 250],
  ])('%s is %d [CORE-049]', (text, time) => {
    expect(parseTime(text)).toBe(time)
  })

  test.each([
    ['2025-02-30T00:00:00Z'],
    ['2023-02-29T00:00:00Z'],
    ['1900-02-29T00:00:00Z'],
    ['2025-00-01T00:00:00Z'],
    ['2025-13-01T00:00:00Z'],
    ['2025-01-00T00:00:00Z'],
    ['2025-04-31T00:00:00Z'],
    ['2025-01-15T24:00:00Z'],
    ['2025-01-15T12:60:00Z'],
    ['2025-01-15T12:00:61Z'],
    ['2025-01-15T12:00:60Z'],
    ['2025-01-15T23:59:60Z'],
    ['2025-01-15T12:00:01+24:00'],
    ['2025-01-15T12:00:01+01:60'],
    ['2025-01-15T12:00:01+0100'],
    ['2025-01-15T12:00:01'],
    ['2025-01-15T12:00:01.Z'],
    ['2025-01-15T12:00:01,5Z'],
    ['2025-01-15 12:00:01Z'],
    ['2025-01-15T12:00Z'],
    ['2025-1-15T12:00:01Z'],
    [' 2025-01-15T12:00:01Z'],
    ['2025-01-15T12:00:01Z\n'],
    ['+002025-01-15T12:00:01Z'],
    ['२०२५-01-15T12:00:01Z'],
    ['1893456000'],
    [''],
  ])('refuses %j [CORE-049]', (text) => {
    expect(parseTime(text)).toBeUndefined()
  })

  test('agrees with Date where that one is right', () => {
    const moment = fc.date({
      min: new Date('0000-01-01T00:00:00Z'),
      max: new Date('9999-12-31T23:59:59Z'),
      noInvalidDate: true,
    })
    fc.assert(
      fc.property(moment, (date) => {
        expect(parseTime(date.toISOString())).toBe(date.getTime())
      }),
    )
  })
})

describe('formatTime', () => {
  test('reads back [CORE-049]', () => {
    fc.assert(
      fc.property(fc.integer({ min: -62_167_219_200, max: 253_402_300_799 }), (seconds) => {
        const text = formatTime(seconds)
        expect(text).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/)
        expect(parseTime(text)).toBe(seconds * 1000)
      }),
    )
  })

  test('rounds down, and refuses what has no four-digit year', () => {
    expect(formatTime(1.9)).toBe('1970-01-01T00:00:01Z')
    for (const seconds of [Number.NaN, Infinity, 1e12, -1e12])
      expect(() => formatTime(seconds)).toThrow(TypeError)
  })
})
