import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { decodeBase64url, decodeBase64urlText, encodeBase64url } from '../src/index.ts'
import { outcome } from './samples.ts'

const WORD = /^[A-Za-z0-9_-]*$/

describe('base64url', () => {
  test('agrees with the platform for all bytes and texts [CORE-044, CORE-121]', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        const encoded = encodeBase64url(bytes)
        expect(encoded).toBe(Buffer.from(bytes).toString('base64url'))
        expect(decodeBase64url(encoded)).toEqual(bytes)
      }),
    )
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 300 }), (text) => {
        const encoded = encodeBase64url(text)
        expect(encoded).toBe(Buffer.from(text).toString('base64url'))
        fc.pre(!text.startsWith('\ufeff'))
        expect(decodeBase64urlText(encoded)).toBe(text)
      }),
    )
  })

  test.each([
    ['padding', 'e30='],
    ['the other alphabet', 'w7/+'],
    ['a length of 1 modulo 4', 'e30AA'],
    ['trailing bits after two characters', 'e31'],
    ['trailing bits after one character', 'ed'],
    ['a blank', 'e3 0'],
    ['a line break at the end', 'e30\n'],
    ['a character beyond a byte', 'e3€0'],
    ['a character of two bytes', 'e30é'],
  ])('refuses %s [CORE-044, CORE-069]', (_, text) => {
    expect(() => decodeBase64url(text)).toThrow(SyntaxError)
    expect(() => decodeBase64urlText(text)).toThrow(SyntaxError)
  })

  test.each([
    ['a byte order mark', [0xef, 0xbb, 0xbf, 0x7b, 0x7d]],
    ['a broken sequence', [0xc3, 0x28]],
    ['an overlong form', [0xc0, 0x80]],
    ['a surrogate', [0xed, 0xa0, 0x80]],
  ])('refuses text with %s [CORE-121]', (_, bytes) => {
    expect(() => decodeBase64urlText(encodeBase64url(Uint8Array.from(bytes)))).toThrow(SyntaxError)
  })

  test('reads one spelling per value and throws nothing but SyntaxError', () => {
    fc.assert(
      fc.property(fc.oneof(fc.base64String(), fc.string({ unit: 'binary', maxLength: 9 })), (text) => {
        const respelled = () => encodeBase64url(decodeBase64url(text))
        const isStrict = WORD.test(text) && text === Buffer.from(text, 'base64url').toString('base64url')
        expect(outcome(respelled)).toBe(isStrict ? 'fine' : 'SyntaxError')
      }),
    )
  })

  test('copes with large input', () => {
    const bytes = new Uint8Array(1_000_003).fill(251)
    expect(decodeBase64url(encodeBase64url(bytes))).toEqual(bytes)
  })
})
