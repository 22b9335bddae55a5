// Ours, mppx, a hand-written floor and a bare handler, side by side in one run: `npm run bench -- [names…] [--quick]`.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { cpus, loadavg } from 'node:os'
import { parseArgs } from 'node:util'
import { footprint } from './footprint.ts'
import { http } from './http.ts'
import { inProcess } from './in-process.ts'
import { formatTable, isMet, type Row } from './lib/table.ts'
import { tempo } from './tempo.ts'

const BENCHES: Record<string, (options: { quick: boolean }) => Promise<Row[]>> = {
  'in-process': inProcess,
  http,
  tempo,
  footprint,
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { quick: { type: 'boolean', default: false } },
})
for (const name of positionals) {
  if (Object.hasOwn(BENCHES, name)) continue
  console.error(`There is no bench "${name}"; there are ${Object.keys(BENCHES).join(', ')}.`)
  process.exit(2)
}

const { quick } = values
const machine = {
  node: process.version,
  cpu: cpus()[0]?.model ?? '',
  cores: cpus().length,
  load: loadavg()[0] ?? 0,
}
console.log(
  `Node ${machine.node}, ${machine.cores} × ${machine.cpu}, load ${machine.load.toFixed(1)}, mppx ${versionOf('mppx')}`,
)
if (quick) console.log('A quick run shows that all of it works; its figures say little.')
// A neighbour takes caches and time slices; ratios of one round bear it, up to a point.
if (!quick && machine.load > machine.cores / 2) console.log('The machine is busy: expect wide spreads.')

const rows: Row[] = []
for (const [name, bench] of Object.entries(BENCHES)) {
  if (positionals.length > 0 && !positionals.includes(name)) continue
  const begun = performance.now()
  rows.push(...(await bench({ quick })))
  console.error(`${name}: ${Math.round((performance.now() - begun) / 1000)} s`)
}
console.log(`\n${formatTable(rows)}\n\nMedians (least–greatest); ratios are taken round by round.`)
const judged = rows.flatMap(({ verdicts }) => verdicts.map(isMet)).filter((met) => met !== undefined)
console.log(`${judged.filter(Boolean).length} of ${judged.length} targets met.`)
writeResults()

function writeResults(): void {
  const folder = new URL('results/', import.meta.url)
  mkdirSync(folder, { recursive: true })
  const peers = { mppx: versionOf('mppx'), hono: versionOf('hono'), express: versionOf('express') }
  const results = { at: new Date().toISOString(), quick, machine, peers, rows: rows.map(withMet) }
  writeFileSync(new URL('latest.json', folder), `${JSON.stringify(results, undefined, 2)}\n`)
}

function withMet(row: Row): object {
  return { ...row, verdicts: row.verdicts.map((verdict) => ({ ...verdict, met: isMet(verdict) })) }
}

function versionOf(name: string): string {
  const file = new URL(`../node_modules/${name}/package.json`, import.meta.url)
  return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version
}
