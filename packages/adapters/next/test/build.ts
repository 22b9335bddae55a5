import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { basename, join } from 'node:path'

const here = import.meta.dirname
const next = join(createRequire(import.meta.url).resolve('next/package.json'), '..')

/** The command line of Next. */
export const CLI = join(next, 'dist/bin/next')

/** What every Next process of the tests gets. */
export const ENV: NodeJS.ProcessEnv = environment()

function environment(): NodeJS.ProcessEnv {
  // Vitest's would make Next think of tests.
  const { NODE_ENV: _, ...rest } = process.env
  return Object.assign(rest as NodeJS.ProcessEnv, { NEXT_TELEMETRY_DISABLED: '1', NO_COLOR: '1' })
}

export interface Built {
  folder: string
  /** Whether the build has succeeded. */
  ok: boolean
  output: string
}

/** Copies an app of this folder, with `files` added, to where Next may write; nothing of an earlier copy stays. */
export function copy(name: string, files: Record<string, string> = {}, as = name): string {
  const folder = join(here, '.next', as)
  rmSync(folder, { recursive: true, force: true })
  cpSync(join(here, name), folder, { recursive: true })
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(join(folder, path, '..'), { recursive: true })
    writeFileSync(join(folder, path), text)
  }
  return folder
}

const builds = new Map<string, Promise<Built>>()

/** Builds an app of this folder, unless nothing has changed since the last time. */
export function build(name: string, files: Record<string, string> = {}): Promise<Built> {
  let built = builds.get(name)
  if (!built) builds.set(name, (built = make(name, files)))
  return built
}

async function make(name: string, files: Record<string, string>): Promise<Built> {
  const folder = join(here, '.next', name)
  const mark = join(folder, 'built.json')
  const hash = hashOf(name, files)
  if (existsSync(mark)) {
    const last = JSON.parse(readFileSync(mark, 'utf8')) as Built & { hash: string }
    if (last.hash === hash) return { ...last, folder }
  }
  copy(name, files)
  const { code, output } = await run(['build'], folder)
  if (code === 0) writeFileSync(mark, JSON.stringify({ hash, ok: true, output }))
  return { folder, ok: code === 0, output }
}

/** Runs Next to its end. */
function run(args: string[], cwd: string): Promise<{ code: number | null; output: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [CLI, ...args], {
      cwd,
      env: ENV,
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let output = ''
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (text: Buffer) => void (output += text.toString()))
    child.once('error', reject).once('close', (code) => resolve({ code, output }))
  })
}

/** Everything that goes into a build. */
function hashOf(name: string, files: Record<string, string>): string {
  const hash = createHash('sha256').update(readFileSync(join(next, 'package.json')))
  const packages = join(here, '../../..')
  const sources = [
    filesIn(join(packages, 'adapters/next/src')),
    filesIn(join(packages, 'server/src')),
    filesIn(join(packages, 'core/src')),
    filesIn(join(packages, 'testing/src')).filter((file) => basename(file).startsWith('toy')),
    filesIn(join(here, name)),
  ]
  for (const file of sources.flat().toSorted()) hash.update(file).update(readFileSync(file))
  return hash.update(JSON.stringify(files)).digest('hex')
}

/** The sources below a folder. */
function filesIn(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((file) => /\.(ts|mjs|json)$/.test(file))
    .map((file) => join(folder, file))
}
