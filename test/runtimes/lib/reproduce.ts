import { once } from 'node:events'
import { cpSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { basename, join } from 'node:path'
import { root } from './bundle.ts'
import type { Runtime } from './platform.ts'
import { start } from './start.ts'

/** Runs a reproduction on its runtime; rejects with what it has printed when it does not show what it says. */
export async function reproduce(runtime: Runtime, file: string): Promise<void> {
  const results = join(root, 'test/runtimes/results')
  mkdirSync(results, { recursive: true })
  const folder = mkdtempSync(join(results, 'reproduction-'))
  const copy = join(folder, basename(file).replace(/\.js$/, '.mjs'))
  cpSync(join(root, file), copy)
  const { child, output, answer } = start(runtime, copy, 0)
  try {
    const exited = once(child, 'exit').then(([code]) => code === 0)
    const shown = await Promise.race([
      exited,
      new Promise<boolean>((resolve) => void setTimeout(resolve, 20_000, false).unref()),
      ...(answer ? [answer.then(({ status }) => status === 200)] : []),
    ])
    if (!shown) throw new Error(`${file} does not show on ${runtime} what it says\n${output()}`)
  } finally {
    child.kill('SIGKILL')
    rmSync(folder, { recursive: true, force: true })
  }
}
