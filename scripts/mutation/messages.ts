/** To a worker: put these questions to the bundle with this mutant awake. */
export interface Order {
  /** The framework in the bundle. */
  judge: string
  bundle: string
  /** Undefined: all sleep, and it is noted who reaches what. */
  mutant: number | undefined
  /** Undefined: only list the questions. */
  questions: { key: string; timeout: number }[] | undefined
  bail: boolean
}

/** From a worker. */
export type Word =
  | { kind: 'begun'; key: string }
  | { kind: 'listed'; questions: { key: string; last: boolean }[] }
  | { kind: 'done'; answers: Answered[]; hits: Record<string, number[]> | undefined }
  /** It could not be started, or something failed that nobody waited for. */
  | { kind: 'broken'; reason: string }

export interface Answered {
  key: string
  passed: boolean
  reason?: string | undefined
  milliseconds: number
}
