import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { createServer, type AddressInfo, type Socket } from 'node:net'
import { join } from 'node:path'
import { buyerHost } from './buyer-host.ts'
import { bundle, root } from './bundle.ts'
import { expectedFailures } from './expected.ts'
import { speak } from './line.ts'
import type { OfBuyer, OfSuite, Run, Sample, ToBuyer } from './messages.ts'
import type { Runtime } from './platform.ts'
import type { Result } from './runner.ts'
import { start } from './start.ts'

/** An adapter on a runtime. */
export interface Cell {
  adapter: string
  runtime: Runtime
}

/** What became of a cell. */
export interface CellReport extends Cell {
  /** Of the runtime, as it says itself. */
  version: string
  seconds: number
  questions: Question[]
  /** Why the suite did not come to its end. */
  crash?: string
}

/** What became of a question. */
export interface Question {
  key: string
  ids: string[]
  title: string
  outcome: Result['outcome']
  reason?: string
}

/** Runs the suite, or a part of it, in a runtime of its own. */
export async function runCell(cell: Cell, sample?: Sample): Promise<CellReport> {
  const began = Date.now()
  const results: Result[] = []
  let version = ''
  let crash: string | undefined
  // Inside the repository, so that packages are found from there.
  const parent = join(root, 'test/runtimes/results')
  mkdirSync(parent, { recursive: true })
  const folder = mkdtempSync(join(parent, `${cell.adapter}-${cell.runtime}-`))
  const outfile = join(folder, 'bundle.mjs')
  let finish = (): void => {}
  const finished = new Promise<void>((resolve) => (finish = resolve))

  const sockets = new Set<Socket>()
  const hear = (socket: Socket): void => {
    sockets.add(socket)
    const line = speak<OfSuite | ToBuyer, Run | OfBuyer>(socket, (message) => {
      if (message.kind === 'ready') {
        version = message.version
        line.send({ kind: 'run', sample })
      } else if (message.kind === 'result') results.push(message.result)
      else if (message.kind === 'done' || message.kind === 'crash') {
        if (message.kind === 'crash') crash = message.error
        line.end()
        finish()
      } else toBuyer(message)
    })
    const toBuyer = buyerHost(line.send)
  }
  const server = createServer({ noDelay: true }, hear).listen(0, '127.0.0.1')
  await once(server, 'listening')
  try {
    await bundle({ adapter: cell.adapter, entry: entryOf(cell.runtime), outfile })
    const { child, output } = start(cell.runtime, outfile, (server.address() as AddressInfo).port)
    const exited = once(child, 'exit')
    let timer: ReturnType<typeof setTimeout> | undefined
    const end = await Promise.race([
      finished.then(() => undefined),
      exited.then(([code, signal]) => `${cell.runtime} ended (${String(code ?? signal)})`),
      new Promise<string>((resolve) => {
        timer = setTimeout(() => resolve(`no end within ${String(PATIENCE / 1000)} s`), PATIENCE)
      }),
    ])
    clearTimeout(timer)
    if (end !== undefined) crash = `${end}, after ${String(results.length)} questions\n${output()}`
    child.kill('SIGKILL')
    await exited
  } finally {
    server.close()
    for (const socket of sockets) socket.destroy()
    rmSync(folder, { recursive: true, force: true })
  }
  const questions = results.map((result) => judge(cell, result))
  return {
    ...cell,
    version,
    seconds: (Date.now() - began) / 1000,
    questions,
    ...(crash !== undefined && { crash }),
  }
}

const PATIENCE = 240_000

function entryOf(runtime: Runtime): 'node' | 'bun' | 'deno' | 'workerd' {
  return runtime === 'bun' || runtime === 'deno' || runtime === 'workerd' ? runtime : 'node'
}

/** A known gap must fail, so that repairing it forces the note out. */
function judge(cell: Cell, { key = '', ids, title, outcome, reason }: Result): Question {
  const known = expectedFailures(cell)[key]
  const question = { key, ids, title: titleOf(title, ids, key) }
  if (known === undefined) return { ...question, outcome, ...(reason !== undefined && { reason }) }
  if (outcome === 'failed' || known.races)
    return { ...question, outcome: 'expected-failure', reason: known.reason }
  if (outcome === 'passed')
    return { ...question, outcome: 'failed', reason: 'it is expected to fail, but passes: remove the note' }
  return { ...question, outcome, ...(reason !== undefined && { reason }) }
}

function titleOf(title: string, ids: readonly string[], key: string): string {
  let rest = title.replace(` [${key}]`, '')
  for (const id of ids) rest = rest.replace(`${id} `, '')
  return rest
}
