import { spawn, type ChildProcess } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { binaryOf, type Runtime } from './platform.ts'

/** A runtime that runs a bundle. */
export interface Started {
  child: ChildProcess
  /** What it has printed so far, at most the last 20 000 characters. */
  output(): string
  /** What a Worker has answered: it begins with a request. */
  answer?: Promise<{ status: number }>
}

/** Date of the behaviour that workerd shows, and what a seller must switch on. */
export const WORKERD = {
  compatibilityDate: '2026-11-01',
  // Without it nobody is told that a buyer has left.
  compatibilityFlags: ['enable_request_signal'],
} as const

/** Starts a bundle in a runtime; it connects to `port` by itself. */
export function start(runtime: Runtime, bundle: string, port: number): Started {
  const binary = binaryOf(runtime)
  if (binary === undefined) throw new Error(`${runtime} is not installed`)
  if (runtime === 'workerd') return startWorkerd(binary, bundle, port)
  const args = runtime === 'deno' ? ['run', '-A', '--no-lock', bundle] : [bundle]
  return watch(
    spawn(binary, [...args, String(port)], { stdio: ['ignore', 'pipe', 'pipe'], env: environment() }),
  )
}

function startWorkerd(binary: string, bundle: string, port: number): Started {
  const folder = join(bundle, '..')
  const config = join(folder, 'config.capnp')
  mkdirSync(folder, { recursive: true })
  writeFileSync(config, capnp(bundle))
  // File descriptor 3 tells which ports it has got.
  const child = spawn(binary, ['serve', config, '--control-fd=3'], {
    stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
    env: environment(),
  })
  const ports = new Map<string, number>()
  let answered = (_answer: { status: number }): void => {}
  const answer = new Promise<{ status: number }>((resolve) => (answered = resolve))
  let held = ''
  child.stdio[3]?.on('data', (text: Uint8Array) => {
    const lines = (held + Buffer.from(text).toString()).split('\n')
    held = lines.pop() ?? ''
    for (const line of lines) {
      const { event, socket, port: got } = JSON.parse(line) as { event: string; socket: string; port: number }
      if (event === 'listen') ports.set(socket, got)
      if (ports.size === 1 + APPS.length && event === 'listen') ask()
    }
  })
  const started = watch(child)
  const { version } = JSON.parse(readFileSync(join(binary, '../../package.json'), 'utf8')) as {
    version: string
  }

  function ask(): void {
    const sockets = APPS.map((app) => ports.get(app)).join(',')
    const url = `http://127.0.0.1:${String(ports.get('suite'))}/?port=${String(port)}&sockets=${sockets}&version=${version}`
    // The suite lives as long as this request.
    fetch(url).then(
      async (response) => {
        await response.text()
        answered(response)
      },
      () => undefined,
    )
  }
  return { ...started, answer }
}

const APPS = ['app0', 'app1', 'app2', 'app3']

function capnp(bundle: string): string {
  const sockets = APPS.map(
    (app) =>
      `(name = "${app}", address = "127.0.0.1:0", http = (), service = (name = "main", entrypoint = "${app}"))`,
  )
  return `using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  services = [
    (name = "main", worker = .worker),
    (name = "internet", network = (allow = ["private"])),
  ],
  sockets = [
    (name = "suite", address = "127.0.0.1:0", http = (), service = "main"),
    ${sockets.join(',\n    ')},
  ],
);

const worker :Workerd.Worker = (
  modules = [(name = "bundle.mjs", esModule = embed ${JSON.stringify(basename(bundle))})],
  compatibilityDate = "${WORKERD.compatibilityDate}",
  compatibilityFlags = [${WORKERD.compatibilityFlags.map((flag) => JSON.stringify(flag)).join(', ')}],
);
`
}

function watch(child: ChildProcess): Started {
  let output = ''
  for (const stream of [child.stdout, child.stderr])
    stream?.on('data', (text: Uint8Array) => {
      output = (output + Buffer.from(text).toString()).slice(-20_000)
    })
  return { child, output: () => output }
}

function environment(): NodeJS.ProcessEnv {
  // A runtime's results are told, not cited; and what vitest has set makes frameworks think of tests.
  const { MPPKIT_CITATIONS: _, NODE_ENV: __, VITEST: ___, NODE_OPTIONS: ____, ...rest } = process.env
  return Object.assign(rest as NodeJS.ProcessEnv, { NO_COLOR: '1', DENO_NO_UPDATE_CHECK: '1' })
}
