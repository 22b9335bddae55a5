import { describe, expect, test } from 'vitest'
import {
  bindingInput,
  createBinding,
  decodeBase64url,
  decodeOpaque,
  decodeRequest,
  encodeBase64url,
  isDigest,
  parseAcceptPayment,
  parseAmount,
  parseBaseUnits,
  parseChallenges,
  parseCredential,
  parseJson,
  parseProblem,
  parseReceipt,
  parseTime,
  readAuthorization,
  verifyDigest,
} from '../src/index.ts'
import { outcome, REQUEST, SECRET } from './samples.ts'

const SIZE = 65_536
const BASE = `Payment id="c", realm="r", method="tempo", intent="charge", request="${REQUEST}"`
const fill = (unit: string, around: [string, string] = ['', '']) => {
  return around[0] + unit.repeat(Math.floor(SIZE / unit.length)) + around[1]
}

const TEXTS: [name: string, text: string][] = [
  ['commas', fill(',')],
  ['commas and blanks', fill(' , ')],
  ['blanks', fill(' ', ['x', 'x'])],
  ['tabs', fill('\t', ['x', ''])],
  ['quotes', fill('"')],
  ['backslashes', fill('\\')],
  ['escapes in an open quote', fill('\\\\', ['Payment a="', ''])],
  ['escaped quotes', fill('\\"', [`${BASE}, description="`, '"'])],
  ['schemes', fill('Payment ')],
  ['schemes with commas', fill('Payment, ')],
  ['schemes with tokens', fill('Payment a, ')],
  ['schemes without spaces', fill('payment')],
  ['challenges', fill(`${BASE}, `)],
  ['parameters', Array.from({ length: 5000 }, (_, at) => `x${at}=1`).join(',')],
  [
    'parameters of a challenge',
    `${BASE}, ${Array.from({ length: 5000 }, (_, at) => `x${at}="1"`).join(', ')}`,
  ],
  ['one parameter often', `${BASE}, ${fill('x=1, ')}`],
  ['equals signs', fill('=', ['Payment a', ''])],
  ['blanks around an equals sign', fill(' ', ['Payment a', '='])],
  ['blanks without an equals sign', fill(' ', ['Payment a=b, c', 'd'])],
  ['open brackets', fill('[')],
  ['open braces', fill('{"a":')],
  ['closed brackets', fill(']')],
  ['many members', `{${Array.from({ length: 8000 }, (_, at) => `"m${at}":0`).join(', ')}}`],
  ['one member often', `{${Array.from({ length: 8000 }, () => '"m":0').join(',')}}`],
  ['many objects', `[${fill('{},')}{} ]`],
  ['escaped letters', fill(String.raw`\u0061`, ['["', '"]'])],
  ['escaped surrogates', fill(String.raw`\ud800`, ['["', '"]'])],
  ['a number', fill('9')],
  ['a fraction', fill('9', ['2025-01-15T12:00:01.', 'Z'])],
  ['a fraction without an end', fill('9', ['2025-01-15T12:00:01.', ''])],
  ['ranges', fill('a/b;q=0.5,')],
  ['semicolons', fill(' ; ', ['a/b', ''])],
  ['stars', fill('*')],
  ['digests', fill('a=:AAAA:, ', ['', 'b=:AAAA:'])],
  ['a long digest', fill('A', ['sha-256=:', ':'])],
  ['a long digest of equals signs', fill('=', ['sha-256=:', ':'])],
  ['letters', fill('a')],
  ['wide letters', fill('é')],
  ['emoji', fill('😀')],
  ['line breaks', fill('\n')],
  ['zeros', fill('\0')],
]

const PARSERS: [name: string, parse: (text: string) => unknown][] = [
  ['parseChallenges', parseChallenges],
  ['parseChallenges behind a challenge', (text) => parseChallenges(`${BASE}, description="${text}`)],
  ['readAuthorization', readAuthorization],
  ['readAuthorization behind the scheme', (text) => readAuthorization(`Payment ${text}`)],
  ['parseCredential', parseCredential],
  ['parseCredential of encoded text', (text) => parseCredential(encodeBase64url(text.slice(0, 49_000)))],
  ['parseAcceptPayment', parseAcceptPayment],
  ['parseJson', parseJson],
  ['parseProblem', parseProblem],
  ['parseReceipt', parseReceipt],
  ['parseReceipt of encoded text', (text) => parseReceipt(encodeBase64url(text))],
  ['decodeBase64url', decodeBase64url],
  ['decodeRequest', (text) => decodeRequest(encodeBase64url(text))],
  ['decodeOpaque', (text) => decodeOpaque(encodeBase64url(text))],
  ['parseTime', parseTime],
  ['isDigest', isDigest],
  ['parseAmount', (text) => parseAmount(text, 18)],
  ['parseBaseUnits', parseBaseUnits],
]

/** What the documentation of the parsers names. */
const DOCUMENTED = [
  'fine',
  'SyntaxError',
  'TypeError',
  'PaymentError malformed-credential',
  'PaymentError invalid-challenge',
]

describe.each(TEXTS)('64 KB of %s [CORE-098, CORE-119, CORE-120]', (_, text) => {
  test.each(PARSERS)('%s ends in time and as documented', (name, parse) => {
    const start = performance.now()
    const ending = outcome(() => parse(text))
    // Quadratic work on 64 KB takes seconds; the linear kind takes a few milliseconds.
    expect(performance.now() - start).toBeLessThan(500)
    expect(name.startsWith('parseChallenges') ? ['fine'] : DOCUMENTED).toContain(ending)
  })
})

test('a binding takes hostile members [CORE-059]', async () => {
  const binding = createBinding([SECRET])
  for (const [, text] of TEXTS) {
    const challenge = {
      id: text,
      realm: text,
      method: text,
      intent: text,
      request: text,
      expires: text,
      digest: text,
      opaque: text,
    }
    expect(await binding.verify(challenge)).toBe(false)
    expect(
      await binding.verify({ ...challenge, realm: 'r', method: 'tempo', intent: 'charge', request: REQUEST }),
    ).toBe(false)
    expect(bindingInput(challenge).length).toBeGreaterThan(SIZE)
    expect(await verifyDigest(text, new Uint8Array())).toBe(false)
  }
})

test('the work grows with the size, not with its square', () => {
  const patterns: ((count: number) => string)[] = [
    (count) => `Payment a="${'\\"'.repeat(count)}`,
    (count) => `${BASE}, ${'x=1, '.repeat(count)}`,
    (count) => 'Payment '.repeat(count),
    (count) => `Payment ${'a,'.repeat(count)}`,
  ]
  for (const pattern of patterns) {
    const time = (count: number) => {
      const text = pattern(count)
      const start = performance.now()
      parseChallenges(text)
      readAuthorization(text)
      return performance.now() - start
    }
    time(200_000)
    // The best of several: a neighbour on the machine must not look like a square.
    const best = (count: number) => Math.min(...Array.from({ length: 6 }, () => time(count)))
    const [small, large] = [best(50_000), best(400_000)]
    // Eight times the input: linear is 8, quadratic 64; the floor is for clocks.
    expect(large).toBeLessThan(32 * Math.max(small, 2))
  }
})
