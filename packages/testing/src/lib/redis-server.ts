import { spawn, type ChildProcess } from 'node:child_process'
import { accessSync, constants, rmSync } from 'node:fs'
import { mkdtemp } from 'node:fs/promises'
import { connect, createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { LocalService } from '../services.ts'

/** Where the server's binary is, or undefined if this machine has none. */
export function findRedis(): string | undefined {
  const folders = (process.env['PATH'] ?? '').split(delimiter)
  return [...folders, '/usr/bin', '/usr/local/bin', '/opt/homebrew/bin']
    .map((folder) => join(folder, 'redis-server'))
    .find((path) => {
      try {
        accessSync(path, constants.X_OK)
        return true
      } catch {
        return false
      }
    })
}

/**
 * Starts one that keeps what it acknowledges: append-only file, flushed with every write.
 * Rejects when there is no binary, or it does not come up within 15 seconds.
 *
 * @param options.args More arguments of its command line, e.g. `['--cluster-enabled', 'yes']`; they win over ours.
 */
export async function startRedis(options: { args?: readonly string[] } = {}): Promise<LocalService> {
  const binary = findRedis()
  if (binary === undefined) throw new Error('redis-server is not installed')
  const port = await freePort()
  const folder = await mkdtemp(join(tmpdir(), 'mppkit-redis-'))
  const durable = ['--save', '', '--appendonly', 'yes', '--appendfsync', 'always']
  const place = ['--port', String(port), '--bind', '127.0.0.1', '--dir', folder]
  let child: ChildProcess | undefined

  // A process that is ended by a signal emits no `exit`; the server must not outlive it either way.
  const clean = () => {
    child?.kill('SIGKILL')
    rmSync(folder, { recursive: true, force: true, maxRetries: 3 })
  }
  const release = dieWithUs(clean)

  async function start(): Promise<void> {
    if (child !== undefined && isAlive(child)) throw new Error('redis-server runs already')
    child = spawn(binary!, [...durable, ...place, ...(options.args ?? [])], { stdio: 'ignore' })
    await answering(child, port)
  }
  async function kill(): Promise<void> {
    if (child === undefined || !isAlive(child)) return
    const gone = new Promise((resolve) => child!.once('exit', resolve))
    child.kill('SIGKILL')
    await gone
  }
  async function stop(): Promise<void> {
    await kill()
    clean()
    release()
  }

  try {
    await start()
  } catch (error) {
    await stop()
    throw error
  }
  return {
    url: `redis://127.0.0.1:${port}`,
    port,
    kill,
    start,
    pause: () => void child!.kill('SIGSTOP'),
    resume: () => void child!.kill('SIGCONT'),
    stop,
  }
}

function isAlive(child: ChildProcess): boolean {
  return child.pid !== undefined && child.exitCode === null && child.signalCode === null
}

function dieWithUs(clean: () => void): () => void {
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const
  const onSignal = (signal: NodeJS.Signals) => {
    release()
    clean()
    // Without anybody else who listens, the signal would have ended us.
    if (process.listenerCount(signal) === 0) process.kill(process.pid, signal)
  }
  const release = () => {
    process.off('exit', clean)
    for (const signal of signals) process.off(signal, onSignal)
  }
  process.once('exit', clean)
  for (const signal of signals) process.on(signal, onSignal)
  return release
}

async function answering(child: ChildProcess, port: number): Promise<void> {
  let failure: Error | undefined
  child.once('error', (error) => (failure = error))
  child.once('exit', (code, signal) => {
    failure ??= new Error(`redis-server ended with ${code ?? signal} before it answered`)
  })
  for (const deadline = Date.now() + 15_000; ;) {
    if (failure) throw failure
    if ((await ping(port)).startsWith('+PONG')) return
    if (Date.now() > deadline) throw new Error('redis-server did not answer within 15 seconds')
    await sleep(20)
  }
}

/** What the server says to a PING: `+PONG`, `-LOADING …` while it reads its log, or nothing. */
function ping(port: number): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => socket.write('PING\r\n'))
    const done = (answer: string) => {
      socket.destroy()
      resolve(answer)
    }
    socket.setTimeout(1000, () => done(''))
    socket.once('data', (data) => done(data.toString()))
    socket.once('error', () => done(''))
  })
}

/** A loopback port that nobody listens on. */
export async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}
