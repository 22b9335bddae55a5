import { formatReceipt } from '@mppkit/core'
import { createMpp } from '@mppkit/server'
import { afterAll, describe, expect, test } from 'vitest'
import { matchers } from '../src/matchers.ts'
import { payAs } from '../src/pay-as.ts'
import { createToyLedger, toyMethod, toyWallet } from '../src/toy.ts'

const ledger = createToyLedger()
await ledger.fund('alice', 100_000n)
const mpp = createMpp({
  realm: 'test.example',
  secret: 'a-secret-of-at-least-thirty-two-bytes!!',
  origin: 'http://localhost',
  methods: [
    toyMethod({ ledger, recipient: 'shop' }),
    toyMethod({ ledger, name: 'coin', recipient: 'till', currency: 'eur' }),
  ],
})
const photo = mpp.charge({ amount: '0.10', externalId: 'o-1' })(() => new Response('sold'))
const alice = payAs(photo, toyWallet({ ledger, account: 'alice' }))
afterAll(() => mpp.close())

const receipt = formatReceipt({
  status: 'success',
  method: 'toy',
  timestamp: '2026-01-01T00:00:00Z',
  reference: 'r',
})
const good = { 'payment-receipt': receipt, 'cache-control': 'private' }

const paidVerdict = (received: unknown, terms = {}): string => told(matchers.toBePaid(received, terms))
const askedVerdict = (received: unknown, terms = {}): string => told(matchers.toChallenge(received, terms))
const told = ({ pass, message }: { pass: boolean; message(): string }): string => (pass ? 'pass' : message())

describe('toBePaid', () => {
  test('passes for what was paid, on what it was paid', async () => {
    const response = await alice('/')
    for (const terms of [
      {},
      { amount: '10' },
      {
        method: 'toy',
        intent: 'charge',
        currency: 'usd',
        recipient: 'shop',
        externalId: 'o-1',
        realm: 'test.example',
      },
    ])
      expect([terms, paidVerdict(response, terms)]).toEqual([terms, 'pass'])
    expect(matchers.toBePaid(response).message()).toBe('expected the answer not to be paid')
  })

  test('fails on other terms, and tells the true ones', async () => {
    const response = await alice('/')
    for (const terms of [
      { amount: '11' },
      { method: 'coin' },
      { recipient: 'till' },
      { externalId: 'o-2' },
      { description: 'x' },
    ])
      expect(paidVerdict(response, terms)).toMatch(
        /^expected the answer to be paid on .*, but it was paid on .*"amount":"10"/,
      )
  })

  test.each([
    ['a 402', 402, good, /status is 402/],
    ['an error with a receipt', 500, good, /status is 500/],
    ['a redirection with a receipt', 303, good, /status is 303/],
    ['no receipt', 200, { 'cache-control': 'private' }, /no Payment-Receipt/],
    ['a receipt of junk', 200, { ...good, 'payment-receipt': 'e30' }, /cannot be read/],
    ['what a cache may keep', 200, { ...good, 'cache-control': 'public, max-age=60' }, /not private/],
    ['what is not private for sure', 200, { ...good, 'cache-control': 'x-private' }, /not private/],
  ])('CORE-001 fails for %s', (_name, status, headers, message) => {
    expect(paidVerdict(new Response(null, { status, headers: headers as Record<string, string> }))).toMatch(
      message,
    )
  })

  test('takes answers of other clients, which tell the method only', () => {
    const headers = { 'Payment-Receipt': receipt, 'Cache-Control': ['no-cache', 'private'] }
    for (const answer of [
      { statusCode: 200, headers },
      { status: 200, headers },
    ]) {
      expect(paidVerdict(answer)).toBe('pass')
      expect(paidVerdict(answer, { method: 'toy' })).toBe('pass')
      expect(paidVerdict(answer, { method: 'coin' })).toMatch(/was paid on/)
      expect(paidVerdict(answer, { amount: '10' })).toMatch(
        /only an answer that payAs has returned tells its amount/,
      )
    }
  })

  test('says of a 402 what it asks', async () => {
    expect(paidVerdict(await photo(new Request('http://localhost/')))).toMatch(
      /status is 402, and it asks for .*"amount":"10"/,
    )
  })
})

describe('toChallenge', () => {
  test('passes when one of the challenges is on the terms', async () => {
    const response = await photo(new Request('http://localhost/'))
    for (const terms of [
      {},
      { amount: '10' },
      { method: 'toy', currency: 'usd' },
      { method: 'coin', currency: 'eur', recipient: 'till' },
    ])
      expect([terms, askedVerdict(response, terms)]).toEqual([terms, 'pass'])
    // No single one has both.
    expect(askedVerdict(response, { method: 'coin', currency: 'usd' })).toMatch(/but it asks for \[/)
    expect(matchers.toChallenge(response, { amount: '10' }).message()).toBe(
      'expected the answer not to challenge on {"amount":"10"}',
    )
  })

  test.each([
    ['200', 200, {}, /status is 200/],
    ['a 401 with a challenge', 401, {}, /status is 401/],
    ['no challenge', 402, { 'cache-control': 'no-store' }, /no challenge/],
    [
      'a challenge of another scheme',
      402,
      { 'www-authenticate': 'Bearer', 'cache-control': 'no-store' },
      /no challenge/,
    ],
  ])('CORE-001 fails for %s', (_name, status, headers, message) => {
    expect(askedVerdict(new Response(null, { status, headers: headers as Record<string, string> }))).toMatch(
      message,
    )
  })

  test('fails for a challenge that a cache may keep', async () => {
    const { headers } = await photo(new Request('http://localhost/'))
    headers.set('cache-control', 'max-age=60')
    expect(askedVerdict({ status: 402, headers })).toMatch(/not no-store/)
  })

  test('reads challenges on several lines', async () => {
    const { headers } = await photo(new Request('http://localhost/'))
    const lines = [headers.get('www-authenticate')!, 'Bearer']
    expect(
      askedVerdict(
        { statusCode: 402, headers: { 'www-authenticate': lines, 'cache-control': 'no-store' } },
        { method: 'coin' },
      ),
    ).toBe('pass')
  })
})

test('what is no answer is told so, also when it was not awaited', () => {
  for (const received of [
    undefined,
    null,
    402,
    '402',
    {},
    Promise.resolve(),
    { status: '402', headers: {} },
    { status: 402 },
  ]) {
    expect(() => paidVerdict(received)).toThrow(/await it/)
    expect(() => askedVerdict(received)).toThrow(/await it/)
  }
})

test('through expect itself, and negated', async () => {
  expect.extend(matchers)
  const asserting = expect as unknown as (
    value: unknown,
  ) => Record<'toBePaid' | 'toChallenge', (terms?: object) => void> & { not: Record<'toBePaid', () => void> }
  const response = await alice('/')
  asserting(response).toBePaid({ amount: '10' })
  expect(() => asserting(response).toBePaid({ amount: '11' })).toThrow(/was paid on/)
  expect(() => asserting(response).not.toBePaid()).toThrow(/not to be paid/)
  expect(() => asserting(response).toChallenge()).toThrow(/status is 200/)
  // A test that forgets to await must not be green.
  expect(() => asserting(alice('/')).not.toBePaid()).toThrow(/await it/)
})
