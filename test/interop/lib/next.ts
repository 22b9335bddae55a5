import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { cpSync, existsSync, globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type RequestListener, type Server } from 'node:http'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type next from 'next'
import type { NextRequest } from 'next/server.js'

const SHOPS: unique symbol = Symbol.for('mppkit.interop.shops')
const require = createRequire(import.meta.url)
const source = fileURLToPath(new URL('../next', import.meta.url))
// Where Next may write.
const folder = fileURLToPath(new URL('../.next/app', import.meta.url))

type Handler = (request: NextRequest, context: never) => Response | Promise<Response>

const shops = new Map<string, Record<string, Handler>>()
Object.assign(globalThis, { [SHOPS]: shops })
let running: Promise<RequestListener> | undefined
let count = 0

/** Serves route handlers, by method and path, behind a production server of Next in this process. */
export async function onNext(handlers: Record<string, Handler>, port = 0): Promise<Server> {
  const listener = await startNext()
  const name = String((count += 1))
  shops.set(name, handlers)
  return createServer((req, res) => {
    req.headers['x-shop'] = name
    listener(req, res)
  }).listen(port, '127.0.0.1')
}

/** Builds and starts Next, which takes its time. */
export function startNext(): Promise<RequestListener> {
  return (running ??= start())
}

async function start(): Promise<RequestListener> {
  await build()
  // The type of its default export is not what a Node module gets.
  const make = require('next') as typeof next.default
  const app = make({ dev: false, dir: folder })
  await app.prepare()
  const handle = app.getRequestHandler()
  return (req, res) => void handle(req, res)
}

/** Once for all files of tests, which run side by side, and until something has changed. */
async function build(): Promise<void> {
  const mark = join(folder, 'built.txt')
  const hash = hashOf()
  const built = (): boolean => existsSync(mark) && readFileSync(mark, 'utf8') === hash
  const lock = `${folder}.lock`
  mkdirSync(join(folder, '..'), { recursive: true })
  for (let tries = 0; !built(); tries++) {
    try {
      mkdirSync(lock)
    } catch {
      // Left behind by a process that was killed.
      if (tries === 600) rmSync(lock, { recursive: true })
      await new Promise((resolve) => setTimeout(resolve, 100))
      continue
    }
    try {
      rmSync(folder, { recursive: true, force: true })
      cpSync(source, folder, { recursive: true })
      const { NODE_ENV: _, ...rest } = process.env
      const { status, stdout, stderr } = spawnSync(
        process.execPath,
        [join(require.resolve('next/package.json'), '../dist/bin/next'), 'build'],
        {
          cwd: folder,
          encoding: 'utf8',
          env: Object.assign(rest as NodeJS.ProcessEnv, { NEXT_TELEMETRY_DISABLED: '1', NO_COLOR: '1' }),
        },
      )
      if (status !== 0) throw new Error(`next build failed:\n${stdout}${stderr}`)
      writeFileSync(mark, hash)
    } finally {
      rmSync(lock, { recursive: true, force: true })
    }
  }
}

function hashOf(): string {
  const hash = createHash('sha256').update(readFileSync(require.resolve('next/package.json')))
  for (const file of globSync('**/*.{ts,mjs}', { cwd: source }).toSorted())
    hash.update(file).update(readFileSync(join(source, file)))
  return hash.digest('hex')
}
