/*
 * Stands in for vitest in the bundles. On top of the runner of test/runtimes: questions are asked in any order, and each
 * says when it begins.
 */
import {
  afterAll as runnerAfter,
  beforeAll as runnerBefore,
  collect,
  run,
  test as registerTest,
  type Result,
} from '../../test/runtimes/lib/runner.ts'

export { expect } from '../../test/runtimes/lib/runner.ts'

type Hook = () => unknown
type Body = Extract<Parameters<typeof registerTest>[1], (...context: never) => unknown>

interface Question {
  key: string
  register: typeof registerTest.fails
  title: string
  body: Body
  /** Must hold of all that was answered before: comes after everything else. */
  last: boolean
}

const all = new Map<string, Question>()
const hooks: { before: Hook[]; after: Hook[] } = { before: [], after: [] }
let suites: string[] = []
let subject: string | undefined

/** Takes in the file's first `adapter …`, and nothing else of it. The order is made by `ask`, so there is one level. */
export function describe(name: string, inner: () => void): void {
  if (suites.length === 0) {
    if (subject !== undefined || !name.startsWith('adapter ')) return
    subject = name
  }
  suites.push(name)
  inner()
  suites = suites.slice(0, -1)
}

export function beforeAll(hook: Hook): void {
  if (suites.length > 0) hooks.before.push(hook)
}

export function afterAll(hook: Hook): void {
  if (suites.length > 0) hooks.after.push(hook)
}

/** What other suites of the file use; this one does not. */
export function afterEach(): void {
  if (suites.length > 0) throw new Error('the suite has hooks for each question, which are not taken in here')
}
export const beforeEach = afterEach

function take(register: Question['register']) {
  return (title: string, settings: object, body: Body): void => {
    if (suites.length === 0) return
    const key = /\[([\w-]+)\](?: \(known: .*\))?$/.exec(title)?.[1] ?? title
    if (all.has(key)) throw new Error(`two questions are called ${key}`)
    all.set(key, { key, register, title, body, last: suites.includes('at last') })
  }
}

export const test = Object.assign(take(registerTest), { fails: take(registerTest.fails) })

/** The names of all questions, in the suite's order. */
export function questions(): { key: string; last: boolean }[] {
  return [...all.values()].map(({ key, last }) => ({ key, last }))
}

/** Asks these, in this order. Once: a copy of the bundle is one server. */
export async function ask(
  order: readonly { key: string; timeout: number }[],
  bail: boolean,
  begin: (key: string) => void,
): Promise<Result[]> {
  collect(() => {
    for (const hook of hooks.before) runnerBefore(hook)
    for (const hook of hooks.after) runnerAfter(hook)
    for (const { key, timeout } of order) {
      const question = all.get(key)
      if (!question) throw new Error(`there is no question ${key}`)
      const { register, title, body } = question
      register(title, { timeout }, (context) => {
        begin(key)
        return body(context)
      })
    }
  })
  return run({ bail, timeout: 5_000 })
}
