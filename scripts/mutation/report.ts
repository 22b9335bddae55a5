import { groupBy } from './sample.ts'

/** One defect or mutant, and what became of it. */
export interface Case {
  group: 'named' | 'mechanical'
  id: string
  file: string
  line: number
  /** The innermost named function. */
  within: string
  kind: string
  what: string
  /** The source with it. */
  text: string
  caught: boolean
  /** No question comes there. */
  uncovered: boolean
  /** Why nothing could tell it from the code. */
  equivalent?: string | undefined
  /** Who asks about it, where a socket of Node shows nothing of it. */
  elsewhere?: string | undefined
  /** The question that caught it. */
  by?: string | undefined
  why?: string | undefined
  /** Whether the unit tests caught what the suite let live. */
  units?: boolean
}

/** Percent that the suite alone has to catch; equivalents do not count. */
const TARGETS = { named: 95, mechanical: 85 }

/** Prints the tables and what is left alive. True: the targets are met. */
export function printReport(
  cases: readonly Case[],
  seconds: number,
  { units, all }: { units: boolean; all: boolean },
): boolean {
  const named = cases.filter(({ group }) => group === 'named')
  const mechanical = cases.filter(({ group }) => group === 'mechanical')
  table('by kind', named, mechanical, ({ kind }) => kind)
  table('by file', [], cases, ({ file }) => shortOf(file))
  const alive = cases.filter(({ caught, equivalent }) => !caught && equivalent === undefined)
  if (alive.length > 0) console.log('\nalive:')
  for (const { id, file, line, kind, what, uncovered, elsewhere: asked, units: noticed } of alive) {
    const note = `${uncovered ? ', never asked' : ''}${asked === undefined ? '' : `, asked by: ${asked}`}${noticed === undefined ? '' : noticed ? ', unit tests: caught' : ', unit tests: alive'}`
    console.log(`  ${id}  ${shortOf(file)}:${line}  ${what}  (${kind}${note})`)
  }
  const wrong = cases.filter(({ caught, units: noticed, equivalent }) => equivalent && (caught || noticed))
  for (const { id, by } of wrong)
    console.log(
      `  ${id} is said to be equivalent, but ${by ?? 'the unit tests'} caught it: take the note away`,
    )
  const equivalent = cases.filter((each) => each.equivalent !== undefined).length
  const seen = mechanical.filter((each) => each.elsewhere === undefined)
  const lines: [string, string][] = [
    ['suite alone, named', figure(named)],
    ['suite alone, mechanical', figure(seen)],
    ['suite alone, mechanical, with what a socket does not show', figure(mechanical)],
  ]
  if (units)
    lines.push(
      ['suite and unit tests, named', figure(named, true)],
      ['suite and unit tests, mechanical', figure(mechanical, true)],
    )
  console.log()
  for (const [name, value] of lines) console.log(`${name}: ${value}`)
  console.log(`${equivalent} equivalent, not counted; ${seconds.toFixed(0)} s`)
  if (all) return alive.length === 0 && wrong.length === 0
  return percent(named) >= TARGETS.named && percent(seen) >= TARGETS.mechanical && wrong.length === 0
}

function table(
  title: string,
  first: readonly Case[],
  cases: readonly Case[],
  by: (each: Case) => string,
): void {
  console.log(`\n${title}`)
  const groups = [...groupBy(first, by), ...[...groupBy(cases, by)].toSorted(([a], [b]) => (a < b ? -1 : 1))]
  for (const [name, group] of groups) console.log(`  ${name.padEnd(28)} ${figure(group)}`)
}

function countOf(cases: readonly Case[], withUnits: boolean): [caught: number, of: number] {
  const real = cases.filter(({ caught, equivalent }) => caught || equivalent === undefined)
  return [real.filter(({ caught, units }) => caught || (withUnits && units)).length, real.length]
}

function figure(cases: readonly Case[], withUnits = false): string {
  const [caught, of] = countOf(cases, withUnits)
  return `${caught}/${of}${of === 0 ? '' : ` (${((caught / of) * 100).toFixed(1)} %)`}`
}

function percent(cases: readonly Case[]): number {
  const [caught, of] = countOf(cases, false)
  return of === 0 ? 100 : (caught / of) * 100
}

function shortOf(file: string): string {
  return file.replace(/^packages\/(?:adapters\/)?/, '').replace(/src\/(?:lib\/)?/, '')
}
