/** Why nothing is paid; stable, for programs. */
export type RefusalCode =
  | 'no-challenge'
  | 'unsupported'
  | 'invalid'
  | 'expired'
  | 'clock'
  | 'insecure'
  | 'redirected'
  | 'request'
  | 'header'
  | 'digest'
  | 'origin'
  | 'realm'
  | 'method'
  | 'network'
  | 'currency'
  | 'recipient'
  | 'limit'
  | 'budget'
  | 'spent'
  | 'busy'
  | 'denied'
  | 'failed'
  | 'rejected'

/** Why nothing is paid. `detail` is for people. */
export interface Refusal {
  code: RefusalCode
  detail: string
  cause?: unknown
}

/** A refusal that says what its cause says; the messages of methods hold no secrets. */
export function refusal(code: RefusalCode, detail: string, cause?: unknown): Refusal {
  if (cause === undefined) return { code, detail }
  return { code, detail: cause instanceof Error ? `${detail}: ${cause.message}` : detail, cause }
}

/** Throws a `TypeError` with the remedy. */
export function must(holds: unknown, remedy: string): asserts holds {
  if (!holds) throw new TypeError(remedy)
}
