import type { Entry } from '@mppkit/core'
import type { PaymentRecord } from './record.ts'

/** The rows of the table: a record's state, and whether someone is at work on it. */
export type Situation =
  | 'pending-leased'
  | 'pending-free'
  | 'settled-leased'
  | 'settled-free'
  | 'settled-spent'
  | 'delivered'
  | 'unclaimed'
  | 'refunding'
  | 'refunded'

/** `same`: same challenge id and same proof as the record. `other`: anything else that leads to this record. */
export type Relation = 'same' | 'other'

export type Action =
  /** 409 with Retry-After: send the same credential again. */
  | { kind: 'wait'; detail: string }
  /** 409 without Retry-After: final. */
  | { kind: 'conflict'; detail: string }
  /** 402 with a fresh challenge. */
  | { kind: 'refuse'; detail: string }
  /** Take the payment over: repeat the claims, look for the money, else settle again. */
  | { kind: 'resume' }
  /** Start the handler again. */
  | { kind: 'redeem' }
  /** The kept answer, if the Idempotency-Key is the same; else as `refuse`. */
  | { kind: 'replay'; detail: string }

const FIRST = 'This payment was begun with another credential; send that one.'
const PAID = 'This is paid for; send the first credential to get what it bought.'

/** What a credential that finds a record gets. Data, so that a test can walk every cell. */
export const TABLE: Record<Situation, Record<Relation, Action>> = {
  'pending-leased': {
    same: { kind: 'wait', detail: 'The payment is being settled.' },
    other: { kind: 'conflict', detail: FIRST },
  },
  'pending-free': {
    same: { kind: 'resume' },
    other: { kind: 'conflict', detail: FIRST },
  },
  'settled-leased': {
    same: { kind: 'wait', detail: 'The paid request is being answered.' },
    other: { kind: 'conflict', detail: PAID },
  },
  'settled-free': {
    same: { kind: 'redeem' },
    other: { kind: 'conflict', detail: PAID },
  },
  'settled-spent': {
    same: {
      kind: 'conflict',
      detail:
        'This is paid for, but every attempt to answer it has been used. The money will be returned or listed for the seller.',
    },
    other: { kind: 'conflict', detail: 'This is paid for, but every attempt to answer it has been used.' },
  },
  delivered: {
    same: { kind: 'replay', detail: 'This challenge has been used.' },
    other: { kind: 'refuse', detail: 'This challenge or proof has been used.' },
  },
  unclaimed: {
    same: {
      kind: 'conflict',
      detail:
        'The money has arrived, but nothing was delivered for it. It is listed for the seller to return.',
    },
    other: {
      kind: 'conflict',
      detail: 'The money for this has arrived and is listed for the seller to return.',
    },
  },
  refunding: {
    same: { kind: 'conflict', detail: 'The money is being returned.' },
    other: { kind: 'conflict', detail: 'The money for this is being returned.' },
  },
  refunded: {
    same: { kind: 'refuse', detail: 'The money for this challenge was returned.' },
    other: { kind: 'refuse', detail: 'The money for this challenge was returned.' },
  },
}

/** Which row a stored record stands in. */
export function situationOf(record: PaymentRecord, entry: Entry): Situation {
  const { state } = record
  if (state === 'pending') return entry.leased ? 'pending-leased' : 'pending-free'
  if (state !== 'settled') return state
  if (entry.leased) return 'settled-leased'
  return record.started < record.claim.attempts ? 'settled-free' : 'settled-spent'
}
