import fc from 'fast-check'
import { canonicalize, encodeBase64url, type Challenge } from '../src/index.ts'

export const REQUEST = 'eyJhbW91bnQiOiIxMDAwIiwiY3VycmVuY3kiOiJ1c2QifQ'
export const SECRET = 'a secret of at least thirty-two bytes'

/** Any text that a header can carry: no control characters, no lone surrogates. */
export const text = fc
  .string({ unit: 'grapheme', maxLength: 20 })
  // oxlint-disable-next-line no-control-regex
  .map((value) => value.replaceAll(/[\0-\u0008\u000a-\u001f\u007f]/g, ''))

/** Any challenge that keeps all grammars. */
export const challenge: fc.Arbitrary<Challenge> = fc
  .record(
    {
      id: text.filter((value) => value !== ''),
      realm: text.map((value) => value.replaceAll('|', '')),
      method: fc.stringMatching(/^[a-z]{1,10}$/),
      intent: fc.stringMatching(/^[A-Za-z0-9-]{1,10}$/),
      request: fc.dictionary(text, fc.jsonValue({ maxDepth: 3, stringUnit: 'grapheme' })).map(encode),
      expires: fc.constantFrom('2030-01-15T12:05:00Z', '2030-01-15T13:05:00.25+01:00'),
      digest: fc.constant('sha-256=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=:'),
      opaque: fc.dictionary(text, text).map(encode),
      description: text,
      header: fc.constant('Payment-Authorization'),
    },
    { requiredKeys: ['id', 'realm', 'method', 'intent', 'request'] },
  )
  // Without the prototype and property flags of the generator.
  .map((value) => ({ ...value }))

function encode(value: object): string {
  return encodeBase64url(canonicalize(JSON.parse(JSON.stringify(value))))
}

/** `fine`, or what was thrown: the name of the error, with the code of a `PaymentError`. */
export function outcome(action: () => unknown): string {
  try {
    action()
    return 'fine'
  } catch (error) {
    const { name, code } = error as { name: string; code?: string }
    return code === undefined ? name : `${name} ${code}`
  }
}
