import { run } from '../src/index.ts'

/** Runs a command line and gives what it wrote. */
export async function told(
  argv: readonly string[],
  env: Record<string, string> = {},
): Promise<{ code: number; out: string; err: string }> {
  const written = { out: '', err: '' }
  const code = await run(argv, {
    out: (text) => void (written.out += text),
    err: (text) => void (written.err += text),
    env,
  })
  return { code, ...written }
}
