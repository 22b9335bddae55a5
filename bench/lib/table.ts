import type { Spread } from './measure.ts'

/** One thing measured: a line of the table, and one more for every further verdict. */
export interface Row {
  bench: string
  what: string
  unit: string
  cells: Partial<Record<Column, Spread>>
  verdicts: Verdict[]
}

/** A ratio, and what is wanted of it, if anything. */
export interface Verdict {
  /** What is divided by what. */
  of: string
  ratio: Spread
  target?: Target
}

export type Target = { least: number } | { most: number }

type Column = 'ours' | 'mppx' | 'floor' | 'bare'

const COLUMNS: readonly Column[] = ['ours', 'mppx', 'floor', 'bare']

/** Whether the median meets the target; undefined without one. */
export function isMet({ ratio, target }: Verdict): boolean | undefined {
  if (!target) return undefined
  return 'least' in target ? ratio.median >= target.least : ratio.median <= target.most
}

/** The rows as text: medians, with the least and the greatest in brackets. */
export function formatTable(rows: readonly Row[]): string {
  const lines = [['', 'unit', ...COLUMNS, 'ratio', '', 'target', '']]
  let bench = ''
  for (const row of rows) {
    if (row.bench !== bench) lines.push([(bench = row.bench).toUpperCase()])
    const cells = COLUMNS.map((column) => formatSpread(row.cells[column]))
    const first = [`  ${row.what}`, row.unit, ...cells]
    const verdicts = row.verdicts.map((verdict) => {
      const met = isMet(verdict)
      const word = met === undefined ? '' : met ? 'met' : 'MISSED'
      return [formatSpread(verdict.ratio), verdict.of, formatTarget(verdict.target), word]
    })
    lines.push([...first, ...(verdicts[0] ?? [])])
    for (const verdict of verdicts.slice(1)) lines.push([...first.map(() => ''), ...verdict])
  }
  const widths = lines.reduce<number[]>((most, line) => {
    // Titles span the table.
    if (line.length > 1)
      line.forEach((cell, index) => (most[index] = Math.max(most[index] ?? 0, cell.length)))
    return most
  }, [])
  return lines
    .map((line) =>
      line
        .map((cell, index) => cell.padEnd(widths[index] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}

/** The rows as Markdown, a table for each bench; a column or a range that a bench does not have is left out. */
export function formatMarkdown(rows: readonly Row[]): string {
  const benches = [...new Set(rows.map(({ bench }) => bench))]
  return benches
    .map((bench) => {
      const own = rows.filter((row) => row.bench === bench)
      const columns = COLUMNS.filter((column) => own.some(({ cells }) => cells[column]))
      const lines = own.map(({ what, unit, cells, verdicts }) => [
        `${what}, ${unit}`,
        ...columns.map((column) => formatSpread(cells[column])),
        verdicts.map(formatVerdict).join('<br>'),
      ])
      const head = ['', ...columns, 'ratios']
      const rule = head.map((_, index) => (index === 0 || index === head.length - 1 ? '---' : '---:'))
      return [`### ${bench}`, '', ...[head, rule, ...lines].map((line) => `| ${line.join(' | ')} |`)].join(
        '\n',
      )
    })
    .join('\n\n')
}

function formatVerdict(verdict: Verdict): string {
  const met = isMet(verdict)
  const { median, min, max } = verdict.ratio
  const value = verdict.target === undefined || min === max ? round(median) : formatSpread(verdict.ratio)
  if (met === undefined) return `${verdict.of} = ${value}`
  return `${verdict.of} = **${value}**, wanted ${formatTarget(verdict.target)}${met ? '' : ': **missed**'}`
}

function formatTarget(target: Target | undefined): string {
  if (!target) return ''
  return 'least' in target ? `≥ ${target.least}` : `≤ ${target.most}`
}

function formatSpread(spread: Spread | undefined): string {
  if (!spread) return ''
  const { median, min, max } = spread
  return min === max ? round(median) : `${round(median)} (${round(min)}–${round(max)})`
}

function round(value: number): string {
  if (value >= 1000) return value.toFixed(0)
  return String(Number(value.toPrecision(3)))
}
