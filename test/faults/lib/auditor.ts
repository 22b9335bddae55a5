import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { basename } from 'node:path'
import { audit, type Breach, type Report } from './audit.ts'
import { collect } from './evidence.ts'
import { openShop } from './open-shop.ts'
import { POINTS } from './plan.ts'
import { filesOf, readSettings } from './settings.ts'

/** A process that knows nothing of the run but what was written down: audits it, says what it has found, exits 1 on a breach. */
const [folder = ''] = process.argv.slice(2)
const settings = readSettings(folder)
const shop = await openShop(settings)
const report = audit(await collect(settings, shop.gates))
writeFileSync(filesOf(folder).report, JSON.stringify(report, undefined, 2))
print(report)
for (const breach of report.breaches.slice(0, 20)) await show(breach)
if (report.breaches.length > 20) console.log(`… and ${report.breaches.length - 20} more`)
const count = (kind: Breach['kind']): number =>
  report.breaches.filter((breach) => breach.kind === kind).length
console.log(`lost ${count('lost')}, double ${count('double')}, free ${count('free')}`)
await shop.close()
process.exit(report.breaches.length > 0 ? 1 : 0)

function print({
  calls,
  debits,
  outcomes,
  faults,
  points,
  faulted,
  unfaulted,
  listed,
  retold,
}: Report): void {
  const all = Object.values(debits).reduce((sum, each) => sum + each, 0)
  console.log(
    `\nstore ${settings.store.name}, seed ${settings.seed}${settings.without ? `, without ${settings.without}` : ''}`,
  )
  console.log(`calls ${calls}, debits ${all} (${list(debits)})`)
  console.log(`faults: ${list(faults)}`)
  console.log(`points: ${POINTS.map((point) => `${point} ${points[point] ?? 0}`).join(', ')}`)
  console.log(`met a fault: ${faulted} of ${all} (${percent(faulted, all)})`)
  console.log(
    `without a fault: ${unfaulted.answered} of ${unfaulted.all} answered (${percent(unfaulted.answered, unfaulted.all)})`,
  )
  console.log(`with a key, small answers: ${list(outcomes.strict)}`)
  console.log(`without a key, large answers, streams: ${list(outcomes.loose)}`)
  console.log(`attackers: ${list(outcomes.attackers)}`)
  console.log(`listed for the seller: ${(listed.share * 100).toFixed(2)} %`)
  for (const cause of listed.causes) console.log(`  ${cause}`)
  console.log(`answers of two attempts in one hand: ${retold}`)
}

async function show({ kind, what, call, quote }: Breach): Promise<void> {
  console.log(`BREACH ${kind}: ${what}${call ? `, call ${call}` : ''}${quote ? `, payment ${quote}` : ''}`)
  if (quote) console.log(`  ${JSON.stringify((await shop.gates.trace(quote)) ?? 'no record')}`)
  const { journal, handlers, faults, errors } = filesOf(folder)
  for (const file of [journal, handlers, faults, errors])
    for (const line of (existsSync(file) ? readFileSync(file, 'utf8') : '').split('\n'))
      if ([call, quote].some((word) => word !== undefined && line.includes(word)))
        console.log(`  ${basename(file)} ${line}`)
}

function list(counts: Record<string, number>): string {
  return Object.entries(counts)
    .map(([name, count]) => `${name} ${count}`)
    .join(', ')
}

function percent(part: number, all: number): string {
  return all === 0 ? '-' : `${((part / all) * 100).toFixed(1)} %`
}
