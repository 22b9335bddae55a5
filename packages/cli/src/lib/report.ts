import type { Verdict } from '@mppkit/testing/conform'

/** What a report is made of. */
export interface Told {
  /** The first line. */
  head: string
  verdicts: readonly Verdict[]
  /** Whether what passed is listed as well. */
  shows: 'all' | 'faults'
  /** The last line, behind the counts. */
  foot: string
}

/** A report for people. */
export function tell({ head, verdicts, shows, foot }: Told): string {
  const failed = verdicts.filter(({ outcome }) => outcome === 'failed')
  const lines = [head, '']
  if (shows === 'all')
    for (const { id, title, detail } of verdicts.filter(({ outcome }) => outcome === 'passed'))
      lines.push(`ok       ${id}: ${title}${detail === '' ? '' : ` (${detail})`}`)
  for (const { id, level, requirements, title, detail, remedy } of failed) {
    lines.push(
      `${level === 'error' ? 'FAILED  ' : 'warning '} ${id}${requirements.length > 0 ? `  [${requirements.join(', ')}]` : ''}`,
      `         ${title}.`,
      `         seen: ${oneLine(detail)}`,
      `         fix:  ${remedy}`,
      '',
    )
  }
  const skipped = byReason(verdicts)
  if (skipped.size > 0) lines.push('not asked:')
  for (const [reason, group] of skipped)
    lines.push(`  ${oneLine(reason)}: ${group.map(({ id }) => id).join(', ')}`)
  if (skipped.size > 0) lines.push('')
  const count = (outcome: string, level?: string): number =>
    verdicts.filter((one) => one.outcome === outcome && (level === undefined || one.level === level)).length
  lines.push(
    `${count('passed')} passed, ${count('failed', 'error')} failed, ${count('failed', 'warning')} warnings, ${count('skipped')} not asked. ${foot}`,
  )
  return `${lines.join('\n')}\n`
}

/** A report for programs. */
export function tellJson(value: object): string {
  return `${JSON.stringify(value, (_, one: unknown) => (typeof one === 'bigint' ? one.toString() : one), 2)}\n`
}

/** 1 if something failed that is more than a warning. */
export function exitCode(verdicts: readonly Verdict[]): 0 | 1 {
  return verdicts.some(({ outcome, level }) => outcome === 'failed' && level === 'error') ? 1 : 0
}

/** What a server sends must not steer a terminal. */
function oneLine(text: string): string {
  return text.replaceAll(/[\p{Cc}\p{Cf}\s]+/gu, ' ')
}

function byReason(verdicts: readonly Verdict[]): Map<string, Verdict[]> {
  const groups = new Map<string, Verdict[]>()
  for (const verdict of verdicts)
    if (verdict.outcome === 'skipped')
      groups.set(verdict.detail, [...(groups.get(verdict.detail) ?? []), verdict])
  return groups
}
