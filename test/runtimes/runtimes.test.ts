import { beforeAll, describe, expect, test } from 'vitest'
import { REPRODUCTIONS } from './lib/expected.ts'
import { missing } from './lib/platform.ts'
import { reproduce } from './lib/reproduce.ts'
import type { Cell } from './lib/run-cell.ts'
import { runCells, type CellOutcome } from './lib/run-cells.ts'

// A part of the questions each, so that all are asked of every runtime; `npm run conformance` asks all of all.
const CELLS: readonly (readonly [Cell, of: number, part: number])[] = [
  [{ adapter: 'fetch', runtime: 'bun' }, 3, 0],
  [{ adapter: 'hono', runtime: 'bun' }, 3, 1],
  [{ adapter: 'elysia', runtime: 'bun' }, 3, 2],
  [{ adapter: 'fetch', runtime: 'deno' }, 2, 0],
  [{ adapter: 'hono', runtime: 'deno' }, 2, 1],
  [{ adapter: 'fetch', runtime: 'workerd' }, 2, 0],
  [{ adapter: 'hono', runtime: 'workerd' }, 2, 1],
  [{ adapter: 'fetch', runtime: 'node20' }, 4, 0],
  [{ adapter: 'hono', runtime: 'node20' }, 4, 1],
  [{ adapter: 'fetch', runtime: 'node22' }, 4, 2],
  [{ adapter: 'hono', runtime: 'node22' }, 4, 3],
]

const ends = new Map(CELLS.map(([cell]) => [cell, endOf()]))

describe('the conformance suite in other runtimes', () => {
  beforeAll(() => {
    const parts = new Map(CELLS.map(([cell, of, part]) => [cell, { of, part }]))
    void runCells(
      [...parts.keys()],
      (outcome) => [...ends].find(([cell]) => isSame(cell, outcome))?.[1].come(outcome),
      (cell) => parts.get(cell),
    ).catch((error: unknown) => {
      for (const end of ends.values()) end.fail(error)
    })
  })

  for (const [cell, end] of ends) {
    const reason = missing(cell.runtime)
    const title = `${cell.adapter} on ${cell.runtime}${reason === undefined ? '' : ` (skipped: ${reason})`}`
    test.skipIf(reason !== undefined)(title, { timeout: 300_000 }, async () => {
      const outcome = await end.outcome
      if ('missing' in outcome) throw new Error(outcome.missing)
      expect(outcome.crash).toBeUndefined()
      expect(outcome.questions.filter((question) => question.outcome === 'failed')).toEqual([])
      expect(outcome.questions.filter((question) => question.outcome === 'passed').length).toBeGreaterThan(25)
    })
  }
})

describe('what a runtime does by itself, shown without mppkit', () => {
  for (const { runtime, file } of REPRODUCTIONS) {
    const reason = missing(runtime)
    test.skipIf(reason !== undefined)(
      `${file}${reason === undefined ? '' : ` (skipped: ${reason})`}`,
      { timeout: 60_000 },
      () => reproduce(runtime, file),
    )
  }
})

function isSame(one: Cell, other: Cell): boolean {
  return one.adapter === other.adapter && one.runtime === other.runtime
}

function endOf() {
  let come: (outcome: CellOutcome) => void = () => {}
  let fail: (error: unknown) => void = () => {}
  const outcome = new Promise<CellOutcome>((...both) => ([come, fail] = both))
  // Awaited by its test, which may not have begun.
  outcome.catch(() => {})
  return { outcome, come: (value: CellOutcome) => come(value), fail: (error: unknown) => fail(error) }
}
