/*
 * A stand-in for the part of vitest that packages/testing uses, so that the conformance suite runs inside any runtime:
 * bundle with `alias: { vitest: 'test/runtimes/lib/runner.ts' }`. Unlike vitest it can run what was registered as often
 * as is wanted, in one process.
 */
import {
  chai,
  getState,
  JestAsymmetricMatchers,
  JestChaiExpect,
  setState,
  type ExpectStatic,
} from '@vitest/expect'

/** What became of one test. */
export interface Result {
  /** As registered, e.g. `CORE-001 a price is shown [challenge]`. */
  title: string
  /** The titles of its suites, outermost first. */
  suites: string[]
  /** The requirement ids in the title. */
  ids: string[]
  /** What stands in brackets at the end of the title: the name of the question. */
  key: string | undefined
  outcome: 'passed' | 'failed' | 'expected-failure' | 'skipped'
  /** Why it failed, or was skipped. */
  reason?: string
  milliseconds: number
}

/** How the registered tests are run. */
export interface RunOptions {
  /** Which tests; the others are left out of the results. By title, and the titles of the suites around, outermost first. */
  only?(title: string, suites: readonly string[]): boolean
  /** Stop at the first failure. */
  bail?: boolean
  /** Milliseconds for a test that names no time of its own. Default 20 000. */
  timeout?: number
  /** Milliseconds for a hook. Default 30 000. */
  hookTimeout?: number
  /** Called after each test, and awaited. */
  onResult?(result: Result): void | Promise<void>
}

interface Context {
  task: { name: string; suite: Suite; file: { filepath: string } }
  /** Ends the test: it counts as skipped. */
  skip(reason?: string): never
}

type Body = (context: Context) => unknown
type Hook = () => unknown
interface Settings {
  timeout?: number
  fails?: boolean
  skip?: boolean
}

interface Test extends Settings {
  name: string
  body: Body
}

interface Suite {
  name: string
  suite: Suite | undefined
  parts: (Suite | Test)[]
  beforeAll: Hook[]
  afterAll: Hook[]
  beforeEach: Hook[]
  afterEach: Hook[]
}

let root = newSuite('', undefined)
let current = root

/** Forgets everything that was registered, and registers what `define` defines. */
export function collect(define: () => void): void {
  root = newSuite('', undefined)
  current = root
  define()
}

/**
 * Runs what was registered, one test after another. May be called again when it has resolved; what a suite counts from
 * its beginning (`testAdapter` does) needs `collect` before each run.
 */
export async function run(options: RunOptions = {}): Promise<Result[]> {
  const results: Result[] = []
  await runSuite(root, options, results, { stopped: false })
  return results
}

export function describe(name: string, define: () => void): void {
  const suite = newSuite(name, current)
  current.parts.push(suite)
  const outer = current
  current = suite
  try {
    define()
  } finally {
    current = outer
  }
}

/** As in vitest: `test(name, body, timeout?)` or `test(name, options, body)`. */
export const test = Object.assign(register({}), {
  fails: register({ fails: true }),
  skip: register({ skip: true }),
})
export const it = test

export const beforeAll = (hook: Hook): void => void current.beforeAll.push(hook)
export const afterAll = (hook: Hook): void => void current.afterAll.push(hook)
export const beforeEach = (hook: Hook): void => void current.beforeEach.push(hook)
export const afterEach = (hook: Hook): void => void current.afterEach.push(hook)

chai.use(JestChaiExpect)
chai.use(JestAsymmetricMatchers)

/** The same assertions as vitest's, by the same code. */
export const expect: ExpectStatic = Object.assign(
  (value: unknown, message?: string) => {
    setState({ assertionCalls: getState(key).assertionCalls + 1 }, key)
    return chai.expect(value, message)
  },
  chai.expect,
  { getState: () => getState(key) },
) as never
// The matchers keep their state by function.
const key = expect as never
resetState()

function resetState(): void {
  setState({ assertionCalls: 0, isExpectingAssertions: false, expectedAssertionsNumber: null }, key)
}

function newSuite(name: string, suite: Suite | undefined): Suite {
  return { name, suite, parts: [], beforeAll: [], afterAll: [], beforeEach: [], afterEach: [] }
}

function register(fixed: Settings) {
  return (name: string, first: Settings | Body, second?: Body | number): void => {
    const own = typeof first === 'object' ? first : typeof second === 'number' ? { timeout: second } : {}
    const body = typeof first === 'function' ? first : second
    if (typeof body !== 'function') throw new TypeError(`test "${name}" has no body`)
    current.parts.push({ name, body, ...own, ...fixed })
  }
}

async function runSuite(
  suite: Suite,
  options: RunOptions,
  results: Result[],
  progress: { stopped: boolean },
): Promise<void> {
  if (progress.stopped || !wanted(suite, options)) return
  const { hookTimeout = 30_000 } = options
  let broken: unknown
  try {
    for (const hook of suite.beforeAll) await within(hookTimeout, 'beforeAll', hook)
  } catch (error) {
    broken = error ?? new Error('beforeAll failed')
  }
  for (const part of suite.parts) {
    if (progress.stopped) break
    if ('parts' in part) {
      if (broken === undefined) await runSuite(part, options, results, progress)
      else await fail(part, broken)
    } else if (chosen(part, suite, options)) {
      await note(broken === undefined ? await runTest(part, suite, options) : failure(part, suite, broken))
    }
  }
  for (const hook of suite.afterAll) {
    try {
      await within(hookTimeout, 'afterAll', hook)
    } catch (error) {
      // Not a question of the suite, but nothing that may pass unseen.
      await note(failure({ name: 'afterAll', body: hook }, suite, error))
    }
  }

  async function note(result: Result): Promise<void> {
    results.push(result)
    await options.onResult?.(result)
    if (options.bail && result.outcome === 'failed') progress.stopped = true
  }

  async function fail(part: Suite, error: unknown): Promise<void> {
    for (const inner of part.parts) {
      if ('parts' in inner) await fail(inner, error)
      else if (chosen(inner, part, options)) await note(failure(inner, part, error))
    }
  }
}

function wanted(suite: Suite, options: RunOptions): boolean {
  return suite.parts.some((part) => ('parts' in part ? wanted(part, options) : chosen(part, suite, options)))
}

function chosen({ name }: Test, suite: Suite, { only }: RunOptions): boolean {
  return only?.(name, namesOf(suite)) ?? true
}

async function runTest(test: Test, suite: Suite, options: RunOptions): Promise<Result> {
  const { timeout = 20_000, hookTimeout = 30_000 } = options
  const began = performance.now()
  const end = (outcome: Result['outcome'], reason?: string): Result => ({
    ...describeTest(test, suite),
    outcome,
    ...(reason !== undefined && { reason }),
    milliseconds: Math.round(performance.now() - began),
  })
  if (test.skip) return end('skipped', 'test.skip')
  const line = lineOf(suite)
  const context: Context = {
    task: { name: test.name, suite, file: { filepath: '' } },
    skip(reason = 'context.skip()') {
      throw new Skip(reason)
    },
  }
  resetState()
  let error: unknown
  let failed = false
  try {
    for (const { beforeEach: hooks } of line)
      for (const hook of hooks) await within(hookTimeout, 'beforeEach', hook)
    await within(test.timeout ?? timeout, 'the test', () => test.body(context))
  } catch (thrown) {
    failed = true
    error = thrown
  }
  try {
    for (const { afterEach: hooks } of line.toReversed())
      for (const hook of hooks) await within(hookTimeout, 'afterEach', hook)
  } catch (thrown) {
    failed = true
    error ??= thrown
  }
  if (error instanceof Skip) return end('skipped', error.message)
  if (test.fails) {
    if (failed) return end('expected-failure', explain(error))
    return end('failed', 'it is expected to fail, but passes: remove the note')
  }
  return failed ? end('failed', explain(error)) : end('passed')
}

class Skip extends Error {}

function failure(test: Test, suite: Suite, error: unknown): Result {
  return { ...describeTest(test, suite), outcome: 'failed', reason: explain(error), milliseconds: 0 }
}

function describeTest({ name }: Test, suite: Suite): Pick<Result, 'title' | 'suites' | 'ids' | 'key'> {
  return {
    title: name,
    suites: namesOf(suite),
    ids: [...new Set(name.match(/\b(?:CORE|CHG|TC)-\d{3}\b/g))],
    key: /\[([\w-]+)\](?: \(known: .*\))?$/.exec(name)?.[1],
  }
}

function namesOf(suite: Suite): string[] {
  return lineOf(suite).flatMap(({ name }) => (name === '' ? [] : [name]))
}

/** The suite and all around it, outermost first. */
function lineOf(suite: Suite): Suite[] {
  return suite.suite ? [...lineOf(suite.suite), suite] : [suite]
}

function explain(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const { actual, expected } = error as { actual?: unknown; expected?: unknown }
  const compared =
    actual === undefined && expected === undefined
      ? ''
      : `\nactual: ${brief(actual)}\nexpected: ${brief(expected)}`
  return `${error.stack ?? `${error.name}: ${error.message}`}${compared}`
}

function brief(value: unknown): string {
  try {
    return (typeof value === 'string' ? value : (JSON.stringify(value) ?? String(value))).slice(0, 2000)
  } catch {
    return String(value)
  }
}

/** What is cut off goes on in the background: nothing in JavaScript stops it. */
async function within(milliseconds: number, what: string, work: () => unknown): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(
      () => reject(new Error(`${what} took longer than ${String(milliseconds)} ms`)),
      milliseconds,
    )
  })
  try {
    await Promise.race([late, work()])
  } finally {
    clearTimeout(timer)
  }
}
