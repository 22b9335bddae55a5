import { spawnSync } from 'node:child_process'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { TARGET, type Peer } from '../peer.ts'

/** Where the app is built; ignored by git. */
export const FOLDER: string = fileURLToPath(new URL('../../../.next', import.meta.url))
const ROOT = fileURLToPath(new URL('../../../../', import.meta.url))
/** Nothing to compare with the floor: a route that costs half a millisecond hides what it would add. */
const PEERS: readonly Peer[] = ['bare', 'ours', 'mppx']

const CONFIG = {
  turbopack: { root: ROOT },
  outputFileTracingRoot: ROOT,
  // It names optional peers that are not installed.
  serverExternalPackages: ['mppx'],
}

/** Builds the app of the routes beside this file for production: one route for each peer. */
export function build(): void {
  // Next's own output stays: it is a cache.
  rmSync(join(FOLDER, 'app'), { recursive: true, force: true })
  for (const peer of PEERS) {
    const folder = join(FOLDER, 'app', peer, TARGET)
    mkdirSync(folder, { recursive: true })
    writeFileSync(join(folder, 'route.js'), `export { GET } from '../../../../lib/servers/next/${peer}.ts'\n`)
  }
  writeFileSync(join(FOLDER, 'next.config.mjs'), `export default ${JSON.stringify(CONFIG)}\n`)
  const cli = createRequire(import.meta.url).resolve('next/dist/bin/next')
  const { status, stdout, stderr } = spawnSync(process.execPath, [cli, 'build'], {
    cwd: FOLDER,
    encoding: 'utf8',
    env: { ...process.env, NODE_ENV: 'production', NEXT_TELEMETRY_DISABLED: '1', NO_COLOR: '1', CI: '1' },
  })
  if (status !== 0) throw new Error(`next build failed:\n${stdout}${stderr}`)
}
