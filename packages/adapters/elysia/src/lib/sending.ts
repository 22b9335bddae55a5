import type { Context } from 'elysia'

/** Elysia's context while an answer is made; the last two appear with an answer, or an error. */
export interface Answering {
  request: Request
  set: Context['set']
  response?: unknown
  error?: unknown
}

/** An answer on its way through Elysia. */
export interface Sending {
  /** When an answer, or an error handler's, is about to be mapped: what to send instead, if anything. */
  mapped(): Promise<Response | undefined> | Uint8Array | undefined
  /** When Elysia has handed the answer over. */
  ended?(): void
}
