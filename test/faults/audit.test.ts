import { describe, expect, test } from 'vitest'
import { audit, type Breach, type Evidence, type Report } from './lib/audit.ts'
import type { Got } from './lib/lines.ts'
import { makePlans, POINTS, type Plan } from './lib/plan.ts'

const PLAN: Plan = {
  call: 'c1',
  role: 'buyer',
  rail: 'toy',
  key: true,
  shape: 'small',
  does: 'ok',
  fault: { kind: 'wire', wire: 'delay' },
}
const HELD: Got = { status: 200, complete: true, bytes: 9, sha: 'sum', paid: true, quote: 'q1' }
const STARTED = { id: 'q1', attempt: 1, call: 'c1', sha: 'sum', bytes: 9, at: 0, seller: 's' }
const DEBIT = { name: 'b-c1:n', rail: 'toy', call: 'c1', quote: 'q1' }
const DELIVERED = { state: 'delivered', steps: [], started: 1, reached: 'all' }

/** One payment that went well, with what is to be different. */
function evidence(changes: Partial<Evidence> = {}): Evidence {
  return {
    plans: [PLAN],
    signed: new Map([['q1', 'c1']]),
    got: new Map([['c1', [HELD]]]),
    handlers: [STARTED],
    faults: [],
    debits: [DEBIT],
    refunds: [],
    said: new Map([['q1', DELIVERED]]),
    listed: new Set(),
    attempts: 3,
    returning: new Set(['toy']),
    ...changes,
  }
}

const kinds = ({ breaches }: Report): Breach['kind'][] => breaches.map(({ kind }) => kind)
const gotten = (...answers: Partial<Got>[]): Evidence['got'] =>
  new Map([['c1', answers.map((answer) => ({ ...HELD, ...answer }))]])
const says = (state: string): Evidence['said'] => new Map([['q1', { ...DELIVERED, state }]])

describe('C34: the auditor', () => {
  test('has nothing to say of an answered payment', () => {
    const report = audit(evidence())
    expect(report.breaches).toEqual([])
    expect(report.outcomes.strict).toEqual({ answer: 1 })
  })

  test('lets who leaves for good go, if his answer is kept for him; whoever comes back must get it', () => {
    const torn = { got: gotten({ complete: false, fault: 'ECONNRESET' }) }
    const left = audit(evidence({ ...torn, plans: [{ ...PLAN, leaves: true }] }))
    expect([kinds(left), left.outcomes.strict]).toEqual([[], { 'own fault': 1 }])
    expect(kinds(audit(evidence(torn)))).toContain('lost')
    const gone = { ...torn, plans: [{ ...PLAN, leaves: true as const }], said: says('unclaimed') }
    expect(kinds(audit(evidence(gone)))).toContain('lost')
  })

  test.each<[string, Partial<Evidence>]>([
    ['an answer that lacks its end', { got: gotten({ complete: false, fault: 'ECONNRESET' }) }],
    ['other bytes than the handler made', { got: gotten({ sha: 'other' }) }],
    ['an answer without a 2xx', { got: gotten({ status: 500 }) }],
    ['no answer', { got: new Map() }],
    ['no record either', { got: new Map(), said: new Map() }],
    ['unclaimed, but not listed', { got: new Map(), said: says('unclaimed') }],
  ])('calls a debit lost that has bought %s', (_, changes) => {
    expect(kinds(audit(evidence(changes)))).toContain('lost')
  })

  test.each(['pending', 'refunding'])('does not leave a payment %s', (state) => {
    expect(kinds(audit(evidence({ said: says(state) })))).toContain('lost')
  })

  test('takes a refund, or a listing, for an end', () => {
    const torn = gotten({ status: 0, complete: false, bytes: 0, fault: 'ECONNRESET' })
    const refunded = audit(
      evidence({ got: torn, refunds: [{ name: 'r', quote: 'q1' }], said: says('refunded') }),
    )
    expect(refunded.breaches).toEqual([])
    expect(refunded.outcomes.strict).toEqual({ refund: 1 })
    const listed = audit(evidence({ got: torn, said: says('unclaimed'), listed: new Set(['q1']) }))
    expect(listed.outcomes.strict).toEqual({ listed: 1 })
    // One of one is more than one percent.
    expect(kinds(listed)).toEqual(['bound'])
  })

  test.each<[string, Breach['kind'], Partial<Evidence>]>([
    ['two debits for one call', 'double', { debits: [DEBIT, { ...DEBIT, name: 'b-c1:m' }] }],
    ['a debit that nobody signed', 'double', { debits: [DEBIT, { ...DEBIT, call: undefined }] }],
    [
      'two refunds',
      'double',
      {
        got: new Map(),
        refunds: [
          { name: 'r', quote: 'q1' },
          { name: 's', quote: 'q1' },
        ],
      },
    ],
    ['an answer without a debit', 'free', { debits: [] }],
    ['an answer that was paid by another', 'free', { got: gotten({}, { quote: 'q2' }) }],
    ['content and the money back', 'free', { refunds: [{ name: 'r', quote: 'q1' }] }],
    [
      'most of the content and the money back',
      'free',
      {
        got: gotten({ complete: false, bytes: 8 }),
        refunds: [{ name: 'r', quote: 'q1' }],
        said: says('refunded'),
      },
    ],
    ['a refund of nothing', 'free', { refunds: [{ name: 'r', quote: 'q2' }] }],
    [
      'more starts than attempts',
      'free',
      { handlers: [1, 2, 3, 4].map((attempt) => ({ ...STARTED, attempt })) },
    ],
    ['the same attempt twice', 'free', { handlers: [STARTED, STARTED] }],
    ['payments that met no fault', 'bound', { plans: [{ ...PLAN, fault: undefined }] as unknown as Plan[] }],
  ])('finds %s', (_, kind, changes) => {
    expect(kinds(audit(evidence(changes)))).toContain(kind)
  })

  test('excuses a torn answer only where nothing is kept', () => {
    const torn = { got: gotten({ complete: false, fault: 'ECONNRESET' }) }
    const loose = audit(evidence({ ...torn, plans: [{ ...PLAN, key: false }] }))
    expect(loose.breaches).toEqual([])
    expect(loose.outcomes.loose).toEqual({ unkept: 1 })
    // Nothing was torn: the server has refused what it had never sent.
    const whole = gotten({ status: 402 })
    expect(kinds(audit(evidence({ got: whole, plans: [{ ...PLAN, key: false }] })))).toContain('lost')
  })
})

describe('the plan', () => {
  const plans = makePlans({ seed: 7, payments: 10_000, tempo: true })

  test('is the same for the same seed', () => {
    expect(makePlans({ seed: 7, payments: 10_000, tempo: true })).toEqual(plans)
    expect(makePlans({ seed: 8, payments: 10_000, tempo: true })).not.toEqual(plans)
  })

  test('of 10 000 payments comes to each point at least 20 times, with every role and wire', () => {
    const points = plans.flatMap(({ fault }) => (fault?.kind === 'kill' ? fault.point : []))
    for (const point of POINTS)
      expect(points.filter((each) => each === point).length, point).toBeGreaterThan(20)
    const roles = new Set(plans.map(({ role }) => role))
    expect(roles.size).toBe(7)
    expect(new Set(plans.map(({ rail }) => rail)).size).toBe(4)
    expect(new Set(plans.flatMap(({ fault }) => (fault?.kind === 'wire' ? fault.wire : []))).size).toBe(5)
  })
})
