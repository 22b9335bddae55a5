import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createServer, type AddressInfo } from 'node:net'
import { fileURLToPath } from 'node:url'

export const root = fileURLToPath(new URL('../../..', import.meta.url))

/** A server in a process of its own. */
export interface Running {
  output(): string
  /** Asks it to end, as an operator would, and resolves with its exit code. */
  stop(): Promise<number | null>
}

const groups = new Set<ChildProcess>()
process.once('exit', () => groups.forEach((child) => signal(child, 'SIGKILL')))

/** Starts a command in the repository's root and waits until it prints `ready`, or answers at `url`. */
export async function start(
  command: string,
  args: string[],
  { ready, url, env = {} }: { ready?: string; url?: string; env?: Record<string, string> },
): Promise<Running> {
  // What vitest has set makes frameworks think of tests.
  const { NODE_ENV: _, VITEST: __, ...rest } = process.env
  const child = spawn(command, args, {
    cwd: root,
    // A group: npm and the launcher have children.
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: Object.assign(rest as NodeJS.ProcessEnv, env),
  })
  groups.add(child)
  const closed = once(child, 'close').finally(() => groups.delete(child))
  let output = ''
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (text: Buffer) => void (output += text.toString()))
  for (let tries = 0; ; tries++) {
    if (ready !== undefined && output.includes(ready)) break
    if (url !== undefined && (await answers(url))) break
    if (child.exitCode !== null || tries === 1200) throw new Error(`${command} did not start: ${output}`)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  return {
    output: () => output,
    async stop() {
      signal(child, 'SIGTERM')
      const timer = setTimeout(() => signal(child, 'SIGKILL'), 5000)
      await closed
      clearTimeout(timer)
      return child.exitCode
    },
  }
}

/** Runs a line of a shell in the repository's root; resolves with all that it has printed. */
export async function shell(line: string): Promise<string> {
  const child = spawn('sh', ['-c', line], { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (text: Buffer) => void (output += text.toString()))
  await once(child, 'close')
  return output
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

async function answers(url: string): Promise<boolean> {
  try {
    await (await fetch(url)).body?.cancel()
    return true
  } catch {
    return false
  }
}

function signal({ pid }: ChildProcess, name: NodeJS.Signals): void {
  try {
    if (pid !== undefined) process.kill(-pid, name)
  } catch {
    // It has gone already.
  }
}
