import { connect } from 'node:net'
import type { Serve } from '../../../packages/testing/src/lib/adapter-app.ts'
import { testAdapter } from '../../../packages/testing/src/lib/test-adapter.ts'
import { speak, type Line } from './line.ts'
import type { OfBuyer, OfSuite, Run, Sample, ToBuyer } from './messages.ts'
import { useLine } from './remote-buyer.ts'
import { collect, run } from './runner.ts'

export interface SuiteOptions {
  adapter: string
  serve: Serve
  /** Of the process that has started this one. */
  port: number
  /** Of the runtime, as it says itself. */
  version: string
  /** For gates on a runtime that shows no socket. */
  origin?: string
}

/** Runs the conformance suite in this runtime, and tells its results to the process that has started it. */
export async function runSuite({ adapter, serve, port, version, origin }: SuiteOptions): Promise<void> {
  const socket = connect({ host: '127.0.0.1', port, noDelay: true })
  let begin = (_message: Run): void => {}
  const told = new Promise<Run>((resolve) => (begin = resolve))
  const line: Line<OfSuite | ToBuyer> = speak<Run | OfBuyer, OfSuite | ToBuyer>(socket, (message) => {
    if (message.kind === 'run') begin(message)
    else toBuyer(message)
  })
  const toBuyer = useLine(line.send)
  line.send({ kind: 'ready', version })
  const { sample } = await told
  try {
    collect(() => testAdapter(adapter, serve, origin === undefined ? {} : { origin }))
    await run({
      // Next is built in a hook.
      hookTimeout: 180_000,
      ...(sample && { only: (title, suites) => drawn(sample, title, suites) }),
      onResult: (result) => line.send({ kind: 'result', result }),
    })
    line.send({ kind: 'done' })
  } catch (error) {
    line.send({ kind: 'crash', error: String((error as Error)?.stack ?? error) })
  }
  await line.ended
}

/** Evenly over all questions; never those that look back on what all the others have seen. */
function drawn({ of, part }: Sample, title: string, suites: readonly string[]): boolean {
  if (suites.includes('at last')) return false
  let sum = 0
  for (let at = 0; at < title.length; at++) sum = (Math.imul(sum, 31) + title.charCodeAt(at)) >>> 0
  return sum % of === part
}
