import type { Sample } from './messages.ts'
import { missing } from './platform.ts'
import { runCell, type Cell, type CellReport } from './run-cell.ts'

/** A cell that has run, or why it could not. */
export type CellOutcome = CellReport | (Cell & { missing: string })

/** Runs cells, whole or in part, two at a time; never two of one framework that has a build to share. */
export async function runCells(
  cells: readonly Cell[],
  onEnd: (outcome: CellOutcome) => void,
  sample: (cell: Cell) => Sample | undefined = () => undefined,
): Promise<CellOutcome[]> {
  const outcomes = new Map<Cell, CellOutcome>()
  const waiting = [...cells]
  let building = false

  async function work(): Promise<void> {
    for (;;) {
      const at = waiting.findIndex(({ adapter }) => adapter !== 'next' || !building)
      const [cell] = at < 0 ? [] : waiting.splice(at, 1)
      // What is left waits for the other worker's framework, and is done there.
      if (!cell) return
      const reason = missing(cell.runtime)
      const builds = cell.adapter === 'next'
      if (builds) building = true
      const outcome = reason === undefined ? await runCell(cell, sample(cell)) : { ...cell, missing: reason }
      if (builds) building = false
      outcomes.set(cell, outcome)
      onEnd(outcome)
    }
  }

  await Promise.all([work(), work()])
  return cells.flatMap((cell) => outcomes.get(cell) ?? [])
}

/** How many questions of a cell have which outcome. */
export function countOf({ questions }: CellReport) {
  const count = (outcome: string): number =>
    questions.filter((question) => question.outcome === outcome).length
  return {
    passed: count('passed'),
    failed: count('failed'),
    skipped: count('skipped'),
    expected: count('expected-failure'),
  }
}

/** Whether a cell has shown what it is to show. */
export function isGood(outcome: CellOutcome): boolean {
  if ('missing' in outcome) return true
  return outcome.crash === undefined && outcome.questions.length > 0 && countOf(outcome).failed === 0
}
