import { fork, type ChildProcess } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { Answered, Order, Word } from './messages.ts'

const WORKER = fileURLToPath(new URL('worker.ts', import.meta.url))
/** Milliseconds to load a bundle and to start its server. */
const START = 20_000

/** How an order ended. */
export type End =
  | { kind: 'done'; answers: Answered[]; hits: Record<string, number[]> | undefined }
  | { kind: 'listed'; questions: { key: string; last: boolean }[] }
  /** Died, hung, or failed where nobody waited. */
  | { kind: 'broken'; at: string; reason: string }

/** Processes that work off orders; one that hangs or dies is replaced. */
export class Pool {
  readonly #resting: { child: ChildProcess; judge: string }[] = []
  readonly #all = new Set<ChildProcess>()
  readonly #waiting: (() => void)[] = []
  readonly #size: number
  #free: number

  constructor(size: number) {
    this.#size = size
    this.#free = size
  }

  async run(order: Order): Promise<End> {
    if (this.#free === 0) await new Promise<void>((resolve) => this.#waiting.push(resolve))
    else this.#free -= 1
    try {
      return await this.#give(this.#idle(order.judge) ?? this.#spawn(), order)
    } finally {
      const next = this.#waiting.shift()
      if (next) next()
      else this.#free += 1
    }
  }

  close(): void {
    for (const child of this.#all) child.kill('SIGKILL')
  }

  /**
   * One that has served the same framework, or none: @hono/node-server puts a Request of its own in the place of the
   * global one, and Elysia's requests cannot be cloned afterwards.
   */
  #idle(judge: string): ChildProcess | undefined {
    // One may have died since: of what its last mutant had left behind.
    const alive = this.#resting.filter(({ child }) => child.connected)
    const found = alive.findLast((each) => each.judge === judge)
    const rest = alive.filter((each) => each !== found)
    const working = this.#size - this.#free
    // Those that work, this one among them, and those that rest are never more than there are lanes.
    const kept = rest.slice(Math.max(0, rest.length + working - this.#size))
    for (const each of rest) if (!kept.includes(each)) each.child.kill('SIGKILL')
    this.#resting.splice(0, Infinity, ...kept)
    return found?.child
  }

  #spawn(): ChildProcess {
    const child = fork(WORKER, { stdio: 'ignore', execArgv: ['--disable-warning=ExperimentalWarning'] })
    this.#all.add(child)
    child.once('exit', () => this.#all.delete(child))
    return child
  }

  #give(child: ChildProcess, order: Order): Promise<End> {
    return new Promise((resolve) => {
      let at = 'start'
      let timer = setTimeout(hung, START)
      const end = (result: End, reusable: boolean): void => {
        clearTimeout(timer)
        child.off('message', hear).off('exit', died)
        if (reusable) this.#resting.push({ child, judge: order.judge })
        else child.kill('SIGKILL')
        resolve(result)
      }
      const hear = (word: Word): void => {
        if (word.kind === 'begun') {
          at = word.key
          clearTimeout(timer)
          const own = order.questions?.find(({ key }) => key === at)?.timeout ?? START
          // The question's own time, then that of the last hooks: beyond both it is the process that hangs.
          timer = setTimeout(hung, own + 8_000)
        } else if (word.kind === 'broken') end({ ...word, at }, false)
        else if (word.kind === 'done') {
          // What timed out goes on in the background, where it must not disturb the next.
          const late = word.answers.some(({ reason }) => reason?.includes('took longer than'))
          end(word, !late)
        } else end(word, true)
      }
      function hung(): void {
        end({ kind: 'broken', at, reason: 'the process hangs' }, false)
      }
      const died = (): void => end({ kind: 'broken', at, reason: 'the process died' }, false)
      child.on('message', hear).on('exit', died)
      child.send(order)
    })
  }
}
