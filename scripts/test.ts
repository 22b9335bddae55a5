// `npm test`: lint, format, types, the dependency rule, clean entries, every test, and the proof that every requirement
// is covered. Ends with a line of figures; exits 1 if anything failed.
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const folder = mkdtempSync(join(tmpdir(), 'mppkit-test-'))
const report = join(folder, 'vitest.json')
const skips = join(folder, 'skips.txt')
const filters = process.argv.slice(2)

let failedSteps = 0

function step(name: string, command: string, args: string[]): boolean {
  const start = Date.now()
  console.log(`\n::: ${name}`)
  const { status } = spawnSync(command, args, {
    cwd: root,
    stdio: 'inherit',
    env: { ...process.env, FORCE_COLOR: '0', NO_COLOR: '1' },
  })
  const ok = status === 0
  console.log(`::: ${name} ${ok ? 'ok' : 'FAILED'} (${((Date.now() - start) / 1000).toFixed(1)} s)`)
  if (!ok) failedSteps++
  return ok
}

interface Assertion {
  fullName: string
  status: 'passed' | 'failed' | 'pending' | 'skipped' | 'todo'
}

interface Report {
  testResults: { name: string; status: string; message?: string; assertionResults: Assertion[] }[]
}

if (filters.length === 0) {
  step('lint', 'oxlint', ['--deny-warnings'])
  step('format', 'oxfmt', ['--check'])
  step('types', 'tsc', ['-p', 'tsconfig.json'])
  step('dependency rule', process.execPath, ['scripts/check-dependencies.ts'])
  step('clean entries', process.execPath, ['scripts/check-neutral.ts'])
}
const before = failedSteps
process.env.MPPKIT_SKIPS = skips
step('tests', 'vitest', [
  'run',
  '--reporter=default',
  '--reporter=json',
  '--reporter=./scripts/skips-reporter.ts',
  `--outputFile.json=${report}`,
  ...filters,
])

function readSkips(): string {
  try {
    return readFileSync(skips, 'utf8').replace(/^/gm, '  ')
  } catch {
    return '  (the reporter wrote nothing)'
  }
}

const counts = { passed: 0, failed: 0, skipped: 0 }
try {
  const { testResults } = JSON.parse(readFileSync(report, 'utf8')) as Report
  for (const file of testResults) {
    for (const { status } of file.assertionResults) {
      if (status === 'passed') counts.passed++
      else if (status === 'failed') counts.failed++
      else counts.skipped++
    }
    // A file that cannot be loaded has no failed test of its own.
    if (file.status === 'failed' && !file.assertionResults.some(({ status }) => status === 'failed'))
      counts.failed++
  }
  if (counts.failed > 0) failedSteps = before
} catch (error) {
  console.error(`no test report: ${(error as Error).message}`)
}
if (filters.length === 0)
  step('requirements', process.execPath, ['packages/testing/src/coverage-cli.ts', report])
if (counts.skipped > 0) console.log(`\nSkipped, and why:\n${readSkips()}`)
rmSync(folder, { recursive: true, force: true })

console.log(`\n${counts.passed} passed, ${counts.failed + failedSteps} failed, ${counts.skipped} skipped`)
process.exit(counts.failed + failedSteps > 0 ? 1 : 0)
