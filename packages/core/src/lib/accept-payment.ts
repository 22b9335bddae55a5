import { trimBlanks } from './text.ts'

/** One range of an `Accept-Payment` field; `*` matches all. `q` is 0..1. */
export interface PaymentRange {
  method: string
  intent: string
  q: number
}

const RANGE = /^(\*|[a-z]+)\/(\*|[A-Za-z0-9-]+)(?:[ \t]*;[ \t]*[qQ]=(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?))?$/

/**
 * The ranges of the field (lines joined by ", "), or undefined if it is malformed. An empty field has no ranges.
 *
 * @see draft-httpauth-payment-00, "Accept-Payment"; RFC 9110 section 12.4.2
 */
export function parseAcceptPayment(field: string): PaymentRange[] | undefined {
  const ranges: PaymentRange[] = []
  for (const member of field.split(',')) {
    const text = trimBlanks(member)
    if (text === '') continue
    const match = RANGE.exec(text)
    if (match === null) return undefined
    const [, method = '', intent = '', q = '1'] = match
    ranges.push({ method, intent, q: Number(q) })
  }
  return ranges
}

/**
 * The offers that some range accepts, best first; equal weights keep the server's order. All of them if nothing
 * matches. The most specific range of an offer gives its weight, of equally specific ones the kindest.
 *
 * @see draft-httpauth-payment-00, "Accept-Payment"
 */
export function rankOffers<T extends { method: string; intent: string }>(
  offers: readonly T[],
  ranges: readonly PaymentRange[],
): T[] {
  const accepted = offers
    .map((offer) => ({ offer, weight: weightOf(offer, ranges) }))
    .filter(({ weight }) => weight > 0)
    .toSorted((a, b) => b.weight - a.weight)
    .map(({ offer }) => offer)
  return accepted.length > 0 ? accepted : [...offers]
}

function weightOf(offer: { method: string; intent: string }, ranges: readonly PaymentRange[]): number {
  let weight = 0
  let precision = -1
  for (const range of ranges) {
    const isMethod = range.method === offer.method
    const isIntent = range.intent === offer.intent
    if ((!isMethod && range.method !== '*') || (!isIntent && range.intent !== '*')) continue
    const own = Number(isMethod) + Number(isIntent)
    if (own > precision || (own === precision && range.q > weight)) {
      precision = own
      weight = range.q
    }
  }
  return weight
}
