import { join } from 'node:path'
import { bundle } from './bundle.ts'
import type { Judge } from './judges.ts'
import type { End, Pool } from './pool.ts'

/** Milliseconds from which a question is asked only if it reaches the mutant, and not before the others. */
const SLOW = 500

/** What a run without a mutant says about one framework. */
export interface Court {
  judge: Judge
  /** The bundle with every mechanical mutant in it. */
  bundle: string
  /** In the suite's order: some of them need what an earlier one has left. */
  questions: { key: string; timeout: number; slow: boolean; last: boolean }[]
  /** Red without a mutant, so not asked; with the reason. */
  unfit: ReadonlyMap<string, string>
  /** Which numbers are reached by which question; `start`: before the first. */
  reached: Map<string, Set<number>>
}

export interface Ruling {
  caught: boolean
  /** The question that was answered wrongly. */
  by?: string
  why?: string
  /** Nobody asks anything that comes here. */
  uncovered?: boolean
}

/** Bundles a framework, and asks everything while no mutant is awake: for who reaches what, and once more for certainty. */
export async function open(
  judge: Judge,
  folder: string,
  pool: Pool,
  change: (file: string, source: string) => string,
  passes: 1 | 2,
): Promise<Court> {
  const file = join(folder, `${judge.name}.mjs`)
  await bundle(judge, file, change)
  const order = { judge: judge.name, bundle: file, mutant: undefined, bail: false }
  const unfit = new Map<string, string>()
  const list = await pool.run({ ...order, questions: undefined })
  if (list.kind !== 'listed' || list.questions.length < 50)
    throw new Error(`${judge.name}: ${JSON.stringify(list)}`)
  const first = await settled(
    list.questions.map(({ key }) => ({ key, timeout: 20_000 })),
    undefined,
  )
  const times = new Map(first.answers.map(({ key, milliseconds }) => [key, milliseconds]))
  const all = list.questions.map(({ key, last }) => {
    const time = times.get(key) ?? 0
    return { key, last, slow: time > SLOW, timeout: 2_000 + 6 * time }
  })
  const quick = all.filter(({ slow }) => !slow)
  if (passes === 2) await settled(quick, -1)
  const questions = all.filter(({ key }) => !unfit.has(key))
  const reached = new Map(Object.entries(first.hits ?? {}).map(([key, numbers]) => [key, new Set(numbers)]))
  return { judge, bundle: file, questions, unfit, reached }

  /** Runs without what is red although nothing is wrong: that says nothing about a mutant. */
  async function settled(
    asked: readonly { key: string; timeout: number }[],
    mutant: number | undefined,
  ): Promise<Extract<End, { kind: 'done' }>> {
    const rest = asked.filter(({ key }) => !unfit.has(key))
    const end = await pool.run({ ...order, mutant, questions: rest })
    if (end.kind === 'done')
      for (const { key, passed, reason = '' } of end.answers) if (!passed) unfit.set(key, reason)
    if (end.kind === 'broken') unfit.set(end.at, end.reason)
    if (unfit.size > 10 || unfit.has('start'))
      throw new Error(`without a mutant, ${judge.name} is not green: ${JSON.stringify([...unfit])}`)
    return end.kind === 'done' ? end : settled(asked, mutant)
  }
}

/** Whether any question reaches the mutant. */
export function reaches({ reached }: Court, number: number): boolean {
  return [...reached.values()].some((numbers) => numbers.has(number))
}

/** Puts a mutant of the big bundle to the questions that reach it, and, if it lives, to all. */
export async function judge(court: Court, number: number, pool: Pool): Promise<Ruling> {
  const { questions, reached } = court
  if (!reaches(court, number)) return { caught: false, uncovered: true }
  const everywhere = reached.get('start')?.has(number) ?? false
  const mine = questions.filter(({ key }) => everywhere || reached.get(key)?.has(number))
  const near = mine.filter(({ last, slow }) => !last && !slow)
  // Where nearly all of them come, they may as well be asked all at once.
  if (near.length > 0 && near.length < questions.length / 2) {
    const ruling = await confirmed(court, court.bundle, number, near, pool)
    if (ruling.caught) return ruling
  }
  const all = questions.filter((question) => !question.slow || mine.includes(question))
  return confirmed(court, court.bundle, number, all, pool)
}

/** Puts a bundle of its own to all questions. */
export function judgeBundle(court: Court, file: string, pool: Pool): Promise<Ruling> {
  return confirmed(court, file, -1, court.questions, pool)
}

/** Green alone while no mutant is awake, so that red alone says something. */
const alone = new WeakMap<Court, Map<string, Promise<boolean>>>()

/** One red answer may be chance; a second one by the same question is not. */
async function confirmed(
  court: Court,
  file: string,
  mutant: number,
  questions: Court['questions'],
  pool: Pool,
): Promise<Ruling> {
  const order = { judge: court.judge.name, bundle: file, mutant, bail: true }
  const first = redOf(await pool.run({ ...order, questions }))
  if (!first) return { caught: false }
  const own = questions.filter(({ key }) => key === first.by)
  if (own.length > 0 && (await isGreenAlone(court, own[0]!, pool))) {
    const again = redOf(await pool.run({ ...order, questions: own }))
    if (again) return again
  }
  // It takes what was asked before, or it was chance.
  return redOf(await pool.run({ ...order, questions: court.questions })) ?? { caught: false }
}

function isGreenAlone(court: Court, question: Court['questions'][number], pool: Pool): Promise<boolean> {
  const known = alone.get(court) ?? new Map<string, Promise<boolean>>()
  alone.set(court, known)
  const order = {
    judge: court.judge.name,
    bundle: court.bundle,
    mutant: -1,
    bail: true,
    questions: [question],
  }
  const green = known.get(question.key) ?? pool.run(order).then((end) => !redOf(end))
  known.set(question.key, green)
  return green
}

function redOf(end: Awaited<ReturnType<Pool['run']>>): Ruling | undefined {
  if (end.kind === 'broken') return { caught: true, by: end.at, why: end.reason.slice(0, 500) }
  if (end.kind !== 'done') return undefined
  const red = end.answers.find(({ passed }) => !passed)
  return red && { caught: true, by: red.key, why: (red.reason ?? '').slice(0, 500) }
}
