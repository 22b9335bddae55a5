import type { ChildProcess } from 'node:child_process'
import { describe, expect, test, type TestContext } from 'vitest'
import type { StoreBench } from './test-store-bench.ts'
import type { Done, Task } from './test-store-process.ts'

const PROCESSES = 8
const ROUNDS = 50
const many = { timeout: 120_000 }

/** Callers in processes of their own. */
export function processQuestions({ key, opened, store }: StoreBench): void {
  describe('processes', () => {
    async function race(work: Task['work'], rounds: number, skip: TestContext['skip']): Promise<Done[]> {
      const { processes } = opened()
      if (!processes) return skip(store().volatile ? 'its data live in one process' : 'needs processes')
      return runProcesses({
        module: String(processes.module),
        options: processes.options,
        work,
        key: key(),
        rounds,
      })
    }

    test(
      `${PROCESSES} processes × ${ROUNDS} swaps: none is lost, no version given twice`,
      many,
      async ({ skip }) => {
        const done = await race('count', ROUNDS, skip)
        const versions = done.flatMap((one) => one.versions!)
        expect((await store().get(key()))?.value).toBe(`${PROCESSES * ROUNDS}`)
        expect(new Set(versions).size).toBe(PROCESSES * ROUNDS)
        expect(versions).toContain((await store().get(key()))?.version)
      },
    )

    test(`${PROCESSES} processes claim ${ROUNDS} keys: one winner each`, many, async ({ skip }) => {
      const done = await race('claim', ROUNDS, skip)
      const won = done.flatMap((one) => one.won!)
      expect(won.toSorted((a, b) => a - b)).toEqual(Array.from({ length: ROUNDS }, (_, index) => index))
      const values = new Set<string | undefined>()
      for (let index = 0; index < ROUNDS; index += 1) values.add((await store().get(key(index)))?.value)
      expect(values).not.toContain(undefined)
      expect(values.size).toBe(done.filter((one) => one.won!.length > 0).length)
    })

    test(`${PROCESSES} processes take turns at a lease: one holder at a time`, many, async ({ skip }) => {
      const done = await race('hold', 3, skip)
      const held = done.flatMap((one) => one.held!).toSorted((a, b) => a.from - b.from)
      expect(held).toHaveLength(PROCESSES * 3)
      expect(new Set(held.map((one) => one.version)).size).toBe(held.length)
      for (const [index, one] of held.entries()) {
        const next = held[index + 1]
        // A store that counts whole milliseconds may end a lease one early.
        if (next) expect(next.from).toBeGreaterThanOrEqual(one.until - 2)
      }
    })
  })
}

/** Starts all, lets them begin together, and waits for all; ends those that are left when one fails. */
async function runProcesses(task: Task): Promise<Done[]> {
  // Not imported above: on a runtime without processes the rest of the suite must load.
  const { fork } = await import('node:child_process')
  // When published, this is JavaScript and so is the other.
  const file = new URL(
    `./test-store-process${import.meta.url.endsWith('.ts') ? '.ts' : '.js'}`,
    import.meta.url,
  )
  const children = Array.from({ length: PROCESSES }, () => fork(file, { execArgv: [], env: environment() }))
  let waiting = PROCESSES
  try {
    return await Promise.all(
      children.map((child) => {
        child.send(task)
        return outcome(child, () => {
          waiting -= 1
          if (waiting === 0) for (const one of children) one.send('go')
        })
      }),
    )
  } finally {
    for (const child of children) if (child.exitCode === null) child.kill('SIGKILL')
  }
}

function outcome(child: ChildProcess, ready: () => void): Promise<Done> {
  return new Promise((resolve, reject) => {
    let done: Done | undefined
    child.on('message', (message: 'ready' | { done: Done } | { error: string }) => {
      if (message === 'ready') ready()
      else if ('done' in message) done = message.done
      else reject(new Error(`in a process of the race: ${message.error}`))
    })
    child.once('error', reject)
    const exited = new Promise<number | string | null>((resolve) => {
      child.once('exit', (code, signal) => resolve(code ?? signal))
    })
    // Its last message may arrive after its end, but not after the end of the channel.
    const drained = new Promise<void>((resolve) => child.once('disconnect', resolve))
    void Promise.all([exited, drained]).then(([code]) => {
      if (done && code === 0) resolve(done)
      else reject(new Error(`a process of the race ended with ${String(code)}`))
    })
  })
}

/** What the test runner has set for itself is none of theirs. */
function environment(): NodeJS.ProcessEnv {
  const { NODE_OPTIONS: _, ...rest } = process.env
  return { ...rest, NODE_NO_WARNINGS: '1' } as NodeJS.ProcessEnv
}
