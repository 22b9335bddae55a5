import type { Progress } from './record.ts'

/** One thing that happened to a payment, and when. */
export interface Step {
  /** RFC 3339, by the wall clock of whoever did it. */
  at: string
  /** E.g. `claimed`, `noted`, `settled`, `started-2`, `ended`, `delivered`. */
  step: string
}

/** Steps are kept as `name.milliseconds`, with a space between them: the history of a payment costs one short string. */
export function addStep(steps: string | undefined, step: string, at: number): string {
  if (!steps) return `${step}.${at}`
  // What is tried again and again, for as long as a rail is down, is one step.
  return steps.startsWith(`${step}.`, steps.lastIndexOf(' ') + 1) ? steps : `${steps} ${step}.${at}`
}

/** What a write says about a payment; undefined: nothing new. */
export function stepOf(before: Progress, change: Partial<Progress>): string | undefined {
  const { state, note, open } = change
  if (state !== undefined && state !== before.state) return state
  if (note !== undefined && note !== before.note) return 'noted'
  return open === false && before.open ? 'ended' : undefined
}

export function readSteps(steps: string | undefined): Step[] {
  if (!steps) return []
  return steps.split(' ').map((each) => {
    const [step = '', at] = each.split('.')
    return { at: new Date(Number(at)).toISOString(), step }
  })
}
