/*
 * node test/runtimes/main.ts [--all] [--adapter x] [--runtime y] [--quick] [--json out.json] [--markdown out.md] [--readme page.md]
 *
 * Runs the conformance suite in every runtime, each adapter in a process of its own; prints a line per cell, and exits
 * with 1 when a question has failed. `--quick` asks each a fourth of the questions.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { parseArgs } from 'node:util'
import { ADAPTERS, allCells } from './lib/cells.ts'
import { RUNTIMES } from './lib/platform.ts'
import type { Cell } from './lib/run-cell.ts'
import { runApps } from './lib/run-apps.ts'
import { countOf, isGood, runCells, type CellOutcome } from './lib/run-cells.ts'
import { matrix, withSummary } from './matrix.ts'

const { values: options } = parseArgs({
  options: {
    all: { type: 'boolean' },
    adapter: { type: 'string', multiple: true },
    runtime: { type: 'string', multiple: true },
    quick: { type: 'boolean' },
    json: { type: 'string' },
    markdown: { type: 'string' },
    readme: { type: 'string' },
  },
})

const cells = allCells().filter(
  ({ adapter, runtime }) =>
    (options.adapter?.includes(adapter) ?? true) && (options.runtime?.includes(runtime) ?? true),
)
if (cells.length === 0) {
  console.error(`no such cell; adapters: ${ADAPTERS.join(' ')}; runtimes: ${RUNTIMES.join(' ')}`)
  process.exit(2)
}

const quick = (cell: Cell) => (options.quick ? { of: 4, part: cells.indexOf(cell) % 4 } : undefined)
const outcomes = await runCells(cells, show, quick)
const apps = options.all
  ? await runApps(({ app, passed, known, failed }) =>
      console.log(
        `apps/${app.padEnd(13)} ${String(passed)} passed, ${String(failed.length)} failed, ${String(known.length)} known`,
      ),
    )
  : []
if (options.json !== undefined)
  write(options.json, `${JSON.stringify({ cells: outcomes, apps }, undefined, 1)}\n`)
if (options.markdown !== undefined) write(options.markdown, matrix(outcomes, apps))
if (options.readme !== undefined)
  write(options.readme, withSummary(readFileSync(options.readme, 'utf8'), matrix(outcomes, apps)))

const bad = outcomes.filter((outcome) => !isGood(outcome))
const badApps = apps.filter(({ failed }) => failed.length > 0)
for (const { app, failed } of badApps)
  for (const { id, title, detail } of failed) console.log(`apps/${app} [${id}] ${title}: ${detail}`)
for (const outcome of bad) explain(outcome)
console.log(
  bad.length === 0
    ? `${String(outcomes.length)} cells, all as they should be`
    : `${String(bad.length)} cells failed`,
)
// Not by coming to the end: Node has been seen to spin there, with all its work done.
process.exit(bad.length + badApps.length === 0 ? 0 : 1)

function show(outcome: CellOutcome): void {
  const name = `${outcome.adapter.padEnd(8)} ${outcome.runtime.padEnd(8)}`
  if ('missing' in outcome) return console.log(`${name} skipped: ${outcome.missing}`)
  const { passed, failed, skipped, expected } = countOf(outcome)
  const crash = outcome.crash === undefined ? '' : '  CRASHED'
  console.log(
    `${name} ${String(passed)} passed, ${String(failed)} failed, ${String(skipped)} skipped, ${String(expected)} expected  ${outcome.seconds.toFixed(1)} s${crash}`,
  )
}

function explain(outcome: CellOutcome): void {
  if ('missing' in outcome) return
  console.log(`\n${outcome.adapter} on ${outcome.runtime} ${outcome.version}`)
  if (outcome.crash !== undefined) console.log(outcome.crash)
  for (const { key, title, outcome: what, reason } of outcome.questions)
    if (what === 'failed')
      console.log(`  [${key}] ${title}\n    ${(reason ?? '').replaceAll('\n', '\n    ')}`)
}

function write(file: string, text: string): void {
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, text)
}
