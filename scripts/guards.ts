// `npm run guards [A-15 A-07b …]`: takes out, one after the other, every guard that stands against an attack on a charge, and
// shows that its test then fails. Works on copies in a temporary folder; the working tree is only read.
import { spawn, type ChildProcess } from 'node:child_process'
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { basename, dirname, join, relative, sep } from 'node:path'
import { fileURLToPath } from 'node:url'
import { identity } from './guards/identity.ts'
import { elsewhere, server } from './guards/server.ts'
import { fates, sponsor } from './guards/sponsor.ts'
import { transaction } from './guards/transaction.ts'
import { transfers } from './guards/transfers.ts'
import { rowOf, type Guard } from './guards/types.ts'

const root = fileURLToPath(new URL('..', import.meta.url))
const rows = [...Array.from({ length: 27 }, (_, i) => `A-${String(i + 1).padStart(2, '0')}`), 'A-57', 'A-58']
const all = [...transfers, ...transaction, ...identity, ...sponsor, ...fates, ...server].toSorted((a, b) =>
  a.id < b.id ? -1 : 1,
)

type End = 'red' | 'green' | 'broken'

interface Outcome {
  end: End
  /** Why it is not red, or the first failure. */
  why: string
  seconds: number
}

interface Result {
  ancestorTitles: string[]
  title: string
  status: string
  failureMessages?: string[]
}

interface Report {
  testResults: { name: string; assertionResults: Result[] }[]
}

const wanted = process.argv.slice(2).filter((argument) => !argument.startsWith('-'))
const showWhy = process.argv.includes('--why')
const guards =
  wanted.length === 0 ? all : all.filter(({ id }) => wanted.some((name) => id === name || rowOf(id) === name))

checkData()
const started = Date.now()
const folder = realpathSync(mkdtempSync(join(tmpdir(), 'mppkit-guards-')))
const running = new Set<ChildProcess>()
process.once('exit', () => {
  for (const child of running) child.kill('SIGTERM')
  rmSync(folder, { recursive: true, force: true })
})
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1))

const lanes = Array.from({ length: Math.min(guards.length, 4, availableParallelism()) }, (_, i) =>
  copyTo(join(folder, `lane-${i}`)),
)
await checkGreen(lanes[0]!)
console.log(`${guards.length} guards, their tests are green; now without each of them:\n`)
const proven = await proveAll(lanes)
for (const { row, reason } of wanted.length === 0 ? elsewhere : [])
  console.log(`${row}  elsewhere: ${reason}`)
console.log(`\n${guards.length} guards, ${proven} proven (${((Date.now() - started) / 1000).toFixed(0)} s)`)
process.exit(proven === guards.length ? 0 : 1)

/** The list itself: no id twice, no row without a guard, each text exactly once, and in a rail's file the row is named beside it. */
function checkData(): void {
  const faults: string[] = []
  const seen = new Set<string>()
  for (const guard of all) {
    if (seen.has(guard.id)) faults.push(`${guard.id} stands here twice`)
    seen.add(guard.id)
    for (const { file, find } of guard.edits) {
      const parts = readFileSync(join(root, file), 'utf8').split(find)
      if (parts.length !== 2) faults.push(`${guard.id}: ${file} holds ${parts.length - 1} times: ${find}`)
      else if (file.includes('/methods/') && !isNamed(parts[0]!, find, parts[1]!, rowOf(guard.id)))
        faults.push(`${guard.id}: no comment names ${rowOf(guard.id)} at the guard in ${file}`)
    }
  }
  const known = new Set([...all.map(({ id }) => rowOf(id)), ...elsewhere.map(({ row }) => row)])
  for (const row of rows) if (!known.has(row)) faults.push(`${row} has neither a guard nor a reason`)
  if (guards.length === 0) faults.push(`no guard is called ${wanted.join(' or ')}`)
  if (faults.length === 0) return
  console.error(faults.join('\n'))
  process.exit(1)
}

/** On the lines of the guard, or close above them. */
function isNamed(before: string, find: string, after: string, row: string): boolean {
  const near = before.split('\n').slice(-8).join('\n') + find + after.slice(0, after.indexOf('\n'))
  return new RegExp(`(?://|\\*).*${row}`).test(near)
}

/** Packages with links of their own, so that what imports a sibling gets the copy of it. */
function copyTo(copy: string): string {
  for (const name of ['package.json', 'vitest.config.ts', 'tsconfig.base.json', 'tsconfig.json'])
    cpSync(join(root, name), join(copy, name))
  link(join(root, 'node_modules'), join(copy, 'node_modules'), copy)
  copyFolder(join(root, 'packages'), join(copy, 'packages'), copy)
  return copy
}

function copyFolder(from: string, to: string, copy: string): void {
  mkdirSync(to, { recursive: true })
  for (const entry of readdirSync(from, { withFileTypes: true })) {
    const [source, target] = [join(from, entry.name), join(to, entry.name)]
    if (entry.name === 'node_modules') link(source, target, copy)
    else if (entry.isDirectory() && entry.name !== 'dist' && !entry.name.startsWith('.'))
      copyFolder(source, target, copy)
    else if (entry.isFile()) cpSync(source, target)
  }
}

function link(from: string, to: string, copy: string): void {
  mkdirSync(to, { recursive: true })
  for (const entry of readdirSync(from, { withFileTypes: true })) {
    if (entry.name.startsWith('.')) continue
    const [source, target] = [join(from, entry.name), join(to, entry.name)]
    if (entry.name.startsWith('@') && entry.isDirectory()) link(source, target, copy)
    else {
      const real = realpathSync(source)
      const inside = relative(join(root, 'packages'), real)
      const ours = !inside.startsWith('..') && !inside.split(sep).includes('node_modules')
      symlinkSync(ours ? join(copy, 'packages', inside) : real, target, 'junction')
    }
  }
}

async function checkGreen(lane: string): Promise<void> {
  const files = new Map<string, Guard[]>()
  for (const guard of guards) files.set(guard.test.file, [...(files.get(guard.test.file) ?? []), guard])
  const { report, output } = await vitest(
    lane,
    [...files.keys()],
    guards.map(({ test }) => test.name),
    300_000,
  )
  const faults: string[] = []
  for (const guard of guards) {
    const tests = testsOf(guard, lane, report)
    if (tests.length === 0) faults.push(`${guard.id}: ${guard.test.file} has no test "${guard.test.name}"`)
    for (const { title, status } of tests)
      if (status !== 'passed') faults.push(`${guard.id}: "${title}" is ${status} with its guard in place`)
  }
  if (faults.length === 0) return
  console.error([...new Set(faults)].join('\n'), report ? '' : `\n${output}`)
  process.exit(1)
}

/** Prints in the order of the list, whichever is done first. */
async function proveAll(copies: readonly string[]): Promise<number> {
  const width = Math.max(...guards.map(({ what }) => what.length))
  const lines: string[] = []
  let [next, printed, count] = [0, 0, 0]
  const work = async (lane: string): Promise<void> => {
    for (let at = next++; at < guards.length; at = next++) {
      const guard = guards[at]!
      const { end, why, seconds } = await prove(guard, lane)
      if (end === 'red') count++
      const mark = end === 'red' ? `red in ${seconds.toFixed(1)} s` : `${end.toUpperCase()}: ${why}`
      const where = basename(guard.edits[0]!.file).padEnd(13)
      lines[at] = `${guard.id.padEnd(5)}  ${where}  ${guard.what.padEnd(width)}  ${mark}`
      if (showWhy && end === 'red') lines[at] += `\n       ${why}`
      while (lines[printed] !== undefined) console.log(lines[printed++])
    }
  }
  await Promise.all(copies.map(work))
  return count
}

/** Without the guard its test has to fail by an assertion: a file that does not load, or time that runs out, proves nothing. */
async function prove(guard: Guard, lane: string): Promise<Outcome> {
  const start = Date.now()
  const kept = new Map<string, string>()
  let result: { report: Report | undefined; output: string }
  try {
    for (const { file, find, replace } of guard.edits) {
      const path = join(lane, file)
      const text = readFileSync(path, 'utf8')
      if (!kept.has(path)) kept.set(path, text)
      if (text.split(find).length !== 2) throw new Error(`${file} does not hold exactly once: ${find}`)
      writeFileSync(
        path,
        text.replace(find, () => replace),
      )
    }
    result = await vitest(lane, [guard.test.file], [guard.test.name], 120_000, ['--bail=1'])
  } finally {
    for (const [path, text] of kept) writeFileSync(path, text)
  }
  const seconds = (Date.now() - start) / 1000
  const tests = testsOf(guard, lane, result.report)
  const failed = tests.find(({ status }) => status === 'failed')
  if (!failed) {
    const ran = tests.some(({ status }) => status === 'passed')
    const why = ran ? `"${guard.test.name}" does not miss it` : result.output.slice(-2000)
    return { end: ran ? 'green' : 'broken', why, seconds }
  }
  const [why = ''] = (failed.failureMessages?.[0] ?? '').split('\n    at ')
  // What was cut out badly fails as well, and what waits for ever fails for any reason.
  const broken =
    /^(?:ReferenceError|SyntaxError)|is not (?:defined|a function|iterable)|of undefined|timed out in/.test(
      why,
    )
  return { end: broken ? 'broken' : 'red', why: why.replace(/\s+/g, ' ').slice(0, 300), seconds }
}

function testsOf({ test }: Guard, lane: string, report: Report | undefined): Result[] {
  const file = report?.testResults.find(({ name }) => relative(lane, name).split(sep).join('/') === test.file)
  return (file?.assertionResults ?? []).filter(
    (result) => nameOf(result).includes(test.name) && result.status !== 'skipped',
  )
}

/** As the runner matches it. */
function nameOf({ ancestorTitles, title }: Result): string {
  return [...ancestorTitles, title].join(' > ')
}

/** One run in the lane, ended if it takes too long. No report: nothing could be run. */
function vitest(
  lane: string,
  files: readonly string[],
  names: readonly string[],
  limit: number,
  flags: readonly string[] = [],
): Promise<{ report: Report | undefined; output: string }> {
  const target = join(lane, 'report.json')
  rmSync(target, { force: true })
  const pattern = [...new Set(names)].map((name) => name.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&')).join('|')
  const program = join(dirname(realpathSync(join(root, 'node_modules/vitest/package.json'))), 'vitest.mjs')
  const args = ['run', ...files, '-t', pattern, '--reporter=json', `--outputFile=${target}`, ...flags]
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [program, ...args], {
      cwd: lane,
      env: { ...process.env, NO_COLOR: '1' },
    })
    running.add(child)
    let output = ''
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (chunk: Buffer) => (output = (output + chunk.toString()).slice(-20_000)))
    const timer = setTimeout(() => child.kill('SIGTERM'), limit)
    child.once('close', () => {
      clearTimeout(timer)
      running.delete(child)
      resolve({
        report: existsSync(target) ? (JSON.parse(readFileSync(target, 'utf8')) as Report) : undefined,
        output,
      })
    })
  })
}
