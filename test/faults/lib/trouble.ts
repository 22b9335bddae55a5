import { AsyncLocalStorage } from 'node:async_hooks'
import { closeSync, openSync } from 'node:fs'
import { join } from 'node:path'
import { filesOf, note, type Settings } from './settings.ts'

/** A request on its way through a seller, and the fault that it carries: `kill@claimed`, `freeze@settled`. */
interface Passage {
  call: string
  fault: string
}

export interface Trouble {
  /** To be called at each named point; dies or freezes there if that is what the request asks for. */
  reach(point: string): void | Promise<void>
  /** Runs a request with its faults. */
  within<Result>(passage: Passage, work: () => Result): Result
  /** The request has ended. */
  leave(call: string): void
}

/** Milliseconds for which those who are to freeze wait for one another. */
const GATHER = 1500

/** Makes this process die or freeze where a request says so; each fault once in a run, which the disk remembers. */
export function createTrouble({ folder }: Settings, seller: string): Trouble {
  const files = filesOf(folder)
  const passages = new AsyncLocalStorage<Passage>()
  const here = new Set<string>()
  /** Only who is there to be frozen: the others are to die, and to serve. */
  const canFreeze = seller.startsWith('ice')
  let gathering: Promise<void> | undefined

  return {
    reach(point) {
      const passage = passages.getStore()
      if (!passage?.fault.endsWith(`@${point}`)) return
      const [kind = ''] = passage.fault.split('@')
      if ((kind === 'freeze' && !canFreeze) || !isFirst(passage.call)) return
      const beside = [...here].filter((call) => call !== passage.call)
      note(files.faults, { kind, point, call: passage.call, seller, at: Date.now(), beside })
      if (kind === 'freeze') return (gathering ??= freeze().finally(() => (gathering = undefined)))
      process.kill(process.pid, 'SIGKILL')
      return new Promise(() => {})
    },
    within(passage, work) {
      here.add(passage.call)
      return passages.run(passage, work)
    },
    leave: (call) => void here.delete(call),
  }

  /** Stops everything, at once, until somebody sends SIGCONT. */
  async function freeze(): Promise<void> {
    await new Promise((resolve) => setTimeout(resolve, GATHER))
    await new Promise<void>((resolve) => process.send!({ frozen: seller }, () => resolve()))
    process.kill(process.pid, 'SIGSTOP')
  }

  function isFirst(call: string): boolean {
    try {
      closeSync(openSync(join(files.once, call), 'wx'))
      return true
    } catch {
      return false
    }
  }
}
