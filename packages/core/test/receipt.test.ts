import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { encodeBase64url, formatReceipt, parseReceipt, type Receipt } from '../src/index.ts'

const RECEIPT: Receipt = {
  status: 'success',
  method: 'tempo',
  timestamp: '2025-01-15T12:00:00Z',
  reference: '0xabc',
}

function field(change: object): string {
  return encodeBase64url(JSON.stringify({ ...RECEIPT, ...change }))
}

describe('receipts', () => {
  test('round trip, unknown members and any language included [CORE-077, CORE-083, CORE-112]', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: 'grapheme' }),
        fc.jsonValue({ stringUnit: 'grapheme' }),
        (reference, extra) => {
          const receipt = {
            ...RECEIPT,
            reference,
            challengeId: 'c',
            extra: JSON.parse(JSON.stringify(extra)) as string,
          }
          expect(parseReceipt(formatReceipt(receipt))).toEqual(receipt)
        },
      ),
    )
    expect(parseReceipt(formatReceipt({ ...RECEIPT, externalId: undefined } as never))).toEqual(RECEIPT)
  })

  test('a missing reference reads as empty', () => {
    expect(parseReceipt(field({ reference: undefined })).reference).toBe('')
  })

  test.each([
    [{ status: 'Success' }, 'status'],
    [{ status: undefined }, 'status'],
    [{ method: undefined }, 'method'],
    [{ method: '' }, 'method'],
    [{ timestamp: 1 }, 'timestamp'],
    [{ timestamp: '2025-02-30T00:00:00Z' }, 'timestamp'],
    [{ reference: 1 }, 'reference'],
    [{ challengeId: null }, 'challengeId'],
    [{ externalId: {} }, 'externalId'],
  ])('%o is refused by name [CORE-077, CORE-078, CORE-079]', (change, name) => {
    expect(() => parseReceipt(field(change))).toThrow(name)
    expect(() => parseReceipt(field(change))).toThrow(SyntaxError)
  })

  test('throws nothing but SyntaxError', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string({ unit: 'binary' }), fc.json().map(encodeBase64url)), (text) => {
        expect(() => parseReceipt(text)).toThrow(SyntaxError)
      }),
    )
  })

  test('a member called __proto__ is data', () => {
    const text = JSON.stringify(RECEIPT).replace('{', '{"__proto__":{"challengeId":"x"},')
    expect(parseReceipt(encodeBase64url(text)).challengeId).toBeUndefined()
  })
})
