import type { FaultLine, Got, HandlerLine } from './lines.ts'
import { POINTS, type Plan } from './plan.ts'

/** A movement of money from a buyer to the shop, as the rail tells it. */
export interface Debit {
  name: string
  rail: string
  /** Undefined: nobody has signed it. */
  call: string | undefined
  quote: string | undefined
}

export interface Refund {
  name: string
  quote: string | undefined
}

/** What the server says of a payment. */
export interface Said {
  state: string
  steps: { at: string; step: string }[]
  started: number
  reached: string
}

/** All that the auditor looks at: what others have written down. */
export interface Evidence {
  plans: Plan[]
  /** Signed payments: quote → call. */
  signed: Map<string, string>
  got: Map<string, Got[]>
  handlers: HandlerLine[]
  faults: FaultLine[]
  debits: Debit[]
  refunds: Refund[]
  said: Map<string, Said>
  /** Payments that `mpp.unclaimed()` lists. */
  listed: Set<string>
  attempts: number
  /** Rails that can return money. */
  returning: Set<string>
}

export type Outcome =
  /** The buyer holds the whole answer. */
  | 'answer'
  | 'refund'
  /** `settled` or `unclaimed`, and listed. */
  | 'listed'
  /** Delivered as far as the server could see, to a buyer who asked for no second copy, or for one that is too large to be kept. */
  | 'unkept'
  /** Delivered to a buyer who cut the wire himself, or who left for good while his answer was kept for him. */
  | 'own fault'
  | 'lost'

export interface Breach {
  kind: 'lost' | 'double' | 'free' | 'bound'
  what: string
  call?: string
  quote?: string
}

export interface Report {
  calls: number
  debits: Record<string, number>
  outcomes: Record<'strict' | 'loose' | 'attackers', Partial<Record<Outcome, number>>>
  faults: Record<string, number>
  points: Record<string, number>
  /** Debits of calls that met a fault. */
  faulted: number
  unfaulted: { all: number; answered: number }
  listed: { share: number; causes: string[] }
  retold: number
  breaches: Breach[]
}

/** From so many calls on every point must have been met often. */
const LONG = 10_000
const ATTACKERS = new Set(['aborter', 'conditional', 'late', 'thief', 'squatter'])

/** Follows every debit to its end. Pure: the same evidence, the same report. */
export function audit(evidence: Evidence): Report {
  const { plans, signed, got, handlers, faults, debits, refunds, said, listed, attempts } = evidence
  const breaches: Breach[] = []
  const planOf = new Map(plans.map((plan) => [plan.call, plan]))
  const starts = groupBy(handlers, ({ id }) => id)
  const returned = groupBy(refunds, ({ quote }) => quote ?? '')
  const debitsOf = groupBy(debits, ({ call }) => call ?? '')
  const met = metFaults(evidence)
  const report: Report = {
    calls: plans.length,
    debits: tally(debits, ({ rail }) => rail),
    outcomes: { strict: {}, loose: {}, attackers: {} },
    faults: tally(faults, ({ kind }) => kind),
    points: tally(
      faults.flatMap(({ point }) => point ?? []),
      (point) => point,
    ),
    faulted: 0,
    unfaulted: { all: 0, answered: 0 },
    listed: { share: 0, causes: [] },
    retold: 0,
    breaches,
  }
  let owing = 0
  let owed = 0

  for (const [call, own] of debitsOf) {
    if (call === '' || !planOf.has(call)) {
      for (const { name } of own) breach('double', `a debit that nobody has signed: ${name}`)
      continue
    }
    if (own.length > 1)
      breach('double', `${own.length} debits: ${own.map(({ name }) => name).join(', ')}`, call)
    for (const debit of own) follow(debit, planOf.get(call)!)
  }
  for (const [call, answers] of got) checkAnswers(call, answers)
  for (const [id, lines] of starts) checkStarts(id, lines)
  for (const [quote, all] of returned) checkRefunds(quote, all)
  for (const [quote, { state }] of said)
    if (state === 'pending' || state === 'refunding')
      breach('lost', `the record is still ${state}`, undefined, quote)
  report.listed.share = owing === 0 ? 0 : owed / owing
  if (report.listed.share > 0.01)
    breach('bound', `${owed} of ${owing} payments are listed for the seller: more than 1 %`)
  if (report.unfaulted.answered < report.unfaulted.all * 0.99)
    breach(
      'bound',
      `${report.unfaulted.answered} of ${report.unfaulted.all} unfaulted payments are answered: under 99 %`,
    )
  if (report.faulted < debits.length * 0.3)
    breach('bound', `${report.faulted} of ${debits.length} payments met a fault: under 30 %`)
  for (const point of plans.length < LONG ? [] : POINTS)
    if ((report.points[point] ?? 0) < 20)
      breach('bound', `the point ${point} was met ${report.points[point] ?? 0} times: less than 20`)
  return report

  function follow(debit: Debit, plan: Plan): void {
    const { call } = plan
    const isAttacker = ATTACKERS.has(plan.role)
    const outcome = outcomeOf(debit, plan)
    const group = isAttacker ? 'attackers' : plan.key && plan.shape === 'small' ? 'strict' : 'loose'
    report.outcomes[group][outcome] = (report.outcomes[group][outcome] ?? 0) + 1
    if (met.has(call)) report.faulted++
    else if (!isAttacker && plan.does !== 'fails') {
      report.unfaulted.all++
      if (outcome === 'answer') report.unfaulted.answered++
      else if (report.unfaulted.all < 1000)
        report.listed.causes.push(`unfaulted, but ${outcome}: ${story(debit)}`)
    }
    if (outcome === 'lost')
      breach('lost', 'debited, and neither answered, returned nor listed', call, debit.quote)
    if (isAttacker || !evidence.returning.has(debit.rail)) return
    owing++
    if (outcome !== 'listed') return
    owed++
    report.listed.causes.push(story(debit))
  }

  function outcomeOf({ quote = '' }: Debit, plan: Plan): Outcome {
    const answers = got.get(plan.call) ?? []
    if (answers.some((answer) => holds(answer, quote))) return 'answer'
    if (returned.has(quote)) return 'refund'
    const state = said.get(quote)?.state
    if (state === 'settled' || (state === 'unclaimed' && listed.has(quote))) return 'listed'
    if (state !== 'delivered') return 'lost'
    const isKept = plan.key && plan.shape === 'small'
    if (ATTACKERS.has(plan.role) || (plan.leaves && isKept)) return 'own fault'
    // Nothing is kept of these: whoever loses the one answer has lost it, if it was the wire that lost it.
    const isTorn = answers.some(({ fault }) => fault !== undefined) || wireOf(plan) === 'duplicate'
    return !isKept && isTorn ? 'unkept' : 'lost'
  }

  /** All of what a start of the handler for this payment has made. */
  function holds({ status, complete, sha, quote }: Got, wanted: string): boolean {
    return (
      status === 200 &&
      complete &&
      quote === wanted &&
      (starts.get(wanted) ?? []).some((line) => line.sha === sha)
    )
  }

  function checkAnswers(call: string, answers: Got[]): void {
    const paid = new Set((debitsOf.get(call) ?? []).map(({ quote }) => quote))
    const seen = new Set<string>()
    for (const { status, complete, bytes, quote, sha } of answers) {
      if (status < 200 || status >= 300) continue
      if (quote === undefined || !paid.has(quote)) breach('free', 'an answer without a debit', call, quote)
      else if (bytes > 0 && returned.has(quote))
        breach('free', 'content was handed over, and the money returned', call, quote)
      if (complete) seen.add(sha)
    }
    if (seen.size > 1) report.retold++
  }

  function checkStarts(id: string, lines: HandlerLine[]): void {
    const call = signed.get(id)
    if (lines.length > attempts) breach('free', `the handler started ${lines.length} times`, call, id)
    const numbers = new Set(lines.map(({ attempt }) => attempt))
    if (numbers.size < lines.length) breach('free', 'one attempt was started twice', call, id)
  }

  function checkRefunds(quote: string, all: Refund[]): void {
    if (all.length > 1) breach('double', `${all.length} refunds`, signed.get(quote), quote)
    if (!debits.some((debit) => debit.quote === quote))
      breach('free', 'a refund without a debit', undefined, quote)
  }

  function story({ quote = '', name }: Debit): string {
    const { state = 'no record', steps = [], started = 0, reached = '' } = said.get(quote) ?? {}
    const way = steps.map(({ step }) => step).join(' → ')
    return `${name}: ${state} after ${started} starts, reached ${reached}; ${way}`
  }

  function breach(kind: Breach['kind'], what: string, call?: string, quote?: string): void {
    const known = call ?? (quote === undefined ? undefined : signed.get(quote))
    breaches.push({ kind, what, ...(known && { call: known }), ...(quote && { quote }) })
  }
}

/** Calls that a fault was planned for, that were at a seller when it died, or that saw the wire or the server fail. */
function metFaults({ plans, got, faults }: Evidence): Set<string> {
  const met = new Set<string>()
  for (const { call, fault } of plans) if (fault) met.add(call)
  for (const { call, beside = [] } of faults) for (const each of [call, ...beside]) if (each) met.add(each)
  for (const [call, answers] of got)
    if (answers.some(({ status, fault }) => fault !== undefined || status === 503)) met.add(call)
  return met
}

function wireOf({ fault }: Plan): string | undefined {
  return fault?.kind === 'wire' ? fault.wire : undefined
}

export function groupBy<Item>(items: Iterable<Item>, key: (item: Item) => string): Map<string, Item[]> {
  const groups = new Map<string, Item[]>()
  for (const item of items) {
    const name = key(item)
    const group = groups.get(name)
    if (group) group.push(item)
    else groups.set(name, [item])
  }
  return groups
}

function tally<Item>(items: readonly Item[], key: (item: Item) => string): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const item of items) counts[key(item)] = (counts[key(item)] ?? 0) + 1
  return counts
}
