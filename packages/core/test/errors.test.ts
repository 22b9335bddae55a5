import { PaymentError } from '@mppkit/core'
import { expect, test } from 'vitest'

const FILE = '../src/lib/errors.ts'

test('a PaymentError of another copy of the package is one; what only looks like it is none', async () => {
  const other = (await import(`${FILE}?another`)) as { PaymentError: typeof PaymentError }
  expect(other.PaymentError).not.toBe(PaymentError)
  const theirs = new other.PaymentError('verification-failed', 'no')
  expect(theirs instanceof PaymentError).toBe(true)
  expect(new PaymentError('verification-failed', 'no') instanceof other.PaymentError).toBe(true)
  const similar = Object.assign(new Error('no'), { name: 'PaymentError', code: 'verification-failed' })
  for (const value of [similar, new Error('no'), null, undefined, 'PaymentError', {}])
    expect(value instanceof PaymentError).toBe(false)
})

test('a class that extends it is told apart from it', () => {
  class Late extends PaymentError {}
  expect(new Late('payment-expired', 'late') instanceof PaymentError).toBe(true)
  expect(new PaymentError('payment-expired', 'late') instanceof Late).toBe(false)
})
