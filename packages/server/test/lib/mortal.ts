import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { drive } from './harness.ts'
import { openCounter, type Point, type TradeName } from './counter.ts'

/** One paid request in a process of its own, which kills or stops itself at a point. */
const [folder = '', trade = '', point = '', signal = ''] = process.argv.slice(2)

let hit = false
async function reach(at: Point): Promise<void> {
  if (at !== point || hit) return
  hit = true
  process.kill(process.pid, signal)
  if (signal === 'SIGKILL') await new Promise(() => setInterval(() => {}, 1000))
}

const shop = openCounter(folder, trade as TradeName, reach)
const reply = await drive(shop.gate, shop.ask(), () => shop.handler())
await shop.recover()
shop.close()
writeFileSync(
  join(folder, 'reply'),
  JSON.stringify({ status: reply.status, retry: reply.header('retry-after') ?? null }),
)
