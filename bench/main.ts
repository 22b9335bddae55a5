// Ours, mppx, a hand-written floor and a bare handler, side by side in one run:
// `npm run bench -- [names…] [--quick] [--framework name]… [--markdown]`.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { cpus, loadavg } from 'node:os'
import { parseArgs } from 'node:util'
import { footprint } from './footprint.ts'
import { FRAMEWORKS, http } from './http.ts'
import { inProcess } from './in-process.ts'
import type { Framework } from './lib/http-server.ts'
import { formatMarkdown, formatTable, isMet, type Row } from './lib/table.ts'
import { stores } from './stores.ts'
import { tempo } from './tempo.ts'

interface Options {
  quick: boolean
  /** For `http`: all, if absent. */
  frameworks?: Framework[]
}

const BENCHES: Record<string, (options: Options) => Promise<Row[]>> = {
  'in-process': inProcess,
  http,
  tempo,
  stores,
  footprint,
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    quick: { type: 'boolean', default: false },
    framework: { type: 'string', multiple: true },
    markdown: { type: 'boolean', default: false },
  },
})
checkNames('bench', positionals, Object.keys(BENCHES))
checkNames('framework', values.framework ?? [], FRAMEWORKS)
if (values.framework && !positionals.includes('http')) positionals.push('http')

const { quick, markdown } = values
const options: Options = { quick }
if (values.framework) options.frameworks = FRAMEWORKS.filter((name) => values.framework?.includes(name))
const machine = {
  node: process.version,
  cpu: cpus()[0]?.model ?? '',
  cores: cpus().length,
  load: loadavg()[0] ?? 0,
}
const peers = Object.fromEntries(
  ['mppx', 'hono', '@hono/node-server', 'express', 'fastify', 'elysia', '@elysiajs/node', 'bun', 'next'].map(
    (name) => [name, versionOf(name)],
  ),
)
const where = `Node ${machine.node}, ${machine.cores} × ${machine.cpu}, load ${machine.load.toFixed(1)}; ${Object.entries(
  peers,
)
  .map((peer) => peer.join(' '))
  .join(', ')}`
// With --markdown nothing but the tables goes to stdout.
const tell = markdown ? console.error : console.log
tell(where)
if (quick) tell('A quick run shows that all of it works; its figures say little.')
// A neighbour takes caches and time slices; ratios of one round bear it, up to a point.
if (!quick && machine.load > machine.cores / 2) tell('The machine is busy: expect wide spreads.')

const rows: Row[] = []
for (const [name, bench] of Object.entries(BENCHES)) {
  if (positionals.length > 0 && !positionals.includes(name)) continue
  const begun = performance.now()
  rows.push(...(await bench(options)))
  console.error(`${name}: ${Math.round((performance.now() - begun) / 1000)} s`)
}
const judged = rows.flatMap(({ verdicts }) => verdicts.map(isMet)).filter((met) => met !== undefined)
const legend = 'Medians (least–greatest); ratios are taken round by round.'
const summary = `${judged.filter(Boolean).length} of ${judged.length} targets met.`
console.log(
  markdown
    ? [
        ...(quick ? ['A quick run: its figures say little.'] : []),
        `${where}. ${legend}`,
        formatMarkdown(rows),
        summary,
      ].join('\n\n')
    : `\n${formatTable(rows)}\n\n${legend}\n${summary}`,
)
writeResults()

function checkNames(kind: string, names: readonly string[], known: readonly string[]): void {
  const unknown = names.find((name) => !known.includes(name))
  if (unknown === undefined) return
  console.error(`There is no ${kind} "${unknown}"; there are ${known.join(', ')}.`)
  process.exit(2)
}

function writeResults(): void {
  const folder = new URL('results/', import.meta.url)
  mkdirSync(folder, { recursive: true })
  const results = { at: new Date().toISOString(), quick, machine, peers, rows: rows.map(withMet) }
  writeFileSync(
    new URL(quick ? 'quick.json' : 'latest.json', folder),
    `${JSON.stringify(results, undefined, 2)}\n`,
  )
}

function withMet(row: Row): object {
  return { ...row, verdicts: row.verdicts.map((verdict) => ({ ...verdict, met: isMet(verdict) })) }
}

function versionOf(name: string): string {
  const file = new URL(`../node_modules/${name}/package.json`, import.meta.url)
  return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version
}
