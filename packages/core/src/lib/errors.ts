/** The problem types of the Payment scheme (draft-httpauth-payment-00, "Error codes"), and codes that a method adds under its own prefix. */
export type PaymentErrorCode =
  | 'payment-required'
  | 'payment-insufficient'
  | 'payment-expired'
  | 'verification-failed'
  | 'method-unsupported'
  | 'malformed-credential'
  | 'invalid-challenge'
  | `${string}/${string}`

const BRAND = Symbol.for('mppkit.PaymentError')

/**
 * The payer's fault, or a message that cannot be read. `detail` may go to the wire; `cause` never does.
 * Anything that is not a `PaymentError` is a fault of ours or of the rail. `instanceof` knows those of another copy of this
 * package, too: a bundle may hold one beside that of a rail.
 */
export class PaymentError extends Error {
  override readonly name = 'PaymentError'
  readonly code: PaymentErrorCode
  readonly detail: string

  constructor(code: PaymentErrorCode, detail: string, options?: { cause?: unknown }) {
    super(detail, options)
    this.code = code
    this.detail = detail
  }

  get [BRAND](): true {
    return true
  }

  static override [Symbol.hasInstance](value: unknown): boolean {
    if (this !== PaymentError) return Function.prototype[Symbol.hasInstance].call(this, value)
    return typeof value === 'object' && value !== null && BRAND in value
  }
}
