import { requirements, type Requirement } from '../../packages/testing/src/lib/requirements.ts'
import { ADAPTERS } from './lib/cells.ts'
import { expectedFailures } from './lib/expected.ts'
import { RUNTIMES, type Runtime } from './lib/platform.ts'
import type { CellReport, Question } from './lib/run-cell.ts'
import type { AppOutcome } from './lib/run-apps.ts'
import { countOf, type CellOutcome } from './lib/run-cells.ts'
import { WORKERD } from './lib/start.ts'

const NAMES: Record<Runtime, string> = {
  node20: 'Node 20',
  node22: 'Node 22',
  node24: 'Node 24',
  bun: 'Bun',
  deno: 'Deno',
  workerd: 'workerd',
}

const GROUPS: readonly (readonly [name: string, runtimes: readonly Runtime[]])[] = [
  ['Node', ['node20', 'node22', 'node24']],
  ['Bun', ['bun']],
  ['Deno', ['deno']],
  ['workerd', ['workerd']],
]

/** What the suite has shown, as Markdown: the same results give the same text. */
export function matrix(outcomes: readonly CellOutcome[], apps: readonly AppOutcome[] = []): string {
  const reports = outcomes.filter((outcome) => 'questions' in outcome)
  const notes = footnotes(reports)
  return [
    '# Conformance',
    'Written by `npm run conformance`: one suite of questions, asked over a real socket of each adapter in each runtime. ' +
      'The suite runs inside the runtime; the buyer who asks for it sends its bytes as they are.',
    summary(outcomes),
    ...appTable(apps),
    '## Requirements',
    'Requirements of the drafts for servers that an answer can show. ✓: every question that cites it is answered as it ' +
      'should be, on all versions of the runtime. ✗: one is not. A number: one is a known gap, see below.',
    requirementTable(reports, notes),
    knownGaps(notes),
    blindSpots(),
    elsewhere(reports),
  ].join('\n\n')
}

/** The example apps, and what of `mppkit conform` they pass. */
function appTable(apps: readonly AppOutcome[]): string[] {
  if (apps.length === 0) return []
  const rows = apps.map(({ app, what, passed, known, failed }) => {
    const count = `${String(passed)} / ${String(passed + known.length + failed.length)}`
    const gaps = known.map(({ title, why }) => `${title} (${why})`).join('; ')
    return `| [apps/${app}](../apps/${app}) | ${what} | ${count} | ${gaps} |`
  })
  return [
    '## Example apps',
    'Asked from outside, as any server can be: `mppkit conform <url> --pay toy --profile mppkit`.',
    ['| App | Sells | Questions | Known |', '| --- | --- | --- | --- |', ...rows].join('\n'),
  ]
}

const MARKS = ['<!-- written by npm run conformance -->', '<!-- end -->'] as const

/** A page with the first table of the matrix put between its marks. */
export function withSummary(page: string, markdown: string): string {
  const [from, to] = [page.indexOf(MARKS[0]) + MARKS[0].length, page.indexOf(MARKS[1])]
  if (from < MARKS[0].length || to < from) throw new Error(`the page has no ${MARKS.join(' … ')}`)
  const [head = ''] = /^\|[\s\S]*?\n\n/m.exec(markdown) ?? []
  return `${page.slice(0, from)}\n\n${head.trim()}\n\n${page.slice(to)}`
}

function summary(outcomes: readonly CellOutcome[]): string {
  const adapters = ADAPTERS.filter((name) => outcomes.some(({ adapter }) => adapter === name))
  const runtimes = RUNTIMES.filter((name) => outcomes.some(({ runtime }) => runtime === name))
  const rows = adapters.map((adapter) => [
    adapter,
    ...runtimes.map((runtime) => {
      const outcome = outcomes.find((one) => one.adapter === adapter && one.runtime === runtime)
      if (!outcome) return ''
      return 'missing' in outcome ? 'not run' : summaryOf(outcome)
    }),
  ])
  const heads = runtimes.map((runtime) => {
    const version = outcomes.find(
      (one): one is CellReport => one.runtime === runtime && 'version' in one,
    )?.version
    return `${NAMES[runtime]}${version ? ` (${version})` : ''}`
  })
  return `## Adapters and runtimes\n\nQuestions answered as they should be, of all; and known gaps.\n\n${table(['', ...heads], rows)}`
}

function summaryOf(report: CellReport): string {
  const { passed, failed, skipped, expected } = countOf(report)
  const parts = [`${String(passed)} / ${String(report.questions.length)}`]
  if (expected > 0) parts.push(`${String(expected)} known`)
  if (skipped > 0) parts.push(`${String(skipped)} skipped`)
  if (failed > 0) parts.push(`**${String(failed)} failed**`)
  if (report.crash !== undefined) parts.push('**crashed**')
  return parts.join(', ')
}

interface Note {
  number: number
  reason: string
  reproduction: string
  /** Where, and which questions. */
  where: Map<string, Set<string>>
}

type Notes = Map<string, Note>

/** One note for one reason, however many questions and cells it concerns. */
function footnotes(reports: readonly CellReport[]): Notes {
  const notes: Notes = new Map()
  for (const report of inOrder(reports)) {
    for (const { key, outcome } of report.questions) {
      const known = outcome === 'expected-failure' ? expectedFailures(report)[key] : undefined
      if (!known) continue
      const note = notes.get(known.reason) ?? { number: notes.size + 1, ...known, where: new Map() }
      const place = `${report.adapter} on ${NAMES[report.runtime]}`
      note.where.set(place, (note.where.get(place) ?? new Set()).add(key))
      notes.set(known.reason, note)
    }
  }
  return notes
}

function inOrder(reports: readonly CellReport[]): CellReport[] {
  const rank = ({ adapter, runtime }: CellReport): number =>
    RUNTIMES.indexOf(runtime) * ADAPTERS.length + ADAPTERS.findIndex((name) => name === adapter)
  return reports.toSorted((one, other) => rank(one) - rank(other))
}

function requirementTable(reports: readonly CellReport[], notes: Notes): string {
  const groups = GROUPS.flatMap(([name, runtimes]) =>
    ADAPTERS.flatMap((adapter) => {
      const own = reports.filter((report) => report.adapter === adapter && runtimes.includes(report.runtime))
      return own.length > 0 ? [{ head: `${adapter}<br>${name}`, reports: own }] : []
    }),
  )
  const rows = observable()
    .filter(({ id }) => reports.some(({ questions }) => questions.some(({ ids }) => ids.includes(id))))
    .map(({ id, level, text }) => [
      id,
      level,
      text,
      ...groups.map(({ reports: own }) => cellOf(id, own, notes)),
    ])
  return table(['', '', 'Requirement, in our words', ...groups.map(({ head }) => head)], rows)
}

function cellOf(id: string, reports: readonly CellReport[], notes: Notes): string {
  const citing = reports.flatMap((report) =>
    report.questions.filter(({ ids }) => ids.includes(id)).map((question) => ({ report, question })),
  )
  if (citing.some(({ question }) => question.outcome === 'failed')) return '✗'
  const numbers = new Set(citing.flatMap(({ report, question }) => numberOf(report, question, notes) ?? []))
  if (numbers.size > 0) return [...numbers].toSorted((a, b) => a - b).join(', ')
  return citing.some(({ question }) => question.outcome === 'passed') ? '✓' : ''
}

function numberOf(report: CellReport, { key, outcome }: Question, notes: Notes): number | undefined {
  if (outcome !== 'expected-failure') return undefined
  return notes.get(expectedFailures(report)[key]?.reason ?? '')?.number
}

function observable(): Requirement[] {
  return requirements.filter(
    ({ id, who, status }) =>
      /^(CORE|CHG)-/.test(id) && (who === 'server' || who === 'both') && status !== 'not-observable',
  )
}

function knownGaps(notes: Notes): string {
  const items = [...notes.values()].map(({ number, reason, reproduction, where }) => {
    const places = [...where].map(
      ([place, keys]) => `${place}: ${[...keys].map((key) => `\`${key}\``).join(', ')}`,
    )
    return `${String(number)}. ${reason}. ${places.join('; ')}. Shown without mppkit by [${reproduction}](../${reproduction}).`
  })
  const list = items.length > 0 ? items.join('\n') : 'None.'
  return `## Known gaps\n\nEach is asked, and must fail: the day it passes, the run fails until the note is gone. Only where it depends on who is first may it pass as well.\n\n${list}`
}

function blindSpots(): string {
  return [
    '## What a runtime cannot show',
    '- **workerd** shows no socket: gates need `origin`, and refused credentials are not counted per address. That a buyer ' +
      `has left is shown with the compatibility flag \`${WORKERD.compatibilityFlags[0]}\` only (these runs have it, with ` +
      `compatibility date ${WORKERD.compatibilityDate}); without it, an answer in one piece counts as delivered once it is handed over.`,
    '- **Deno** does not show whether a connection is TLS: beyond loopback, gates need `origin`. An answer in one piece counts ' +
      'as delivered when Deno is done with it, even if the buyer left in the middle of it. Deno prints a notice, once, ' +
      'because gates read `request.signal`.',
    '- **Bun** counts an answer in one piece as delivered once it is handed over. It ends connections on which a handler has ' +
      'sent nothing for `idleTimeout` (10 s unless set): the payment stays good, but slow handlers need a higher one.',
    '- **Bun and workerd** show a handler a URL that is no longer what came over the wire; the payment is bound to what the handler sees.',
  ].join('\n\n')
}

function elsewhere(reports: readonly CellReport[]): string {
  const ids = new Set(reports.flatMap(({ questions }) => questions.flatMap((question) => question.ids)))
  const rest = observable().flatMap(({ id }) => (ids.has(id) ? [] : [id]))
  return `## Shown by other tests\n\nRequirements for servers that this suite does not ask for: ${rest.join(', ') || 'none'}.\n`
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n')
}
