import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  encodeBase64url,
  formatCredential,
  parseCredential,
  readAuthorization,
  type Credential,
} from '../src/index.ts'
import { challenge, outcome, REQUEST } from './samples.ts'

const CREDENTIAL: Credential = {
  challenge: { id: 'c1', realm: 'r', method: 'tempo', intent: 'charge', request: REQUEST },
  payload: { signature: '0x1' },
}

describe('readAuthorization', () => {
  test.each([
    [null, []],
    ['', []],
    ['Bearer abc.def', []],
    ['Payment2 abc', []],
    ['Payments', []],
    ['Payment: abc', []],
    ['Payment="abc"', []],
    ['Digest realm="a, Payment abc", x="\\", Payment abc"', []],
    ['Payment abc', ['abc']],
    ['pAYMENT    abc', ['abc']],
    ['Payment abc ', ['abc']],
    ['Payment a, Payment b', ['a', 'b']],
    ['Payment a,Payment b , payment c', ['a', 'b', 'c']],
    ['Bearer x, Payment a', ['a']],
    ['Payment a, Basic eDp5', ['a']],
    ['Digest username="x", realm="y", Payment a', ['a']],
  ])('%j holds %j [CORE-024, CORE-068, CORE-075, CORE-164]', (field, tokens) => {
    expect(readAuthorization(field)).toEqual({ tokens })
  })

  test.each([
    ['Payment'],
    ['Payment '],
    ['Payment\tabc'],
    ['Payment \tabc'],
    ['Payment abc='],
    ['Payment a=b'],
    ['Payment "abc"'],
    ['Payment a b'],
    ['Payment abc\u00a0'],
    ['Payment abc+/'],
    ['Payment abc%3D'],
    ['Payment abc,'],
    ['Payment {"a":"b, Payment c"}'],
  ])('%j is malformed [CORE-069]', (field) => {
    const { tokens, malformed } = readAuthorization(field)
    expect(malformed).toBeTypeOf('string')
    expect(tokens.length).toBeLessThanOrEqual(1)
  })

  test('tells a second credential beside a broken one', () => {
    expect(readAuthorization('Payment a=b, Payment c')).toMatchObject({
      tokens: ['c'],
      malformed: expect.any(String),
    })
  })
})

describe('parseCredential', () => {
  test('round trip [CORE-067, CORE-070, CORE-071, CORE-072]', () => {
    const payload = fc.dictionary(fc.string(), fc.jsonValue({ stringUnit: 'grapheme' }))
    fc.assert(
      fc.property(challenge, payload, fc.option(fc.string(), { nil: undefined }), (echoed, data, source) => {
        const credential: Credential = {
          challenge: echoed,
          payload: JSON.parse(JSON.stringify(data)) as Credential['payload'],
          ...(source !== undefined && { source }),
        }
        const { tokens, malformed } = readAuthorization(formatCredential(credential))
        expect([tokens.length, malformed]).toEqual([1, undefined])
        expect(parseCredential(tokens[0]!)).toEqual(credential)
      }),
    )
  })

  test('drops unknown members and keeps the known ones as they were [CORE-112]', () => {
    const { challenge: echoed, payload } = CREDENTIAL
    const more = {
      challenge: { ...echoed, future: 1, header: 'X-Pay', description: '' },
      payload,
      future: [1],
    }
    expect(parseCredential(encodeBase64url(JSON.stringify(more)))).toEqual({
      challenge: { ...echoed, header: 'X-Pay', description: '' },
      payload,
    })
  })

  test.each([
    ['id', ''],
    ['id', 1],
    ['realm', undefined],
    ['method', null],
    ['intent', ['charge']],
    ['request', {}],
    ['expires', ''],
    ['expires', null],
    ['digest', ''],
    ['opaque', ''],
    ['opaque', { n: '1' }],
    ['description', 1],
    ['header', {}],
  ])('refuses %s: %j [CORE-073]', (name, value) => {
    const changed = { ...CREDENTIAL, challenge: { ...CREDENTIAL.challenge, [name]: value } }
    expect(() => parseCredential(encodeBase64url(JSON.stringify(changed)))).toThrow(`challenge.${name}`)
  })

  test('takes 4 KB and refuses more than 64 KB [CORE-120]', () => {
    const sized = (size: number) => ({ ...CREDENTIAL, payload: { signature: 'x'.repeat(size) } })
    const [token] = readAuthorization(formatCredential(sized(4096))).tokens
    expect(parseCredential(token!)).toEqual(sized(4096))
    const [huge] = readAuthorization(formatCredential(sized(65_536))).tokens
    expect(() => parseCredential(huge!)).toThrow('longer than')
  })

  test('throws nothing but PaymentError [CORE-002]', () => {
    const token = fc.oneof(fc.string({ unit: 'binary' }), fc.json().map(encodeBase64url))
    fc.assert(
      fc.property(token, (value) => {
        expect(['fine', 'PaymentError malformed-credential']).toContain(outcome(() => parseCredential(value)))
      }),
    )
  })

  test('does not repeat the token in its complaints [CORE-130]', () => {
    for (const text of ['secret-marker', '{"challenge":{},"payload":"secret-marker"', '"secret-marker"']) {
      const token = encodeBase64url(text)
      for (const sent of [token, `${token}!`]) {
        const attempt = () => parseCredential(sent)
        expect(outcome(attempt)).toBe('PaymentError malformed-credential')
        expect(attempt).not.toThrow('secret')
        expect(attempt).not.toThrow(token)
      }
    }
  })
})
