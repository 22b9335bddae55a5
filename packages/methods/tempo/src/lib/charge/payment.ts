import type { ClientContext } from '@mppkit/core'
import type { Hex } from '../address.ts'
import type { Settlement } from '../settlement.ts'

/** Seconds before its end in which a payment can be mined: the chain gives it 30, and clocks differ. */
const longest = 60

/** What a journal keeps of a payment. */
export interface Payment {
  type: 'transaction' | 'hash'
  /** Unix seconds from which on it is void. */
  validBefore: number
  /** Unknown where somebody else signs after us. */
  hash?: Hex
  currency: Hex
  recipient: Hex
  /** The memo of this payment alone, if it has one. */
  memo?: Hex
  fromBlock?: Hex
}

/** Whether a payment was made, is void, or may still be made. One call to the node if it was made. */
export async function findPayment(
  payment: Payment,
  payer: Hex,
  settlement: Settlement,
  context: ClientContext,
): Promise<'moved' | 'not-moved' | 'unknown'> {
  const { hash, memo, validBefore, currency, recipient, fromBlock = '0x0' } = payment
  const now = Math.floor(context.now() / 1000)
  const window = { from: validBefore - longest, until: validBefore }
  if (hash !== undefined) {
    const outcome = await settlement.find([hash], window, now, context.signal)
    if (outcome === 'unknown') return 'unknown'
    return outcome !== 'never' && outcome.status === '0x1' ? 'moved' : 'not-moved'
  }
  // Sponsored under the seller's memo: nothing on the chain tells this payment from the next one.
  if (memo === undefined) return 'unknown'
  const query = { currency, from: payer, to: recipient, memo, fromBlock }
  const outcome = await settlement.findMemo(query, window, now, context.signal)
  return outcome === 'never' ? 'not-moved' : outcome
}
