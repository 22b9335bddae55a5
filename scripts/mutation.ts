// `npm run mutation`: proves that the conformance suite notices what can go wrong. Named defects and seeded mechanical
// mutants are put into the server and the adapters, one at a time, and `testAdapter` is asked about each. Exits 1 below the
// targets. Options: --seed 1, --count 320 (or all), --only <id,…>, --slice (a short one, for CI), --no-named,
// --no-units, --verbose.
import { globSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { bundle } from './mutation/bundle.ts'
import { judge, judgeBundle, open, type Court, type Ruling } from './mutation/court.ts'
import { defects as allDefects, type Defect } from './mutation/defects.ts'
import { apply, instrument, type Numbered } from './mutation/instrument.ts'
import { findJudges, judgesOf, root, type Judge } from './mutation/judges.ts'
import { Pool } from './mutation/pool.ts'
import { printReport, type Case } from './mutation/report.ts'
import { choose, groupBy } from './mutation/sample.ts'
import { slice } from './mutation/slice.ts'
import { mutantsOf } from './mutation/sites.ts'
import { elsewhere, equivalents } from './mutation/triage.ts'
import { Units } from './mutation/units.ts'

const { values: options } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    count: { type: 'string', default: '320' },
    only: { type: 'string' },
    slice: { type: 'boolean', default: false },
    named: { type: 'boolean', default: true },
    units: { type: 'boolean', default: true },
    verbose: { type: 'boolean', default: false },
  },
  allowNegative: true,
})
const began = Date.now()
const results = join(root, 'coverage/mutation')
mkdirSync(results, { recursive: true })
const folder = mkdtempSync(join(results, 'run-'))
// Most of a question is waiting.
const lanes = Math.min(4, 2 * availableParallelism())
const pool = new Pool(lanes)
process.once('exit', () => {
  pool.close()
  rmSync(folder, { recursive: true, force: true })
})
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
  process.once(signal, () => {
    console.error(`ended by ${signal}`)
    process.exit(1)
  })

// Read once: whatever others edit meanwhile, one state is judged.
const sources = new Map(
  globSync('packages/{core,server,adapters/*}/src/**/*.ts', { cwd: root })
    .map((file) => file.replaceAll('\\', '/'))
    .toSorted()
    .map((file) => [file, readFileSync(join(root, file), 'utf8')]),
)
const judges = findJudges()
const candidates = [...sources]
  .filter(([file]) => !file.startsWith('packages/core/') && judgesOf(file, judges).length > 0)
  .flatMap(([file, source]) => mutantsOf(file, source))
  .map((mutant, number): Numbered => ({ ...mutant, number }))
const only = options.only?.split(',')
const defects = allDefects.filter(({ id }) => {
  if (only) return only.includes(id)
  return options.named && (!options.slice || slice.named.includes(id))
})
checkDefects()
const count = options.count === 'all' ? Infinity : Number(options.count)
const listed = only ?? (options.slice ? slice.mechanical : undefined)
const mutants = listed
  ? candidates.filter(({ id }) => listed.includes(id))
  : choose(candidates, count, options.seed)
if (defects.length + mutants.length === 0) throw new Error(`nothing is called ${options.only ?? ''}`)
if (options.slice && mutants.length < slice.least)
  throw new Error(
    `of the slice only ${mutants.length} mutants are left: write scripts/mutation/slice.ts anew`,
  )

const byFile = groupBy(candidates, ({ file }) => file)
const wanted = new Set([...defects, ...mutants].flatMap(({ file }) => judgesFor(file)))
const courts = (await inLanes([...wanted], openCourt)).flatMap((court) => court ?? [])
const courtOf = new Map(courts.map((court) => [court.judge, court]))
console.log(
  `${defects.length} named defects; ${mutants.length} of ${candidates.length} mechanical mutants, seed ${options.seed}; ` +
    `asked without them: ${courts.map((court) => `${court.judge.name} ${court.questions.length}`).join(', ')}`,
)
for (const { judge: each, unfit } of courts)
  for (const [key, reason] of unfit)
    console.log(
      `not asked on ${each.name}, red without a mutant: ${key}: ${reason.slice(0, options.verbose ? 2000 : 200)}`,
    )

const cases: Case[] = [
  ...(await inLanes(defects.filter(isJudged), judgeDefect)),
  ...(await inLanes(mutants.filter(isJudged), judgeMutant)),
]
// Before the second judge is asked, who takes as long again.
save()
await askUnits(cases.filter(({ caught }) => !caught))
pool.close()
save()
const ok = printReport(cases, seconds(), {
  units: options.units && !options.slice,
  all: options.slice || only !== undefined,
})
process.exit(ok && courts.length === wanted.size ? 0 : 1)

function seconds(): number {
  return Math.round((Date.now() - began) / 1000)
}

function save(): void {
  const target = join(results, options.slice ? 'slice.json' : 'result.json')
  const { seed } = options
  const told = cases.map((each) => ({ ...each, text: undefined }))
  const result = { seed, seconds: seconds(), candidates: candidates.length, cases: told }
  writeFileSync(target, `${JSON.stringify(result, null, 1)}\n`)
}

function checkDefects(): void {
  const faults: string[] = []
  const seen = new Set<string>()
  for (const { id, file, find } of defects) {
    if (seen.has(id)) faults.push(`${id} stands here twice`)
    seen.add(id)
    const found = (sources.get(file) ?? '').split(find).length - 1
    if (found !== 1) faults.push(`${id}: ${file} holds ${String(found)} times: ${find}`)
  }
  if (faults.length === 0) return
  console.error(faults.join('\n'))
  process.exit(1)
}

async function openCourt(each: Judge): Promise<Court | undefined> {
  try {
    const change = (file: string, source: string): string =>
      instrument(sources.get(file) ?? source, byFile.get(file) ?? [])
    return await open(each, folder, pool, change, options.slice ? 1 : 2)
  } catch (error) {
    console.log(`NOT JUDGED on ${each.name}: ${String(error).slice(0, options.verbose ? 20_000 : 500)}`)
    return undefined
  }
}

function isJudged({ file }: { file: string }): boolean {
  return courtsOf(file).length > 0
}

async function judgeDefect(defect: Defect): Promise<Case> {
  const { id, file, find, replace, says } = defect
  const source = sources.get(file)!
  const text = source.replace(find, () => replace)
  const line = source.slice(0, source.indexOf(find)).split('\n').length
  const rulings: Ruling[] = []
  for (const court of courtsOf(file)) {
    const target = join(folder, `${court.judge.name}-${id}.mjs`)
    await bundle(court.judge, target, (own, other) => (own === file ? text : (sources.get(own) ?? other)))
    rulings.push(await judgeBundle(court, target, pool))
    rmSync(target, { force: true })
    if (rulings.at(-1)!.caught) break
  }
  return told({ group: 'named', id, file, line, within: '', kind: 'named', what: says, text, rulings })
}

async function judgeMutant(mutant: Numbered): Promise<Case> {
  const { id, file, line, kind, within, original, replacement, shape, number } = mutant
  const rulings: Ruling[] = []
  for (const court of courtsOf(file)) {
    rulings.push(await judge(court, number, pool))
    if (rulings.at(-1)!.caught) break
  }
  const brief = (part: string): string => part.replace(/\s+/g, ' ').slice(0, 90)
  const change =
    shape === 'statement' ? `without ${brief(original)}` : `${brief(original)} → ${brief(replacement)}`
  const what = `${within === '' ? '' : `${within}: `}${change}`
  return told({
    group: 'mechanical',
    id,
    file,
    line,
    within,
    kind,
    what,
    text: apply(sources.get(file)!, mutant),
    rulings,
  })
}

function told({ rulings, ...rest }: Omit<Case, 'caught' | 'uncovered'> & { rulings: Ruling[] }): Case {
  const last = rulings.at(-1)
  const caught = last?.caught ?? false
  const uncovered = rulings.every((ruling) => ruling.uncovered)
  const equivalent = equivalents[rest.id]
  const asked = rest.group === 'named' ? undefined : askedElsewhere(rest)
  const result: Case = {
    ...rest,
    caught,
    uncovered,
    equivalent,
    elsewhere: asked,
    by: last?.by,
    why: last?.why,
  }
  if (options.verbose) {
    const end = caught ? `caught by ${last?.by ?? ''}` : uncovered ? 'UNCOVERED' : 'LIVES'
    console.log(`${rest.id}  ${rest.file.replace('packages/', '')}:${rest.line}  ${rest.what}  ${end}`)
  }
  return result
}

function askedElsewhere({ file, within }: { file: string; within: string }): string | undefined {
  return elsewhere.find((each) => each.file === file && (each.within?.test(within) ?? true))?.asked
}

function judgesFor(file: string): Judge[] {
  const own = judgesOf(file, judges)
  return options.slice ? own.filter(({ name }) => slice.judges.includes(name)) : own
}

function courtsOf(file: string): Court[] {
  return judgesFor(file).flatMap((each) => courtOf.get(each) ?? [])
}

/** What the suite has let live is shown to the unit tests. */
async function askUnits(survivors: readonly Case[]): Promise<void> {
  if (!options.units || options.slice || survivors.length === 0) return
  const units = new Units(sources, folder)
  try {
    await inLanes(survivors, async (each) => {
      each.units = await units.catch(each.file, each.text)
      if (options.verbose) console.log(`${each.id}  unit tests: ${each.units ? 'caught' : 'LIVES'}`)
    })
    for (const file of await units.unfit()) console.log(`not asked, red without a mutant: ${file}`)
  } catch (error) {
    console.log(`NOT JUDGED by the unit tests: ${String(error)}`)
  }
}

async function inLanes<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> {
  const done: R[] = []
  let next = 0
  const lane = async (): Promise<void> => {
    for (let at = next++; at < items.length; at = next++) done[at] = await work(items[at]!)
  }
  await Promise.all(Array.from({ length: lanes }, lane))
  return done
}
