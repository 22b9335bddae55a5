import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  isPeriodUnit,
  isPositiveInteger,
  isSubscriptionId,
  parsePaymentInfo,
  periodStart,
} from '../src/index.ts'

const DAY = 86_400_000

describe('periods', () => {
  test('days and weeks are elapsed time [SUB-015]', () => {
    expect(periodStart(5, 'day', 2, 3)).toBe(5 + 6 * DAY)
    expect(periodStart(5, 'week', 1, 2)).toBe(5 + 14 * DAY)
  })

  test('months count from the anchor and keep day and time where they can [SUB-016, SUB-017]', () => {
    const moment = fc.date({ min: new Date('1970-01-01'), max: new Date('2100-01-01'), noInvalidDate: true })
    fc.assert(
      fc.property(
        moment,
        fc.integer({ min: 1, max: 12 }),
        fc.integer({ min: 0, max: 40 }),
        (anchor, count, n) => {
          const start = new Date(periodStart(anchor.getTime(), 'month', count, n))
          const months = (date: Date) => date.getUTCFullYear() * 12 + date.getUTCMonth()
          expect(months(start) - months(anchor)).toBe(count * n)
          expect(start.getTime() % DAY).toBe(anchor.getTime() % DAY)
          const isLastDay = new Date(start.getTime() + DAY).getUTCDate() === 1
          const isClamped = isLastDay && start.getUTCDate() < anchor.getUTCDate()
          expect(isClamped || start.getUTCDate() === anchor.getUTCDate()).toBe(true)
        },
      ),
    )
  })

  test.each([
    [0, 1],
    [-1, 1],
    [1, -1],
    [1.5, 1],
    [Number.NaN, 1],
    [2 ** 53, 2],
    [1e12, 1],
  ])('refuses count %d, n %d [SUB-018, SUB-019]', (count, n) => {
    expect(() => periodStart(0, 'month', count, n)).toThrow(TypeError)
    expect(() => periodStart(0, 'week', count, n)).toThrow(TypeError)
  })

  test('values of other types are no counts, units or ids [SUB-012, SUB-013, SUB-045]', () => {
    for (const value of [1, null, undefined, ['day'], {}]) {
      expect([isPositiveInteger(value), isPeriodUnit(value), isSubscriptionId(value)]).toEqual([
        false,
        false,
        false,
      ])
    }
  })
})

describe('parsePaymentInfo', () => {
  const offer = { intent: 'charge', method: 'tempo', amount: '500' }

  test('the shorthand is a list of one [DISC-026, DISC-027]', () => {
    expect(parsePaymentInfo(offer)).toEqual(parsePaymentInfo({ offers: [offer] }))
  })

  test.each([
    [null],
    ['x'],
    [{ offers: [] }],
    [{ offers: [offer, null] }],
    [{ offers: [offer], x: 1 }],
    [{ ...offer, method: 'x402' }],
    [{ ...offer, amount: 500 }],
    [{ ...offer, amount: '05' }],
    [{ ...offer, currency: null }],
  ])('refuses %o [DISC-023, DISC-024, DISC-030, DISC-033, DISC-034]', (value) => {
    expect(parsePaymentInfo(value)).toBeUndefined()
  })
})
