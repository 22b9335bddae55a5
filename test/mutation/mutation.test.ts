import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

const root = fileURLToPath(new URL('../..', import.meta.url))

/** The whole of it takes minutes: `npm run mutation`. */
test('the conformance suite catches a slice of named defects and mechanical mutants', async () => {
  const { code, output } = await run(['scripts/mutation.ts', '--slice'])
  expect(output).toMatch(/suite alone, named: 8\/8 /)
  expect(output).toMatch(/suite alone, mechanical: (1[2-9]|2\d)\/\1 /)
  expect(code).toBe(0)
}, 180_000)

function run(args: string[]): Promise<{ code: number | null; output: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, args, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] })
    let output = ''
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (chunk: Buffer) => (output += chunk.toString()))
    child.once('error', reject)
    child.once('close', (code) => resolve({ code, output }))
  })
}
