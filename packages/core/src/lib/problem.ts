import type { PaymentErrorCode } from './errors.ts'

/** RFC 9457 body of a refusal. */
export interface Problem {
  type: string
  title: string
  status: number
  detail: string
  challengeId?: string
}

const BASE = 'https://paymentauth.org/problems/'

const TITLES: Record<string, string> = {
  'payment-required': 'Payment Required',
  'payment-insufficient': 'Payment Insufficient',
  'payment-expired': 'Payment Expired',
  'verification-failed': 'Payment Verification Failed',
  'method-unsupported': 'Payment Method Unsupported',
  'malformed-credential': 'Malformed Credential',
  'invalid-challenge': 'Invalid Challenge',
}

/**
 * `https://paymentauth.org/problems/<code>`.
 *
 * @see draft-httpauth-payment-00, "Error codes"
 */
export function problemType(code: PaymentErrorCode): string {
  return BASE + code
}

/**
 * 400 for `method-unsupported`, 402 for the rest.
 *
 * @see draft-httpauth-payment-00, "Error codes"
 */
export function problemStatus(code: PaymentErrorCode): 400 | 402 {
  return code === 'method-unsupported' ? 400 : 402
}

/** A short title for people; that of a method's own code is made of the code's words. */
export function problemTitle(code: PaymentErrorCode): string {
  return Object.hasOwn(TITLES, code) ? TITLES[code]! : titleOf(code)
}

/**
 * Reads a problem body, tolerantly; undefined if it is none. A missing `type` reads as `about:blank`, a missing
 * `status` as 0 and missing texts as empty.
 *
 * @see RFC 9457 section 3.1
 */
export function parseProblem(text: string): Problem | undefined {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return undefined
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined
  const { type, title, status, detail, challengeId } = value as Record<string, unknown>
  if (typeof type !== 'string' && typeof title !== 'string' && typeof detail !== 'string') return undefined
  return {
    type: typeof type === 'string' ? type : 'about:blank',
    title: typeof title === 'string' ? title : '',
    status: typeof status === 'number' ? status : 0,
    detail: typeof detail === 'string' ? detail : '',
    ...(typeof challengeId === 'string' && { challengeId }),
  }
}

function titleOf(code: string): string {
  return code
    .slice(code.lastIndexOf('/') + 1)
    .split('-')
    .map((word) => word.charAt(0).toUpperCase() + word.slice(1))
    .join(' ')
}
