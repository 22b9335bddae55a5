const POSITIVE = /^[1-9][0-9]*$/
const UNITS = ['day', 'week', 'month'] as const
const DAY = 86_400_000
/** What `Date` can hold. */
const MAX_TIME = 8_640_000_000_000_000

/** How long a period is counted in; nothing else exists. */
export type PeriodUnit = (typeof UNITS)[number]

/**
 * Whether the value is a positive decimal integer as text, as `amount` and `periodCount` of a subscription must be.
 *
 * @see draft-payment-intent-subscription-00, "Request schema"
 */
export function isPositiveInteger(value: unknown): value is string {
  return typeof value === 'string' && POSITIVE.test(value)
}

/** Whether the value is a unit of periods. */
export function isPeriodUnit(value: unknown): value is PeriodUnit {
  return (UNITS as readonly unknown[]).includes(value)
}

/**
 * Whether the value can be a `subscriptionId`: text of the base64url alphabet, without padding, not empty.
 *
 * @see draft-payment-intent-subscription-00, "Subscription identifier"
 */
export function isSubscriptionId(value: unknown): value is string {
  return typeof value === 'string' && /^[A-Za-z0-9_-]+$/.test(value)
}

/**
 * The start of period `n` in Unix milliseconds, `n` = 0 being `anchor` itself. Always counted from the anchor and in
 * UTC: 31 January, 28 February, 31 March. Throws `TypeError` for counts that are no integers and for times that cannot
 * be told exactly.
 *
 * @see draft-payment-intent-subscription-00, "Billing periods"
 */
export function periodStart(anchor: number, unit: PeriodUnit, count: number, n: number): number {
  const steps = count * n
  if (!Number.isSafeInteger(steps) || count < 1 || n < 0)
    throw new TypeError('a period needs whole, positive counts')
  const start =
    unit === 'month' ? addMonths(anchor, steps) : anchor + steps * (unit === 'week' ? 7 * DAY : DAY)
  if (!(Math.abs(start) <= MAX_TIME)) throw new TypeError('the period starts beyond all calendars')
  return start
}

function addMonths(anchor: number, months: number): number {
  const from = new Date(anchor)
  const to = new Date(anchor)
  // Through the first of the month, which exists in every month.
  to.setUTCDate(1)
  to.setUTCMonth(from.getUTCMonth() + months)
  const lastDay = new Date(to)
  lastDay.setUTCMonth(to.getUTCMonth() + 1, 0)
  return to.setUTCDate(Math.min(from.getUTCDate(), lastDay.getUTCDate()))
}
