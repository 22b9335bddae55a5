import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, writeFileSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { blocksOf, scratch } from './blocks.ts'

/** Puts the named files of a page where they can be run; of a name that comes twice, this version. */
export function unpack(
  page: string,
  version: 'first' | 'last' = 'first',
): { folder: string; names: string[] } {
  const folder = join(scratch, `run-${version}-${page.replaceAll(/[/.]/g, '-')}`)
  const files = new Map<string, string>()
  for (const { name, code } of blocksOf(page))
    if (name !== undefined && (version === 'last' || !files.has(name))) files.set(name, code)
  for (const [name, code] of files) {
    mkdirSync(dirname(join(folder, name)), { recursive: true })
    writeFileSync(join(folder, name), code)
  }
  return { folder, names: [...files.keys()] }
}

/** A program of a page that runs. */
export interface Program {
  child: ChildProcess
  /** What it has printed so far. */
  readonly output: string
  /** Resolves with the exit code. */
  exited: Promise<number | null>
}

/** Starts a file with this Node. */
export function start(folder: string, args: string[], env: Record<string, string> = {}): Program {
  const child = spawn(process.execPath, args, { cwd: folder, env: { ...process.env, ...env } })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => (output += String(data)))
  const exited = once(child, 'close').then(([code]) => code as number | null)
  return {
    child,
    get output() {
      return output
    },
    exited,
  }
}

/** Waits until it answers on a URL, whatever it says. Rejects with what it printed if it ends before, or after 15 s. */
export async function answering(program: Program, url: string): Promise<void> {
  for (let tries = 0; tries < 150; tries++) {
    if (program.child.exitCode !== null) break
    const up = await fetch(url).then(
      (response) => response.arrayBuffer().then(() => true),
      () => false,
    )
    if (up) return
    await sleep(100)
  }
  throw new Error(`${url} does not answer: ${program.output}`)
}

/** A port that nobody listens on. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}
