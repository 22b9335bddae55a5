import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { CLI, ENV } from './build.ts'

/** A Next server in a process of its own, as people start it. */
export interface Running {
  url: string
  /** Everything that it has printed so far. */
  output(): string
  stop(): Promise<void>
}

const children = new Set<ChildProcess>()
// `next dev` has children of its own: the whole group goes, even if the tests die.
process.once('exit', () => children.forEach((child) => end(child)))

/** Runs `next start` or `next dev` on a free port and waits until it listens. */
export async function start(
  command: 'start' | 'dev',
  cwd: string,
  environment: Record<string, string> = {},
): Promise<Running> {
  const child = spawn(process.execPath, [CLI, command, '--port', '0', '--hostname', '127.0.0.1'], {
    cwd,
    env: { ...ENV, ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  })
  children.add(child)
  const closed = once(child, 'close').finally(() => children.delete(child))
  let output = ''
  const url = new Promise<string>((resolve, reject) => {
    const listen = (text: Buffer): void => {
      output += text.toString()
      const [, found] = /Local:\s+(http:\/\/\S+)/.exec(output) ?? []
      if (found !== undefined && output.includes('Ready')) resolve(found)
    }
    child.stdout.on('data', listen)
    child.stderr.on('data', listen)
    void closed.then(() => reject(new Error(`next ${command} ended: ${output}`)))
  })
  return {
    url: await url,
    output: () => output,
    async stop() {
      end(child)
      await closed
    },
  }
}

function end({ pid }: ChildProcess): void {
  try {
    if (pid !== undefined) process.kill(-pid, 'SIGKILL')
  } catch {
    // It has gone already.
  }
}
