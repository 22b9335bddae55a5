import type { Result } from './runner.ts'

/** A request as it crosses the line; `body` is base64 if it was bytes. */
export interface SentRaw {
  method?: string
  target: string
  headers?: readonly (readonly [name: string, value: string])[]
  text?: string
  base64?: string
  /** The body is asked for piece by piece. */
  chunked?: boolean
}

/** An answer as it crosses the line. */
export interface SentGot {
  status: number
  headers: [name: string, value: string][]
  base64: string
  pieces: { after: number; size: number }[]
  complete: boolean
}

/** What a runtime under test says of its suite. */
export type OfSuite =
  | { kind: 'ready'; version: string }
  | { kind: 'result'; result: Result }
  | { kind: 'done' }
  | { kind: 'crash'; error: string }

/** What it says to the buyer, who lives in the process that has started it: as in `Buyer` and `Wire`. */
export type ToBuyer =
  | { kind: 'open'; id: number; url: string; raw: SentRaw }
  | { kind: 'connect'; id: number; url: string }
  | { kind: 'chunk'; id: number; text?: string; base64?: string }
  | { kind: 'call'; id: number; call: number; op: 'read'; bytes: number }
  | { kind: 'call'; id: number; call: number; op: 'next'; method: string | undefined }
  | { kind: 'call'; id: number; call: number; op: 'send'; raw: SentRaw }
  | { kind: 'write'; id: number; text?: string; base64?: string }
  | { kind: 'reset' | 'close'; id: number }

/** Begins the suite. */
export interface Run {
  kind: 'run'
  sample?: Sample | undefined
}

/** What the buyer tells. */
export type OfBuyer =
  | { kind: 'status'; id: number; status: number; sent: number }
  | { kind: 'pull'; id: number; sent: number }
  | { kind: 'end'; id: number; got: SentGot; sent: number }
  | { kind: 'failed'; id: number; error: string; sent: number }
  | { kind: 'connected'; id: number }
  | { kind: 'answer'; id: number; call: number; got?: SentGot | undefined; error?: string | undefined }

/** One of `of` parts of the questions, always the same. */
export interface Sample {
  of: number
  /** From 0. */
  part: number
}
