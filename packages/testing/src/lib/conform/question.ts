import { requirements } from '../requirements.ts'
import type { Subject } from './subject.ts'

/** One thing that is asked of a server. */
export interface Question {
  id: string
  /** `spec`: what the drafts say of every server. `mppkit`: what mppkit promises beyond them. */
  group: 'spec' | 'mppkit'
  /** Ids of the requirements that the answer tells about. */
  requirements: readonly string[]
  /** What must be so. */
  title: string
  /** What to do where it is not. */
  remedy: string
  /** Whether a failure is one, or only a warning; default: what the drafts say (MUST or SHOULD). */
  level?: 'error' | 'warning'
  /** Money is needed to ask it. */
  pays?: true
  /** Asks. Resolves with what was seen, throws `Fault` or `Skip`. */
  ask(subject: Subject): Promise<string | void>
}

/** What became of a question. */
export interface Verdict {
  id: string
  group: 'spec' | 'mppkit'
  requirements: readonly string[]
  title: string
  outcome: 'passed' | 'failed' | 'skipped'
  /** What a failure means: `error` breaks a MUST, `warning` a SHOULD. */
  level: 'error' | 'warning'
  /** What was seen, or why it was not asked. */
  detail: string
  /** What to do; empty unless failed. */
  remedy: string
}

/** The server does not do what is asked. */
export class Fault extends Error {
  override readonly name = 'Fault'
}

/** The question cannot be asked here. */
export class Skip extends Error {
  override readonly name = 'Skip'
}

/** Throws `Fault`. */
export function fault(detail: string): never {
  throw new Fault(detail)
}

/** Throws `Skip`. */
export function skip(reason: string): never {
  throw new Skip(reason)
}

/** Throws `Fault` unless something is so. */
export function check(condition: unknown, detail: string): asserts condition {
  if (!condition) throw new Fault(detail)
}

/** `warning` where all of the requirements are advice. */
export function levelOf({
  level,
  requirements: ids,
}: Pick<Question, 'level' | 'requirements'>): 'error' | 'warning' {
  if (level) return level
  const levels = ids.map((id) => requirements.find((one) => one.id === id)?.level)
  return levels.some((one) => one === undefined || /^(MUST|DEF)/.test(one)) ? 'error' : 'warning'
}
