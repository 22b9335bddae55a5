import type { Plan } from './plan.ts'

/** A buyer's journal, line by line, with `at`; each is written before what it announces, or after what it reports. */
export type JournalLine =
  | ({ t: 'call' } & Plan)
  /** About to send, or to make, this payment. `debit` is the name of the movement of money that it can cause. */
  | { t: 'pay'; call: string; rail: string; quote: string; challenge: string; debit: string }
  | ({ t: 'got'; call: string } & Got)
  | { t: 'end'; call: string; how: string }

/** What one exchange with the seller came to. */
export interface Got {
  /** 0: there was no status line. */
  status: number
  /** Framed by its length or its last chunk, and all there. */
  complete: boolean
  bytes: number
  sha: string
  paid: boolean
  /** The payment that the receipt names. */
  quote?: string
  reference?: string
  retry?: boolean
  fault?: string
}

export interface HandlerLine {
  id: string
  attempt: number
  call: string
  /** Of the 2xx body that this start may send. */
  sha: string
  bytes: number
  at: number
  seller: string
}

export interface FaultLine {
  kind: string
  point?: string
  call?: string
  seller?: string
  at: number
  /** Calls that were at the same seller. */
  beside?: string[]
}

export interface MoveLine {
  id: string
  from: string
  to: string
  amount: string
  memo?: string
  at: number
}
