import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { verifies } from '../src/lib/cite.ts'
import {
  citationsFromReport,
  coverage,
  idsIn,
  parseCitations,
  unproven,
  type Citation,
} from '../src/lib/coverage.ts'
import { drafts, requirements, type Requirement } from '../src/lib/requirements.ts'

describe('requirements', () => {
  test('are all of the drafts, in order, without a gap', () => {
    const counts = { CORE: 167, CHG: 40, TC: 99 }
    const expected = Object.entries(counts).flatMap(([prefix, count]) =>
      Array.from({ length: count }, (_, index) => `${prefix}-${String(index + 1).padStart(3, '0')}`),
    )
    expect(requirements.map(({ id }) => id)).toEqual(expected)
    expect(Object.keys(drafts)).toEqual(Object.keys(counts))
  })

  test('say what, where, and, where we do otherwise or cannot ask, why', () => {
    for (const { id, section, status, reason, text } of requirements) {
      expect([id, text.length > 5, section.length > 3]).toEqual([id, true, true])
      expect([id, reason !== undefined]).toEqual([id, status !== undefined])
    }
  })
})

describe('coverage', () => {
  const row = (id: string, rest: Partial<Requirement> = {}): Requirement => ({
    id,
    level: 'MUST',
    who: 'server',
    section: 's',
    text: 't',
    ...rest,
  })
  const cite = (id: string): Citation => ({ id, title: `a test of ${id}`, file: 'x.test.ts' })

  test('tells the proven from the missing, and the excused from both', () => {
    const rows = [
      row('CORE-001'),
      row('CORE-002'),
      row('CORE-003', { status: 'deviates', reason: 'r' }),
      row('CORE-004', { status: 'not-observable', reason: 'r' }),
      row('CORE-005', { level: 'SHOULD' }),
      row('CORE-006', { who: 'method-spec' }),
      row('CORE-007', { level: 'MUST NOT', who: 'client' }),
    ]
    const report = coverage(rows, [cite('CORE-001'), cite('CORE-001'), cite('CORE-003'), cite('CORE-999')])
    expect(report.cited.map(({ requirement, by }) => [requirement.id, by.length])).toEqual([
      ['CORE-001', 2],
      ['CORE-003', 1],
    ])
    expect(report.deviating.map(({ id }) => id)).toEqual(['CORE-003'])
    expect(report.notObservable.map(({ id }) => id)).toEqual(['CORE-004'])
    expect(report.missing.map(({ id }) => id)).toEqual(['CORE-002', 'CORE-005', 'CORE-006', 'CORE-007'])
    expect(unproven(report).map(({ id }) => id)).toEqual(['CORE-002', 'CORE-007'])
    expect(report.unknown).toEqual(['CORE-999'])
  })

  test('reads ids out of titles', () => {
    expect(idsIn('CORE-001 CHG-002: CORE-001 again, TC-099, XCORE-003, CORE-0001, core-004')).toEqual([
      'CORE-001',
      'CHG-002',
      'TC-099',
    ])
    expect(idsIn('nothing')).toEqual([])
  })

  test('counts only tests that passed', () => {
    const assertion = (fullName: string, status: string): object => ({ fullName, status })
    const results = [
      assertion('a CORE-001 CORE-002 x', 'passed'),
      assertion('a CORE-003 x', 'failed'),
      assertion('a CORE-004 x', 'skipped'),
    ]
    const json = JSON.stringify({
      testResults: [{ name: 'f.test.ts', assertionResults: results }, { name: 'empty' }],
    })
    expect(citationsFromReport(json)).toEqual([
      { id: 'CORE-001', title: 'a CORE-001 CORE-002 x', file: 'f.test.ts' },
      { id: 'CORE-002', title: 'a CORE-001 CORE-002 x', file: 'f.test.ts' },
    ])
  })
})

describe('verifies', () => {
  const folder = mkdtempSync(join(tmpdir(), 'citations-'))
  const before = process.env.MPPKIT_CITATIONS
  process.env.MPPKIT_CITATIONS = folder
  afterAll(() => {
    if (before === undefined) delete process.env.MPPKIT_CITATIONS
    else process.env.MPPKIT_CITATIONS = before
    rmSync(folder, { recursive: true })
  })

  verifies(['CORE-001', 'CHG-002'], 'writes down what it has proven', () => {
    expect(readdirSync(folder)).toEqual([])
  })

  test('… in one line per requirement', () => {
    const [file, ...others] = readdirSync(folder)
    expect(others).toEqual([])
    const title = 'verifies > CORE-001 CHG-002 writes down what it has proven'
    expect(parseCitations(readFileSync(join(folder, file!), 'utf8'))).toEqual([
      { id: 'CORE-001', title, file: import.meta.filename },
      { id: 'CHG-002', title, file: import.meta.filename },
    ])
  })

  verifies(['CORE-003'], 'proves nothing while it is known to fail', () => expect(1).toBe(2), {
    fails: 'one is not two',
  })
  verifies(['CORE-004'], 'fails without an assertion', () => {}, { fails: 'it asserts nothing' })

  test('… and does not write that down', () => {
    const files = readdirSync(folder).map((file) => readFileSync(join(folder, file), 'utf8'))
    expect(files.join('')).not.toMatch(/CORE-00[34]/)
  })
})
