import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { citationsFromReport, coverage, parseCitations, unproven, type Citation } from './lib/coverage.ts'
import { requirements, type Requirement } from './lib/requirements.ts'

/*
 * node coverage-cli.ts <report.json | folder of citations>…
 *
 * Prints what the tests prove and what they do not, and exits with 1 when a MUST of a server or a client is unproven.
 */

const sources = process.argv.slice(2)
if (sources.length === 0 && process.env.MPPKIT_CITATIONS) sources.push(process.env.MPPKIT_CITATIONS)
if (sources.length === 0) {
  console.error(
    'usage: coverage-cli <report of vitest --reporter=json | folder that MPPKIT_CITATIONS named>…',
  )
  process.exit(2)
}

const report = coverage(requirements, sources.flatMap(read))
const failures = unproven(report)

show('Deviates', report.deviating)
show('Not observable', report.notObservable)
show('Missing', report.missing)
if (report.unknown.length > 0) console.log(`\nUnknown ids: ${report.unknown.join(', ')}`)

console.log(
  `\n${'draft'.padEnd(8)}${'cited'.padStart(8)}${'deviates'.padStart(10)}${'no test'.padStart(9)}${'missing'.padStart(9)}`,
)
for (const prefix of ['CORE', 'CHG', 'TC']) {
  const of = (rows: readonly { id: string }[]): number =>
    rows.filter(({ id }) => id.startsWith(`${prefix}-`)).length
  const cited = of(report.cited.map(({ requirement }) => requirement))
  const counts = [of(report.deviating), of(report.notObservable), of(report.missing)]
  console.log(
    `${prefix.padEnd(8)}${`${cited}`.padStart(8)}${`${counts[0]}`.padStart(10)}${`${counts[1]}`.padStart(9)}${`${counts[2]}`.padStart(9)}`,
  )
}
console.log(failures.length === 0 ? '\nEvery MUST is proven.' : `\n${failures.length} MUST without a test.`)
process.exitCode = failures.length === 0 ? 0 : 1

function read(source: string): Citation[] {
  if (!statSync(source).isDirectory()) return citationsFromReport(readFileSync(source, 'utf8'))
  const files = readdirSync(source).filter((file) => file.endsWith('.jsonl'))
  return files.flatMap((file) => parseCitations(readFileSync(join(source, file), 'utf8')))
}

function show(title: string, rows: readonly Requirement[]): void {
  if (rows.length === 0) return
  console.log(`\n${title}`)
  for (const { id, level, who, text, reason } of rows) {
    console.log(`  ${id.padEnd(9)} ${level.padEnd(10)} ${who.padEnd(11)} ${reason ?? text}`)
  }
}
