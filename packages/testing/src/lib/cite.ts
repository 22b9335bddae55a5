import { appendFileSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test, type TestContext } from 'vitest'
import type { Citation } from './coverage.ts'

/**
 * A test that proves requirements. It fails unless it runs an assertion, and says what it has proven: in its title, and,
 * where `MPPKIT_CITATIONS` names a folder, in a file there.
 *
 * @param ids Ids of `requirements`; may be none.
 * @param options.timeout Milliseconds.
 * @param options.fails Why the test is known to fail. It then proves nothing, and fails as soon as it passes.
 */
export function verifies(
  ids: readonly string[],
  title: string,
  body: (context: TestContext) => void | Promise<void>,
  options: { timeout?: number; fails?: string | undefined } = {},
): void {
  const { fails, timeout } = options
  const settings = timeout === undefined ? {} : { timeout }
  if (fails !== undefined) {
    // Without the ids: a failing test is no proof, whoever reads the report.
    test.fails(`${title} (known: ${fails})`, settings, (context) => run(body, context))
    return
  }
  test([...ids, title].join(' '), settings, async (context) => {
    await run(body, context)
    for (const id of ids) cite({ id, title: fullTitle(context), file: context.task.file.filepath })
  })
}

async function run(
  body: (context: TestContext) => void | Promise<void>,
  context: TestContext,
): Promise<void> {
  await body(context)
  const { assertionCalls } = expect.getState()
  if (assertionCalls === 0) throw new Error('this test asserts nothing, so it proves nothing')
}

function fullTitle({ task }: TestContext): string {
  const names = [task.name]
  for (let suite = task.suite; suite; suite = suite.suite) names.unshift(suite.name)
  return names.join(' > ')
}

function cite(citation: Citation): void {
  const folder = process.env.MPPKIT_CITATIONS
  if (!folder) return
  mkdirSync(folder, { recursive: true })
  // One file per worker: appending stays whole.
  appendFileSync(
    join(folder, `${process.pid}-${process.env.VITEST_POOL_ID ?? 0}.jsonl`),
    `${JSON.stringify(citation)}\n`,
  )
}
