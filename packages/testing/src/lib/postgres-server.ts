import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { chmodSync, chownSync, closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs'
import { existsSync, readdirSync, statSync } from 'node:fs'
import { createServer, connect, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { LocalService } from '../services.ts'

/** Where the server's binary is, or undefined if this machine has none. */
export function findPostgres(): string | undefined {
  if (process.platform === 'win32') return undefined
  const debian = '/usr/lib/postgresql'
  const versions = existsSync(debian) ? readdirSync(debian).toSorted((a, b) => Number(b) - Number(a)) : []
  const folders = [
    ...versions.map((version) => join(debian, version, 'bin')),
    ...(process.env['PATH'] ?? '').split(delimiter).filter((folder) => folder !== ''),
  ]
  const folder = folders.find((one) => existsSync(join(one, 'postgres')) && existsSync(join(one, 'initdb')))
  // PostgreSQL refuses to run as root.
  if (folder === undefined || (isRoot() && unprivileged() === undefined)) return undefined
  return join(folder, 'postgres')
}

/**
 * Starts one, for the user `postgres` without a password; rejects when there is no binary, or it does not come up within
 * 15 seconds. Commits survive `kill` (they are with the operating system), but not the loss of power: `fsync` is off.
 */
export async function startPostgres(): Promise<LocalService> {
  const binary = findPostgres()
  if (binary === undefined) throw new Error('PostgreSQL is not installed, or there is no user to run it as')
  const owner = isRoot() ? unprivileged() : undefined
  const folder = ownFolder(owner)
  const data = join(folder, 'data')
  const port = await freePort()

  const initdb = ['-D', data, '-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '--locale=C', '--no-sync']
  const made = spawnSync(join(dirname(binary), 'initdb'), initdb, { ...owner, cwd: folder, encoding: 'utf8' })
  if (made.status !== 0) {
    rmSync(folder, { recursive: true, force: true })
    throw new Error(`initdb failed: ${made.stderr || String(made.error)}`)
  }

  let running: { child: ChildProcess; watcher: ChildProcess } | undefined

  async function start(): Promise<void> {
    if (running) throw new Error('PostgreSQL runs already')
    const deadline = Date.now() + 15_000
    for (;;) {
      // It is dead, whoever has its number now.
      rmSync(join(data, 'postmaster.pid'), { force: true })
      const log = openSync(join(folder, 'log'), 'a', 0o600)
      const child = spawn(binary!, [...settings(port), '-D', data], {
        ...owner,
        cwd: folder,
        stdio: ['ignore', log, log],
      })
      closeSync(log)
      const failed = new Promise<Error>((resolve) => child.once('error', resolve))
      if (child.pid === undefined) throw await failed
      running = { child, watcher: dieWithUs(child.pid, folder) }
      if (await answers(child, port, deadline)) return
      await kill()
      // What the last one has left behind may need a moment to vanish.
      if (Date.now() < deadline) await sleep(100)
      else throw new Error(`PostgreSQL did not come up within 15 seconds:\n${tail(join(folder, 'log'))}`)
    }
  }

  async function kill(): Promise<void> {
    if (!running) return
    const { child, watcher } = running
    running = undefined
    watcher.kill('SIGKILL')
    const gone =
      child.exitCode === null && child.signalCode === null
        ? new Promise((resolve) => child.once('exit', resolve))
        : undefined
    const family = stopped(child.pid!)
    for (const pid of family) signal(pid, 'SIGKILL')
    await gone
    while (family.some(lives)) await sleep(5)
  }

  async function stop(): Promise<void> {
    await kill()
    rmSync(folder, { recursive: true, force: true })
  }

  try {
    await start()
  } catch (error) {
    await stop()
    throw error
  }
  return {
    url: `postgres://postgres@127.0.0.1:${port}/postgres`,
    port,
    kill,
    start,
    pause() {
      if (running) stopped(running.child.pid!)
    },
    resume() {
      if (running) for (const pid of familyOf(running.child.pid!)) signal(pid, 'SIGCONT')
    },
    stop,
  }
}

function settings(port: number): string[] {
  const all = {
    port,
    listen_addresses: '127.0.0.1',
    unix_socket_directories: '',
    max_connections: 200,
    shared_buffers: '16MB',
    fsync: 'off',
    synchronous_commit: 'on',
    log_min_messages: 'warning',
  }
  return Object.entries(all).flatMap(([name, value]) => ['-c', `${name}=${value}`])
}

interface Owner {
  uid: number
  gid: number
}

function isRoot(): boolean {
  return process.getuid?.() === 0
}

/** `initdb` wants a user that has a name. */
function unprivileged(): Owner | undefined {
  const lines = existsSync('/etc/passwd') ? readFileSync('/etc/passwd', 'utf8').split('\n') : []
  for (const name of ['postgres', 'nobody']) {
    const [, , uid, gid] = lines.find((line) => line.startsWith(`${name}:`))?.split(':') ?? []
    if (uid !== undefined && gid !== undefined) return { uid: Number(uid), gid: Number(gid) }
  }
  return undefined
}

function ownFolder(owner: Owner | undefined): string {
  const parent = !owner || isOpen(tmpdir()) ? tmpdir() : '/tmp'
  const folder = mkdtempSync(join(parent, 'mppkit-postgres-'))
  chmodSync(folder, 0o700)
  if (owner) chownSync(folder, owner.uid, owner.gid)
  return folder
}

/** Whether everybody may enter, all the way down. */
function isOpen(path: string): boolean {
  return (statSync(path).mode & 0o001) !== 0 && (dirname(path) === path || isOpen(dirname(path)))
}

/**
 * However we end, by a signal that nobody can handle too, our end of the pipe closes, and the watcher ends the server.
 * A session of its own, so that Ctrl-C in a terminal does not end the watcher first.
 */
function dieWithUs(pid: number, folder: string): ChildProcess {
  const script = 'cat; kill -QUIT "$0"; kill -CONT "$0"; sleep 1; kill -KILL "$0"; rm -rf "$1"'
  const watcher = spawn('sh', ['-c', script, `${pid}`, folder], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
  })
  watcher.unref()
  const pipe = watcher.stdin as typeof watcher.stdin & { unref(): void }
  pipe.on('error', () => {})
  pipe.unref()
  return watcher
}

/** Stops a process and all its children, and names them; the first one first, so that it makes no more of them. */
function stopped(pid: number): number[] {
  signal(pid, 'SIGSTOP')
  const family = familyOf(pid)
  for (const one of family) signal(one, 'SIGSTOP')
  return family
}

/** Every server process has a session of its own: there is no group to signal. */
function familyOf(pid: number): number[] {
  const { stdout } = spawnSync('ps', ['-A', '-o', 'pid=,ppid='], { encoding: 'utf8' })
  const children = stdout
    .split('\n')
    .map((line) => line.trim().split(/\s+/).map(Number))
    .filter(([, parent]) => parent === pid)
  return [pid, ...children.map(([child]) => child!)]
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name)
  } catch {
    // Gone already.
  }
}

/** A zombie holds nothing any more; in a container nobody may ever bury it. */
function lives(pid: number): boolean {
  const { stdout } = spawnSync('ps', ['-o', 'stat=', '-p', `${pid}`], { encoding: 'utf8' })
  return /^[^Z]/.test(stdout.trim())
}

/** Whether it takes connections before it ends, or before the deadline. */
async function answers(child: ChildProcess, port: number, deadline: number): Promise<boolean> {
  while (Date.now() < deadline && child.exitCode === null && child.signalCode === null) {
    if (await greets(port)) return true
    await sleep(25)
  }
  return false
}

/** Logs in: a server that still recovers takes connections too, but answers with an error. */
function greets(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    const end = (ready: boolean) => {
      socket.destroy()
      resolve(ready)
    }
    socket.setTimeout(1000, () => end(false))
    socket.once('error', () => end(false))
    socket.once('close', () => end(false))
    socket.once('data', (bytes) => end(bytes[0] === 'R'.charCodeAt(0)))
    const body = Buffer.from('\0\x03\0\0user\0postgres\0database\0postgres\0\0')
    const length = Buffer.alloc(4)
    length.writeInt32BE(body.length + 4)
    socket.end(Buffer.concat([length, body]))
  })
}

function tail(file: string): string {
  return readFileSync(file, 'utf8').slice(-2000)
}

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}
