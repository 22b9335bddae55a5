import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import type { CellReport, Question } from './lib/run-cell.ts'
import { isGood } from './lib/run-cells.ts'
import { matrix, withSummary } from './matrix.ts'

function report(adapter: string, runtime: CellReport['runtime'], questions: Partial<Question>[]): CellReport {
  const whole = questions.map((question): Question => ({
    key: 'k',
    ids: [],
    title: 't',
    outcome: 'passed',
    ...question,
  }))
  return { adapter, runtime, version: '1.2.3', seconds: Math.random(), questions: whole }
}

const outcomes = () => [
  report('hono', 'bun', [
    { ids: ['CORE-001'] },
    { ids: ['CORE-139'], key: 'dotted-targets', outcome: 'expected-failure' },
    { ids: ['CORE-002'], outcome: 'failed' },
  ]),
  report('hono', 'node20', [{ ids: ['CORE-001', 'CORE-139'] }]),
  report('hono', 'node22', [{ ids: ['CORE-001'], outcome: 'failed' }]),
  { adapter: 'fetch', runtime: 'deno' as const, missing: 'no binary' },
]

test('the same results give the same text, whenever and however fast they came', () => {
  expect(matrix(outcomes())).toBe(matrix(outcomes().toReversed()))
})

test('a requirement is met where every question that cites it is answered, on every version', () => {
  const text = matrix(outcomes())
  const row = (id: string): string[] | undefined =>
    text
      .split('\n')
      .find((line) => line.startsWith(`| ${id} |`))
      ?.split(' | ')
      .slice(3)
      .map((cell) => cell.replace(' |', ''))
  expect(text).toContain('| hono<br>Node | hono<br>Bun |')
  expect([row('CORE-001'), row('CORE-139'), row('CORE-002'), row('CORE-003')]).toEqual([
    ['✗', '✓'],
    ['✓', '1'],
    ['', '✗'],
    undefined,
  ])
  expect(text).toContain('| hono | 1 / 1 | 0 / 1, **1 failed** | 1 / 3, 1 known, **1 failed** |')
  expect(text).toContain('| fetch |')
  expect(text).toMatch(/1\. Bun resolves .* hono on Bun: `dotted-targets`\. .*bun-targets\.js/)
})

test('a cell that has failed, crashed or asked nothing is not good; one that cannot run here is', () => {
  const [bad, good, , absent] = outcomes()
  expect([bad, good, absent].map((outcome) => isGood(outcome!))).toEqual([false, true, true])
  expect([isGood({ ...(good as CellReport), crash: 'x' }), isGood(report('hono', 'bun', []))]).toEqual([
    false,
    false,
  ])
})

test('the README shows the table of the last report', () => {
  const read = (name: string): string => readFileSync(new URL(`../../${name}`, import.meta.url), 'utf8')
  const readme = read('README.md')
  expect(withSummary(readme, read('docs/conformance.md'))).toBe(readme)
})
