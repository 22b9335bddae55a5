import { parseBaseUnits } from './amount.ts'

/** One way to pay for an operation, as announced in an OpenAPI document. */
export interface PaymentOffer {
  intent: 'charge' | 'session'
  method: string
  /** Base units; null where the price depends on the request. */
  amount: string | null
  currency?: string
  description?: string
}

/**
 * The offers of an `x-payment-info` extension, be it the list or the shorthand for one; undefined if it breaks the schema.
 *
 * @see draft-payment-discovery-00, "x-payment-info"
 */
export function parsePaymentInfo(value: unknown): PaymentOffer[] | undefined {
  if (!isRecord(value)) return undefined
  if (!Object.hasOwn(value, 'offers')) return isOffer(value) ? [value] : undefined
  const { offers } = value
  // Neither of the two forms allows further members, so they cannot be mixed.
  if (Object.keys(value).length !== 1 || !Array.isArray(offers) || offers.length === 0) return undefined
  return offers.every(isOffer) ? offers : undefined
}

const METHOD = /^[a-z]+$/
const MEMBERS: readonly string[] = ['intent', 'method', 'amount', 'currency', 'description']

function isOffer(value: unknown): value is PaymentOffer {
  if (!isRecord(value) || !Object.keys(value).every((name) => MEMBERS.includes(name))) return false
  const { intent, method, amount, currency, description } = value
  return (
    (intent === 'charge' || intent === 'session') &&
    typeof method === 'string' &&
    METHOD.test(method) &&
    (amount === null || isAmount(amount)) &&
    isOptionalText(currency) &&
    isOptionalText(description)
  )
}

function isAmount(value: unknown): boolean {
  return parseBaseUnits(value) !== undefined
}

function isOptionalText(value: unknown): boolean {
  return value === undefined || typeof value === 'string'
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
