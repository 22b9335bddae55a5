import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { availableParallelism, cpus, loadavg } from 'node:os'
import { inProcess } from './in-process.ts'
import { footprint } from './footprint.ts'
import { http } from './http.ts'
import { formatTable, isMet, type Row } from './lib/table.ts'

const BENCHES: Record<string, (options: { quick: boolean }) => Promise<Row[]>> = {
  'in-process': inProcess,
  http,
  footprint,
}

const words = process.argv.slice(2)
const quick = words.includes('--quick')
const names = words.filter((word) => !word.startsWith('--'))
const unknown = [...names.filter((name) => !(name in BENCHES)), ...words.filter((word) => word.startsWith('--') && word !== '--quick')]
if (unknown.length > 0) {
  console.error(`bench: ${unknown.join(', ')}? Known are ${Object.keys(BENCHES).join(', ')} and --quick.`)
  process.exit(2)
}

const rows: Row[] = []
for (const [name, bench] of Object.entries(BENCHES)) {
  if (names.length > 0 && !names.includes(name)) continue
  const begun = performance.now()
  const own = await bench({ quick })
  rows.push(...own)
  console.log(`${formatTable(own)}\n(${Math.round((performance.now() - begun) / 1000)} s)\n`)
}
