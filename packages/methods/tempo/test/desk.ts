import type { Noted, Receipt } from '@mppkit/core'
import type { RefundNote } from '../src/lib/charge/refund.ts'
import { Till, type Offer, type Seller } from './harness.ts'

/** A payment that may be returned. */
export interface Order {
  seller: Seller
  made: Offer
  receipt: Receipt
  source?: string
}

/** What a server keeps of a refund: one note, the last. */
export interface Book {
  note?: string | undefined
}

/** Returns a payment as a server does it. */
export function giveBack(
  { seller, made, receipt, source }: Order,
  book: Book = {},
  over: Partial<Noted> & { id?: string } = {},
): Promise<Receipt> {
  const { id = 'quote-1', ...rest } = over
  const context = {
    ...new Till(seller).context(made, source),
    noted: book.note,
    note: async (text: string) => void (book.note = text),
    ...rest,
  }
  return seller.refund!(receipt, { id }, context)
}

/** The record of the payment is gone: of its challenge the server knows what the receipt says. */
export function forgotten(order: Order): Order {
  const { id, realm, method, intent } = order.made.challenge
  return {
    ...order,
    made: { challenge: { id, realm, method, intent, request: 'e30' }, request: {}, issued: 0 },
  }
}

export function noteOf(book: Book): RefundNote {
  return (JSON.parse(book.note!) as { refund: RefundNote }).refund
}

export function receiptFor(reference: string): Receipt {
  return { status: 'success', method: 'tempo', timestamp: '2026-01-01T00:00:00Z', reference }
}
