import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { parseAcceptPayment, rankOffers } from '../src/index.ts'

const word = fc.stringMatching(/^[a-z]{1,8}$/)
const range = fc.record({
  method: fc.oneof(word, fc.constant('*')),
  intent: fc.oneof(fc.stringMatching(/^[A-Za-z0-9-]{1,8}$/), fc.constant('*')),
  q: fc.integer({ min: 0, max: 1000 }).map((thousandths) => thousandths / 1000),
})

describe('parseAcceptPayment', () => {
  test('reads what is written [CORE-090, CORE-091]', () => {
    fc.assert(
      fc.property(fc.array(range), fc.constantFrom(',', ', ', ' ,\t', ',,'), (ranges, comma) => {
        const field = ranges
          .map(({ method, intent, q }) => `${method}/${intent} ; Q=${q.toFixed(3)}`)
          .join(comma)
        expect(parseAcceptPayment(field)).toEqual(ranges)
      }),
    )
  })

  test('never throws [CORE-098]', () => {
    const piece = fc.constantFrom('a', '/', '*', ';', 'q=', '0.5', '1', ' ', '\t', ',', '"', '\0', 'é')
    fc.assert(
      fc.property(
        fc.array(piece).map((pieces) => pieces.join('')),
        (field) => {
          const ranges = parseAcceptPayment(field)
          for (const { q } of ranges ?? []) expect(q >= 0 && q <= 1).toBe(true)
        },
      ),
    )
  })
})

describe('rankOffers', () => {
  const offers = [
    { method: 'tempo', intent: 'charge' },
    { method: 'stripe', intent: 'charge' },
    { method: 'tempo', intent: 'session' },
  ]
  const rank = (field: string) =>
    rankOffers(offers, parseAcceptPayment(field)!).map(({ method, intent }) => `${method}/${intent}`)

  test('keeps the order of the server among equals [CORE-094, CORE-095]', () => {
    expect(rank('stripe/charge, tempo/*')).toEqual(['tempo/charge', 'stripe/charge', 'tempo/session'])
  })

  test('the most specific range counts, of two halves the kinder one [CORE-096]', () => {
    expect(rank('tempo/*;q=0.2, */charge;q=0.4, */*;q=0.3')).toEqual([
      'tempo/charge',
      'stripe/charge',
      'tempo/session',
    ])
    expect(rank('*/*, tempo/charge;q=0')).toEqual(['stripe/charge', 'tempo/session'])
    expect(rank('tempo/charge;q=0, tempo/charge;q=0.1')).toEqual(['tempo/charge'])
  })

  test('all of them where none is acceptable, or without the field [CORE-097, CORE-099]', () => {
    expect(rank('solana/charge')).toHaveLength(3)
    expect(rank('*/*;q=0')).toHaveLength(3)
    expect(rankOffers(offers, [])).toEqual(offers)
  })

  test('loses and invents nothing', () => {
    fc.assert(
      fc.property(fc.array(range), fc.array(range), (own, ranges) => {
        const ranked = rankOffers(own, ranges)
        expect(ranked.every((offer) => own.includes(offer))).toBe(true)
        expect(new Set(ranked).size).toBe(ranked.length)
        expect(ranked.length > 0 || own.length === 0).toBe(true)
      }),
    )
  })
})
