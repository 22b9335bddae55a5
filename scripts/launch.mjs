// Runs one of the root's scripts on a fresh clone that has only Node and npm: fetches the pinned pnpm into an ignored
// folder, installs from the lockfile, and hands over to the pinned Node.
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const [script, ...args] = process.argv.slice(2)
const tools = join(root, '.tools')
const windows = process.platform === 'win32'
const pnpm = join(tools, 'node_modules', '.bin', windows ? 'pnpm.cmd' : 'pnpm')
const wanted = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).packageManager.replace(
  /^pnpm@([^+]+).*$/,
  '$1',
)

function run(command, parameters, options = {}) {
  const { status, error } = spawnSync(command, parameters, {
    cwd: root,
    stdio: 'inherit',
    shell: windows,
    ...options,
  })
  if (error) throw error
  if (status !== 0) process.exit(status ?? 1)
}

function installedPnpm() {
  try {
    return JSON.parse(readFileSync(join(tools, 'node_modules', 'pnpm', 'package.json'), 'utf8')).version
  } catch {
    return undefined
  }
}

/** Newer than both the lockfile and every manifest: nothing to install. */
function installed() {
  const stamp = join(root, 'node_modules', '.installed')
  if (!existsSync(stamp)) return false
  const at = statSync(stamp).mtimeMs
  return ['pnpm-lock.yaml', 'pnpm-workspace.yaml', 'package.json'].every(
    (file) => statSync(join(root, file)).mtimeMs < at,
  )
}

if (installedPnpm() !== wanted) {
  mkdirSync(tools, { recursive: true })
  writeFileSync(join(tools, 'package.json'), '{ "private": true }\n')
  run(
    'npm',
    ['install', '--no-package-lock', '--no-audit', '--no-fund', '--loglevel=error', `pnpm@${wanted}`],
    { cwd: tools },
  )
}
if (!installed()) {
  run(pnpm, ['install', '--frozen-lockfile', '--trust-lockfile'])
  writeFileSync(join(root, 'node_modules', '.installed'), '')
}
const path = [join(root, 'node_modules', '.bin'), join(tools, 'node_modules', '.bin'), process.env.PATH].join(
  delimiter,
)
const quiet = { TURBO_TELEMETRY_DISABLED: '1', NEXT_TELEMETRY_DISABLED: '1', DO_NOT_TRACK: '1' }
run(pnpm, ['--silent', 'run', script, ...args], { env: { ...process.env, ...quiet, PATH: path } })
