import type { JournalLine } from './lines.ts'
import { openShop } from './open-shop.ts'
import { filesOf, readLines, readSettings } from './settings.ts'

/**
 * What the seller does after the storm: starts again, lets recovery run until nothing is in doubt any more, for at most a
 * minute of quiet, and returns by hand what came too late.
 */
const [folder = ''] = process.argv.slice(2)
const QUIET = 60_000
const settings = readSettings(folder)
const shop = await openShop(settings)
const quotes = new Set(
  readLines<JournalLine>(filesOf(folder).journal).flatMap((line) => (line.t === 'pay' ? [line.quote] : [])),
)
const started = Date.now()
let open = new Set(quotes)
for (;;) {
  await shop.gates.recover()
  const left = new Set<string>()
  for (const id of open) {
    const trace = await shop.gates.trace(id)
    if (trace && ['pending', 'refunding', 'settled'].includes(trace.state)) left.add(id)
  }
  open = left
  if (left.size === 0 || Date.now() - started > QUIET) break
  await new Promise((resolve) => setTimeout(resolve, 1000))
}
let returned = 0
for await (const { id, started: starts } of shop.gates.unclaimed()) {
  if (starts > 0) continue
  await shop.gates.refund(id)
  returned++
}
console.log(
  `restarted: ${((Date.now() - started) / 1000).toFixed(0)} s of quiet, ${open.size} still open, ${returned} late payments returned by hand`,
)
await shop.close()
process.exit(0)
