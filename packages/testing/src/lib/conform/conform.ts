import type { ClientMethod } from '@mppkit/core'
import { answerQuestions } from './ask-answer.ts'
import { boundQuestions } from './ask-bound.ts'
import { challengeQuestions } from './ask-challenge.ts'
import { mppkitQuestions } from './ask-mppkit.ts'
import { onceQuestions, seenQuestions } from './ask-once.ts'
import { paidQuestions } from './ask-paid.ts'
import { refusalQuestions } from './ask-refusal.ts'
import { wireQuestions } from './ask-wire.ts'
import { Fault, levelOf, Skip, type Question, type Verdict } from './question.ts'
import { createSubject, type Payer, type Subject } from './subject.ts'
import { NoAnswer, placeOf } from './wire.ts'

/** What is asked of whom, and who pays. */
export interface ConformOptions {
  /** A priced resource, http or https. */
  url: string
  /** Default `GET`, with a body `POST`. */
  method?: string
  body?: string
  /** Sent with every request, e.g. a login or a content type. */
  headers?: readonly (readonly [name: string, value: string])[]
  /** Who pays. Without it only the questions are asked that cost nothing. */
  pay?: Payer
  /** `spec` (default): what the drafts say of every server. `mppkit`: also what mppkit promises beyond them. */
  profile?: 'spec' | 'mppkit'
  /** A priced URL of the same server whose handler fails after the payment. */
  failing?: string
  /** Milliseconds that an answer may take. Default 10 000. */
  timeout?: number
  /** Called with each verdict as it is reached. */
  onVerdict?: (verdict: Verdict) => void
}

/** What came of all questions. */
export interface Report {
  url: string
  profile: 'spec' | 'mppkit'
  verdicts: Verdict[]
  passed: number
  /** Failures that break a MUST. */
  failed: number
  /** Failures that break a SHOULD. */
  warnings: number
  skipped: number
  /** HTTP answers that were judged. */
  answers: number
  /** Base units that were signed away at most. */
  spent: bigint
  /** Milliseconds. */
  took: number
}

/** All questions that can be asked of a running server, in order. */
export const questions: readonly Question[] = [
  ...challengeQuestions,
  ...answerQuestions,
  ...refusalQuestions,
  ...paidQuestions,
  ...boundQuestions,
  ...onceQuestions,
  ...mppkitQuestions,
  ...wireQuestions,
  ...seenQuestions,
]

/**
 * Asks a running server, in whatever language, all that can be asked from outside.
 * @throws TypeError for options that cannot work, `NoAnswer` when the server cannot be reached.
 */
export async function conform(options: ConformOptions): Promise<Report> {
  const { url, profile = 'spec', onVerdict } = options
  const began = performance.now()
  const subject = subjectOf(options)
  // Whether there is a server at all is not a question of conformance.
  await subject.unpaid()
  const verdicts: Verdict[] = []
  for (const question of questions) {
    if (question.group === 'mppkit' && profile !== 'mppkit') continue
    const verdict = await judge(question, subject)
    verdicts.push(verdict)
    onVerdict?.(verdict)
  }
  const count = (outcome: string, level?: string): number =>
    verdicts.filter((one) => one.outcome === outcome && (level === undefined || one.level === level)).length
  return {
    url,
    profile,
    verdicts,
    passed: count('passed'),
    failed: count('failed', 'error'),
    warnings: count('failed', 'warning'),
    skipped: count('skipped'),
    answers: subject.seen.length,
    spent: subject.spent,
    took: performance.now() - began,
  }
}

/**
 * Makes the subject of `options`.
 * @throws TypeError for options that cannot work.
 */
export function subjectOf(options: ConformOptions): Subject {
  const url = new URL(options.url)
  const { body, method = body === undefined ? 'GET' : 'POST', headers = [], pay, timeout = 10_000 } = options
  if (!/^[A-Z]+$/.test(method)) throw new TypeError(`${method} is no HTTP method; write e.g. POST`)
  for (const [name, value] of headers)
    if (!/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(name) || /[^\t\x20-\x7e]/.test(value))
      throw new TypeError(`the header ${JSON.stringify(name)} cannot be sent`)
  if (pay?.live && pay.most === undefined) throw new TypeError('real money needs a limit: give `most`')
  return createSubject({
    place: placeOf(url),
    raw: { target: url.pathname + url.search, method, ...(body !== undefined && { body }) },
    headers,
    payer: pay,
    failing: options.failing === undefined ? undefined : targetOf(options.failing, url),
    timeout,
  })
}

/** Asks one question. Rejects with what is neither its answer nor the server's. */
export async function judge(question: Question, subject: Subject): Promise<Verdict> {
  const { id, group, requirements, title, remedy } = question
  const base = { id, group, requirements, title, level: levelOf(question) }
  try {
    if (question.pays && !subject.payer) throw new Skip('needs a payment')
    const detail = (await question.ask(subject)) ?? ''
    return { ...base, outcome: 'passed', detail, remedy: '' }
  } catch (error) {
    if (error instanceof Skip) return { ...base, outcome: 'skipped', detail: error.message, remedy: '' }
    if (error instanceof Fault || error instanceof NoAnswer)
      return { ...base, outcome: 'failed', detail: error.message, remedy }
    throw error
  }
}

function targetOf(failing: string, base: URL): string {
  const url = new URL(failing, base)
  if (url.origin !== base.origin) throw new TypeError('`failing` must be on the same server')
  return url.pathname + url.search
}

/** A payer for a wallet whose money is play money. */
export function playMoney(method: ClientMethod): Payer {
  return { method, live: false }
}
