import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { findPostgres, findRedis } from '@mppkit/testing/services'
import { expect, test } from 'vitest'
import { STORES, type StoreName } from './lib/settings.ts'

const MAIN = fileURLToPath(new URL('main.ts', import.meta.url))
const DAY = Math.floor(Date.now() / 86_400_000)

/** Another store each day, unless one is asked for. */
const wanted = STORES.find((name) => name === process.env['FAULTS_STORE']) ?? STORES[DAY % STORES.length]!
const seed = process.env['FAULTS_SEED'] ?? String(DAY)
const missing =
  (wanted === 'redis' && findRedis() === undefined) || (wanted === 'postgres' && findPostgres() === undefined)

test.skipIf(missing)(
  `${wanted} is today's store; without its server on this machine it is SQLite's turn`,
  () => {
    expect(missing).toBe(false)
  },
)
const store: StoreName = missing ? 'sqlite' : wanted

/**
 * A slice of `npm run faults`: same faults, same audit. Recovery looks four times as early, so that nobody has to wait for it. The
 * chain is left out: on a new one nothing can be said to be "never paid" for minutes.
 */
test(`C6 C7 C33 C34 A1 A2: 500 payments under faults on ${store}, seed ${seed}: nothing lost, doubled or given away`, async () => {
  const { code, said } = await runFaults(['--payments', '500', '--store', store, '--seed', seed])
  expect(said.trim().split('\n').at(-1), said).toBe('lost 0, double 0, free 0')
  expect(code, said).toBe(0)
}, 170_000)

function runFaults(options: string[]): Promise<{ code: number | null; said: string }> {
  const fixed = ['--hurry', '4', '--no-tempo', '--quiet']
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', MAIN, ...fixed, ...options])
  let said = ''
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk: Buffer) => void (said += chunk.toString()))
  return new Promise((resolve) => child.on('close', (code) => resolve({ code, said })))
}
