import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  decodeOpaque,
  decodeRequest,
  encodeBase64url,
  formatChallenge,
  parseChallenges,
  quoteString,
  type Challenge,
} from '../src/index.ts'
import { challenge, outcome, REQUEST, text } from './samples.ts'

const FULL: Challenge = {
  id: 'c1',
  realm: 'r',
  method: 'tempo',
  intent: 'charge',
  request: REQUEST,
  expires: '2030-01-15T12:05:00Z',
  digest: 'sha-256=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=:',
  opaque: encodeBase64url('{"n":"1"}'),
  description: 'd',
  header: 'Payment-Authorization',
}
const LINE = formatChallenge(FULL)

describe('formatChallenge', () => {
  test('order and quotes [CORE-021, CORE-026, CORE-029, CORE-117]', () => {
    expect(LINE).toBe(
      `Payment id="c1", realm="r", method="tempo", intent="charge", request="${REQUEST}", ` +
        'expires="2030-01-15T12:05:00Z", digest="sha-256=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=:", ' +
        `opaque="${FULL.opaque}", description="d", header="Payment-Authorization"`,
    )
  })

  test('round trip, alone and joined with others [CORE-023, CORE-028]', () => {
    fc.assert(
      fc.property(fc.array(challenge, { minLength: 1, maxLength: 4 }), (challenges) => {
        const lines = challenges.map(formatChallenge)
        expect(parseChallenges(lines)).toEqual({ challenges, rejected: [] })
        const joined = ['Negotiate', ...lines, 'Basic realm="Payment id=\\"x\\""', 'Bearer abc=='].join(', ')
        expect(parseChallenges(joined)).toEqual({ challenges, rejected: [] })
      }),
    )
  })

  test('writers of header fields take any description [CORE-032, CORE-121]', () => {
    fc.assert(
      fc.property(text, (description) => {
        const headers = new Headers({ 'www-authenticate': formatChallenge({ ...FULL, description }) })
        const { challenges } = parseChallenges(headers.get('www-authenticate')!)
        expect(challenges).toEqual([{ ...FULL, description }])
      }),
    )
  })

  test.each([['\r\n'], ['\0'], ['\n'], ['\u007f'], ['\u001b'], ['é\n'], ['\ud800']])(
    'refuses %j [CORE-032]',
    (bad) => {
      expect(() => quoteString(`a${bad}b`)).toThrow(TypeError)
      expect(() => formatChallenge({ ...FULL, description: bad })).toThrow(TypeError)
    },
  )
})

describe('parseChallenges', () => {
  test.each([
    ['a tab for the space', `Payment\tid="c1"`],
    ['a token with a colon', LINE.replace('"2030-01-15T12:05:00Z"', '2030-01-15T12:05:00Z')],
    ['a raw line break', LINE.replace('"d"', '"a\nb"')],
    ['an escape at the end', LINE.replace('"d", header="Payment-Authorization"', '"d\\')],
    ['an escaped control character', LINE.replace('"d"', '"\\\u0001"')],
    ['a name without a value behind others', `${LINE}, x=`],
    ['junk behind others', `${LINE}, @`],
    ['an unknown parameter twice', `${LINE}, x=1, X=2`],
    ['an empty opaque', LINE.replace(/opaque="[^"]*"/, 'opaque=""')],
    ['a nested opaque', LINE.replace(/opaque="[^"]*"/, `opaque="${encodeBase64url('{"a":{}}')}"`)],
    ['an opaque list', LINE.replace(/opaque="[^"]*"/, `opaque="${encodeBase64url('[]')}"`)],
    ['a number for digest', LINE.replace(/digest="[^"]*"/, 'digest="7"')],
    ['a repeated name in request', LINE.replace(REQUEST, encodeBase64url('{"a":1,"a":2}'))],
  ])('refuses %s [CORE-022..CORE-032, CORE-043..CORE-055]', (_, line) => {
    const parsed = parseChallenges([line, formatChallenge({ ...FULL, id: 'next' })])
    expect(parsed.challenges.map(({ id }) => id)).toEqual(['next'])
    expect(parsed.rejected).toHaveLength(1)
  })

  test('says which challenge was refused, and why [CORE-030]', () => {
    expect(parseChallenges(LINE.replace('tempo', 'x402'))).toEqual({
      challenges: [],
      rejected: [{ id: 'c1', reason: 'method is malformed' }],
    })
    expect(parseChallenges('Payment realm=r').rejected).toEqual([{ reason: 'id is missing' }])
  })

  test('ignores what it does not know, also a header that names no field [CORE-057, CORE-112]', () => {
    const { header, ...known } = FULL
    expect(header).toBeDefined()
    const line = `${formatChallenge(known)}, __proto__="x", constructor=y, header="a b"`
    expect(parseChallenges(line).challenges).toEqual([known])
  })

  test('takes text of runtimes that decode field values, and bytes that are no UTF-8 [CORE-121]', () => {
    for (const description of ['日本語', 'caf\u00e9']) {
      expect(parseChallenges(LINE.replace('"d"', `"${description}"`)).challenges[0]?.description).toBe(
        description,
      )
    }
  })

  test('never throws, and never takes a parameter from a neighbour', () => {
    const piece = fc.constantFrom(
      'Payment ',
      'payment',
      'Basic ',
      'id="a"',
      'realm=r',
      'method=tempo',
      'intent="charge"',
      `request=${REQUEST}`,
      ',',
      ', ',
      '"',
      '\\',
      '=',
      ' ',
      '\t',
      'abc==',
      'é',
      '\0',
    )
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 30 }), (pieces) => {
        const line = pieces.join('')
        const { challenges } = parseChallenges(line)
        expect(challenges.length).toBeLessThanOrEqual(line.toLowerCase().split('payment').length - 1)
        for (const found of challenges)
          expect(parseChallenges(formatChallenge(found)).challenges).toEqual([found])
      }),
      { numRuns: 5000 },
    )
  })
})

describe('decodeRequest and decodeOpaque', () => {
  test('throw nothing but PaymentError [CORE-043, CORE-053]', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json().map(encodeBase64url)), (encoded) => {
        for (const decode of [decodeRequest, decodeOpaque]) {
          expect(['fine', 'PaymentError invalid-challenge']).toContain(outcome(() => decode(encoded)))
        }
      }),
    )
  })

  test('prototype names are data', () => {
    const request = decodeRequest(
      encodeBase64url('{"__proto__":{"amount":"1"},"constructor":{"prototype":{"x":1}}}'),
    )
    expect(request.amount).toBeUndefined()
    expect(({} as { x?: number }).x).toBeUndefined()
  })
})
