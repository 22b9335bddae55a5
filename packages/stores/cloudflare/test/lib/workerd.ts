import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import { binaryOf } from '../../../../../test/runtimes/lib/platform.ts'
import { WORKERD } from '../../../../../test/runtimes/lib/start.ts'

/** The Workers of the tests, by the name of their socket. */
const WORKERS = { front: 'front', ahead: 'front', behind: 'front', seller: 'seller' } as const
export type Socket = keyof typeof WORKERS

/** workerd with objects on a disk of its own. */
export interface Workerd {
  urlOf(socket: Socket): string
  /** SIGKILL, and a new start on the same disk and ports. */
  restart(): Promise<void>
  stop(): Promise<void>
}

/** Bundles the Workers and starts them; rejects when workerd does not listen within 15 seconds. */
export async function startWorkerd(): Promise<Workerd> {
  const folder = await mkdtemp(join(tmpdir(), 'mppkit-workerd-'))
  await mkdir(join(folder, 'disk'))
  await build({
    entryPoints: ['objects', 'front', 'seller'].map((name) =>
      fileURLToPath(new URL(`../workers/${name}.ts`, import.meta.url)),
    ),
    outdir: folder,
    bundle: true,
    format: 'esm',
    platform: 'browser',
    target: 'es2023',
    logLevel: 'warning',
  })
  let ports = new Map<string, number>()
  let child: ChildProcess

  async function start(): Promise<void> {
    await writeFile(join(folder, 'config.capnp'), capnp(folder, ports))
    // File descriptor 3 tells which ports it has got.
    child = spawn(binaryOf('workerd')!, ['serve', join(folder, 'config.capnp'), '--control-fd=3'], {
      stdio: ['ignore', 'inherit', 'inherit', 'pipe'],
    })
    ports = await listening(child)
  }

  async function kill(): Promise<void> {
    if (child.exitCode !== null || child.signalCode !== null) return
    const exited = once(child, 'exit')
    child.kill('SIGKILL')
    await exited
  }

  await start()
  return {
    urlOf: (socket) => `http://127.0.0.1:${String(ports.get(socket))}/`,
    async restart() {
      await kill()
      await start()
    },
    async stop() {
      await kill()
      await rm(folder, { recursive: true, force: true })
    },
  }
}

function listening(child: ChildProcess): Promise<Map<string, number>> {
  return new Promise((resolve, reject) => {
    const ports = new Map<string, number>()
    let held = ''
    const late = setTimeout(() => {
      child.kill('SIGKILL')
      reject(new Error('workerd does not listen'))
    }, 15_000)
    child.once('exit', (code, signal) => reject(new Error(`workerd ended with ${String(code ?? signal)}`)))
    child.once('error', reject)
    child.stdio[3]!.on('data', (text: Uint8Array) => {
      const lines = (held + Buffer.from(text).toString()).split('\n')
      held = lines.pop() ?? ''
      for (const line of lines) {
        const { event, socket, port } = JSON.parse(line) as { event: string; socket: string; port: number }
        if (event === 'listen') ports.set(socket, port)
      }
      if (ports.size < Object.keys(WORKERS).length) return
      clearTimeout(late)
      resolve(ports)
    })
  })
}

const SKEWS: Partial<Record<Socket, number>> = { ahead: 3_600_000, behind: -3_600_000 }

function capnp(folder: string, ports: Map<string, number>): string {
  const names = Object.keys(WORKERS) as Socket[]
  const settings = `compatibilityDate = "${WORKERD.compatibilityDate}", compatibilityFlags = [${WORKERD.compatibilityFlags
    .map((flag) => JSON.stringify(flag))
    .join(', ')}]`
  const modules = (file: string) =>
    `modules = [(name = "${file}.js", esModule = embed "${file}.js")], ${settings}`
  const services = names.map(
    (name) => `(name = "${name}", worker = (${modules(WORKERS[name])}, bindings = [
      (name = "PAYMENTS", durableObjectNamespace = (className = "BreakableStore", serviceName = "objects")),
      (name = "SKEW", text = "${SKEWS[name] ?? 0}"),
    ]))`,
  )
  const sockets = names.map(
    (name) =>
      `(name = "${name}", address = "127.0.0.1:${ports.get(name) ?? 0}", http = (), service = "${name}")`,
  )
  return `using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  services = [
    (name = "disk", disk = (path = ${JSON.stringify(join(folder, 'disk'))}, writable = true)),
    (name = "objects", worker = (${modules('objects')},
      durableObjectNamespaces = [(className = "BreakableStore", uniqueKey = "payments", enableSql = true)],
      durableObjectStorage = (localDisk = "disk"))),
    ${services.join(',\n    ')},
  ],
  sockets = [${sockets.join(', ')}],
);
`
}
