import { spawn, spawnSync } from 'node:child_process'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** Repeated measurements of one thing, in the order in which they were taken. */
export interface Spread {
  median: number
  min: number
  max: number
  samples: number[]
}

/** The median of some samples, with the least and the greatest. Throws for what is no measurement. */
export function spread(samples: readonly number[]): Spread {
  if (samples.length === 0 || !samples.every(Number.isFinite))
    throw new Error(`no samples: ${samples.join(' ')}`)
  const sorted = samples.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  const median = sorted.length % 2 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
  return { median, min: sorted[0]!, max: sorted.at(-1)!, samples: [...samples] }
}

/** `a / b`, round by round: what slows a whole round down falls out. */
export function quotient(a: Spread, b: Spread): Spread {
  if (a.samples.length !== b.samples.length) throw new Error('the rounds do not match')
  return spread(a.samples.map((sample, round) => sample / b.samples[round]!))
}

/** Samples by name: `add` during the rounds, `spread` at the end. */
export class Samples {
  readonly #lists = new Map<string, number[]>()

  add(name: string, sample: number): void {
    const list = this.#lists.get(name)
    if (list) list.push(sample)
    else this.#lists.set(name, [sample])
  }

  spread(name: string): Spread {
    return spread(this.#lists.get(name) ?? [])
  }
}

/** The items in an order that differs from round to round, so that none always follows the same neighbour. */
export function inTurn<Item>(items: readonly Item[], round: number): Item[] {
  const from = round % items.length
  const turned = [...items.slice(from), ...items.slice(0, from)]
  return round % 2 ? turned.toReversed() : turned
}

/** A process of its own, on a core of its own where the system can pin. */
export interface Child {
  pid: number
  /** Asks what the child's `answer` handles. Rejects when it fails or dies. */
  ask<Reply>(question: unknown): Promise<Reply>
  end(): Promise<void>
}

const canPin = spawnSync('taskset', ['-c', '0', 'true']).status === 0

interface StartOptions {
  core?: number
  flags?: readonly string[]
  /** Default: the Node that runs this. */
  runtime?: 'node' | 'bun'
  env?: Record<string, string>
}

/** Starts a file that calls `answer`. */
export function start(
  file: string | URL,
  { core, flags = [], runtime = 'node', env = {} }: StartOptions = {},
): Child {
  const script = file instanceof URL ? fileURLToPath(file) : file
  const binary = runtime === 'node' ? process.execPath : bunPath()
  const line = [binary, ...flags, script, '--child']
  const [command = '', ...args] =
    canPin && core !== undefined ? ['taskset', '-c', String(core), ...line] : line
  const child = spawn(command, args, {
    // Nothing but the table goes to stdout.
    stdio: ['ignore', process.stderr, 'inherit', 'ipc'],
    // Bun's way of passing more than JSON is another than Node's.
    serialization: runtime === 'node' ? 'advanced' : 'json',
    env: { ...process.env, ...env },
  })
  const waiting = new Map<number, { resolve(value: never): void; reject(error: Error): void }>()
  let count = 0
  let isOver = false
  const exited = new Promise<void>((resolve) => {
    child.once('close', (code, signal) => {
      for (const { reject } of waiting.values()) reject(new Error(`${script} ended with ${signal ?? code}`))
      waiting.clear()
      isOver = true
      resolve()
    })
  })
  child.once('error', (error) => {
    for (const { reject } of waiting.values()) reject(error)
  })
  child.on('message', ({ id, value, error }: { id: number; value: never; error?: string }) => {
    const asked = waiting.get(id)
    waiting.delete(id)
    if (error === undefined) asked?.resolve(value)
    else asked?.reject(new Error(error))
  })
  return {
    pid: child.pid ?? 0,
    ask: (question) =>
      new Promise((resolve, reject) => {
        if (isOver) return reject(new Error(`${script} has ended`))
        waiting.set(++count, { resolve, reject })
        child.send({ id: count, question })
      }),
    async end() {
      if (!isOver) child.kill('SIGKILL')
      await exited
    },
  }
}

function bunPath(): string {
  const manifest = createRequire(import.meta.url).resolve('bun/package.json')
  return join(dirname(manifest), 'bin', 'bun.exe')
}

/** Whether this process was started by `start`. */
export const isChild: boolean = process.argv[2] === '--child' && process.send !== undefined

let isAnswering = false

/** In a child: handles what the parent asks, one at a time. */
export function answer(handle: (question: never) => unknown): void {
  if (isAnswering) throw new Error('a child has one handler: do not import the file of another')
  isAnswering = true
  let last = Promise.resolve()
  process.on('message', ({ id, question }: { id: number; question: never }) => {
    last = last.then(async () => {
      try {
        process.send?.({ id, value: await handle(question) })
      } catch (error) {
        process.send?.({ id, error: error instanceof Error ? (error.stack ?? error.message) : String(error) })
      }
    })
  })
  process.once('disconnect', () => process.exit())
}

/** CPU time of this process so far, user and system, all threads, in microseconds. */
export function cpuTime(): number {
  const { user, system } = process.cpuUsage()
  return user + system
}

/** Throws unless it holds: a measurement of something that does not work is worse than none. */
export function check(holds: unknown, otherwise: string): asserts holds {
  if (!holds) throw new Error(`mis-measured: ${otherwise}`)
}
