// Builds the shop if anything has changed, and serves it with Next in this process.
import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, globSync, statSync } from 'node:fs'
import { createServer } from 'node:http'
import { createRequire } from 'node:module'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import type next from 'next'
import { openRail } from '../lib/rail.ts'
import { run, type App, type AppOptions } from '../lib/run.ts'

const require = createRequire(import.meta.url)
const here = import.meta.dirname

/** Builds and starts the shop, once in a process. Rejects when the build fails. */
export async function start({ port = 0, rail: named = 'toy', db }: AppOptions = {}): Promise<App> {
  if ('mppkitExample' in globalThis) throw new Error('one shop per process: Next keeps what it has loaded')
  build()
  const rail = await openRail(named)
  // For lib/mpp.ts, of which Next makes a bundle: rails and errors stay inside it, the money is the same.
  Object.assign(globalThis, { mppkitExample: rail.shared })
  if (db !== undefined) process.env.DB = db
  // The type of its default export is not what a Node module gets.
  const app = (require('next') as typeof next.default)({ dev: false, dir: here })
  await app.prepare()
  const handle = app.getRequestHandler()
  const server = createServer((req, res) => void handle(req, res)).listen(port, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    rail,
    // Each route has its own copy of lib/mpp.ts, so it is the server that drains: it ends when all are answered.
    async close() {
      server.close()
      await once(server, 'close')
      await app.close()
      await rail.close()
    },
  }
}

function build(): void {
  const mark = join(here, '.next/BUILD_ID')
  const sources = [
    'app',
    'lib',
    'instrumentation.ts',
    '../lib',
    '../../packages/*/src',
    '../../packages/*/*/src',
    '*.mjs',
  ]
  const files = sources.flatMap((source) => globSync(`${source}{,/**/*.{ts,mjs}}`, { cwd: here }))
  const changed = Math.max(...files.map((file) => statSync(join(here, file)).mtimeMs))
  if (existsSync(mark) && statSync(mark).mtimeMs > changed) return
  const cli = join(require.resolve('next/package.json'), '../dist/bin/next')
  const { NODE_ENV: _, ...rest } = process.env
  const { status, stdout, stderr } = spawnSync(process.execPath, [cli, 'build'], {
    cwd: here,
    encoding: 'utf8',
    env: Object.assign(rest as NodeJS.ProcessEnv, { NEXT_TELEMETRY_DISABLED: '1' }),
  })
  if (status !== 0) throw new Error(`next build failed:\n${stdout}${stderr}`)
}

if (import.meta.main) await run(start, '/buy/bratwurst')
