/** One range of an `Accept-Payment` field; `*` matches all. `q` is 0..1. */
export interface PaymentRange {
  method: string
  intent: string
  q: number
}

/** The ranges of the field (lines joined by ", "), or undefined if it is malformed. An empty field has no ranges. */
export function parseAcceptPayment(field: string): PaymentRange[] | undefined {
  throw new Error(`pending ${field}`)
}

/** The offers that some range accepts, best first; equal weights keep the server's order. All of them if nothing matches. */
export function rankOffers<T extends { method: string; intent: string }>(offers: readonly T[], ranges: readonly PaymentRange[]): T[] {
  throw new Error(`pending ${offers.length} ${ranges.length}`)
}
