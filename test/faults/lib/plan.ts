/** The points at which a seller can be made to die or to freeze: those of the server, and those of the rail. */
export const POINTS = [
  'looked-up',
  'verified',
  'claimed',
  'proof-claimed',
  'key-claimed',
  'noted',
  'broadcast-sent',
  'broadcast-acked',
  'settled',
  'handler-started',
  'first-byte',
  'kept',
  'last-byte',
  'delivered',
  'refund-noted',
  'refund-broadcast-sent',
  'refund-broadcast-acked',
  'refund-sent',
] as const
export type Point = (typeof POINTS)[number]

/** A refund may be made by another seller, or on behalf of another request: more of them are planned than are met. */
const RETURNS = POINTS.filter((point) => point.startsWith('refund-'))

/** Where a process is stopped past its lease: in settle, before and after the money moves, and in the handler. */
const ICY: Point[] = ['noted', 'broadcast-sent', 'broadcast-acked', 'settled', 'handler-started', 'last-byte']

export type RailName = 'toy' | 'ref' | 'push' | 'tempo'
export type Role =
  /** Pays, and sends the same credential until the answer is final. */
  | 'buyer'
  /** The same through `@mppkit/client`. */
  | 'client'
  /** Hangs up before the last byte, as often as it is let. */
  | 'aborter'
  /** Hangs up before the last byte, then asks with conditions that the handler answers with 412 and 416. */
  | 'conditional'
  /** Has paid before, and comes after the challenge has expired. */
  | 'late'
  /** Presents another buyer's proof for a challenge of its own. */
  | 'thief'
  /** Sends two credentials under one Idempotency-Key. */
  | 'squatter'
export type Wire = 'cut-request' | 'cut-answer' | 'delay' | 'duplicate' | 'concurrent'

export type Fault =
  | { kind: 'kill' | 'freeze'; point: Point }
  | { kind: 'wire'; wire: Wire }
  /** Asked, paid and answered by sellers whose clocks are a minute fast or slow. */
  | { kind: 'skew' }

/** One call of one buyer, and what is to go wrong with it. */
export interface Plan {
  call: string
  role: Role
  rail: RailName
  /** Whether it sends an Idempotency-Key. */
  key: boolean
  shape: 'small' | 'large' | 'stream'
  does: 'ok' | 'fails-once' | 'fails' | 'slow'
  fault?: Fault
  /** Gives up at the first trouble. */
  leaves?: true
}

/** A small seeded generator: 0 (inclusive) to 1 (exclusive). */
export function randomOf(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}

/** The plans of a run: the same for the same seed. */
export function makePlans({
  seed,
  payments,
  tempo,
}: {
  seed: number
  payments: number
  tempo: boolean
}): Plan[] {
  const random = randomOf(seed)
  // Points are dealt like cards, so that each has its turn however short the run is.
  const kills = dealer([...POINTS, ...RETURNS, ...RETURNS], random)
  const freezes = dealer(ICY, random)
  const wires = dealer<Wire>(['cut-request', 'cut-answer', 'delay', 'duplicate', 'concurrent'], random)
  return Array.from({ length: payments }, (_, index) => makePlan(index))

  function makePlan(index: number): Plan {
    // The lease of a dead seller outlives it by half a minute: a short run has its deaths, more of them, in its first third.
    const isShort = payments <= 2000
    const isLate = isShort && index > payments / 3
    const drawn = random()
    const dice = isShort ? early(drawn, isLate) : drawn
    const plan: Plan = {
      call: `c${String(index).padStart(6, '0')}`,
      role: 'buyer',
      rail: pickRail(random()),
      key: random() < 0.8,
      shape: pick<Plan['shape']>(random(), [
        [0.8, 'small'],
        [0.1, 'large'],
        [0.1, 'stream'],
      ]),
      does: pick<Plan['does']>(random(), [
        [0.88, 'ok'],
        [0.04, 'fails-once'],
        [0.02, 'fails'],
        [0.06, 'slow'],
      ]),
    }
    // Who leaves late is waited for at the end: nobody leaves then.
    if (dice < 0.06) return killed(plan, kills(), index < payments * 0.4 ? random() : 1)
    if (dice < 0.08) return frozen(plan, freezes())
    if (dice < 0.32) return { ...plan, fault: { kind: 'wire', wire: wires() } }
    if (dice < 0.36) return { ...plan, rail: notTempo(plan.rail), fault: { kind: 'skew' } }
    if (dice < 0.375)
      return { ...plan, role: 'aborter', does: 'ok', shape: 'stream', rail: notTempo(plan.rail) }
    if (dice < 0.39)
      return { ...plan, role: 'conditional', does: 'ok', shape: 'stream', rail: notTempo(plan.rail) }
    if (dice < 0.4) return { ...plan, role: 'late', rail: 'push', does: 'ok' }
    if (dice < 0.415) return { ...plan, role: 'thief', rail: random() < 0.5 ? 'push' : 'toy', does: 'ok' }
    if (dice < 0.43) return { ...plan, role: 'squatter', rail: 'toy', key: true, does: 'ok', shape: 'small' }
    if (dice < 0.55) return { ...plan, role: 'client', key: true }
    return plan
  }

  function early(drawn: number, isLate: boolean): number {
    if (isLate) return drawn < 0.06 ? 1 : drawn
    return drawn < 0.18 ? drawn / 3 : drawn
  }

  /** The plan must come by the point at which it dies. */
  function killed(plan: Plan, point: Point, dice: number): Plan {
    const next: Plan = { ...plan, fault: { kind: 'kill', point } }
    if (point === 'key-claimed' || point === 'kept') Object.assign(next, { key: true, shape: 'small' })
    if (point === 'kept' && next.does === 'fails') next.does = 'ok'
    if (point === 'noted') next.rail = 'ref'
    if (point.startsWith('broadcast-')) next.rail = plan.rail === 'ref' ? 'ref' : 'toy'
    // Who has pushed money and never says so cannot be known to a seller.
    const mayLeave = next.rail !== 'push'
    if (point.startsWith('refund-'))
      Object.assign(next, { does: 'fails', rail: plan.rail === 'ref' ? 'ref' : 'toy' })
    // Who leaves before the handler starts gets his money back; later it is listed, so few may.
    else if (mayLeave && dice < (POINTS.indexOf(point) < POINTS.indexOf('settled') ? 0.2 : 0.02))
      next.leaves = true
    return next
  }

  function frozen(plan: Plan, point: Point): Plan {
    const rail = point === 'noted' ? 'ref' : plan.rail === 'ref' ? 'ref' : 'toy'
    return { ...plan, rail, fault: { kind: 'freeze', point } }
  }

  function pickRail(dice: number): RailName {
    const rail = pick<RailName>(dice, [
      [0.5, 'toy'],
      [0.3, 'ref'],
      [0.12, 'push'],
      [0.08, 'tempo'],
    ])
    return rail === 'tempo' && !tempo ? 'toy' : rail
  }

  function notTempo(rail: RailName): RailName {
    return rail === 'tempo' ? 'toy' : rail
  }
}

function pick<Value>(dice: number, shares: [share: number, value: Value][]): Value {
  let left = dice
  for (const [share, value] of shares) if ((left -= share) < 0) return value
  return shares[0]![1]
}

function dealer<Card>(cards: readonly Card[], random: () => number): () => Card {
  let deck: Card[] = []
  return () => {
    if (deck.length === 0) deck = [...cards]
    return deck.splice(Math.floor(random() * deck.length), 1)[0]!
  }
}
