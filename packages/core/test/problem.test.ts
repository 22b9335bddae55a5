import { describe, expect, test } from 'vitest'
import { parseProblem, PaymentError, problemStatus, problemTitle, problemType } from '../src/index.ts'

describe('problems', () => {
  test('types and statuses are those of the table [CORE-107, CORE-108]', () => {
    expect(problemType('invalid-challenge')).toBe('https://paymentauth.org/problems/invalid-challenge')
    expect(problemType('tempo/fee-too-high')).toBe('https://paymentauth.org/problems/tempo/fee-too-high')
    expect(problemStatus('method-unsupported')).toBe(400)
    for (const code of ['payment-required', 'malformed-credential', 'tempo/x'] as const)
      expect(problemStatus(code)).toBe(402)
  })

  test('titles are for people [CORE-106]', () => {
    expect(problemTitle('payment-required')).toBe('Payment Required')
    expect(problemTitle('tempo/fee-too-high')).toBe('Fee Too High')
    expect(problemTitle('x/')).toBe('')
  })

  test('are read tolerantly', () => {
    expect(
      parseProblem('{"type":"t","title":"T","status":402,"detail":"d","challengeId":"c","more":1}'),
    ).toEqual({
      type: 't',
      title: 'T',
      status: 402,
      detail: 'd',
      challengeId: 'c',
    })
    expect(parseProblem('{"detail":"d","status":"402","challengeId":7}')).toEqual({
      type: 'about:blank',
      title: '',
      status: 0,
      detail: 'd',
    })
    for (const text of ['', '[]', 'null', '{}', '"x"', '{"status":402}', '['.repeat(60_000)]) {
      expect(parseProblem(text)).toBeUndefined()
    }
  })

  test('an error keeps code, detail and cause', () => {
    const error = new PaymentError('verification-failed', 'wrong amount', { cause: 'rail' })
    expect(error).toMatchObject({
      name: 'PaymentError',
      code: 'verification-failed',
      detail: 'wrong amount',
      cause: 'rail',
    })
  })
})
