import type { PaymentErrorCode } from './errors.ts'

/** RFC 9457 body of a refusal. */
export interface Problem {
  type: string
  title: string
  status: number
  detail: string
  challengeId?: string
}

/** `https://paymentauth.org/problems/<code>`. */
export function problemType(code: PaymentErrorCode): string {
  throw new Error(`pending ${code}`)
}

/** 400 for `method-unsupported`, 402 for the rest. */
export function problemStatus(code: PaymentErrorCode): 400 | 402 {
  throw new Error(`pending ${code}`)
}

/** A short title for people. */
export function problemTitle(code: PaymentErrorCode): string {
  throw new Error(`pending ${code}`)
}

/** Reads a problem body, tolerantly; undefined if it is none. */
export function parseProblem(text: string): Problem | undefined {
  throw new Error(`pending ${text}`)
}
