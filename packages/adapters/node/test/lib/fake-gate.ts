import {
  BodyError,
  type Answer,
  type Gate,
  type Incoming,
  type Kept,
  type Outcome,
  type Payment,
} from '@mppkit/server'

/** A gate without a server behind it: whoever sends `x-paid` has paid. */
export interface FakeGate extends Gate {
  /** What it was shown, and told, in order. */
  readonly shown: Incoming[]
  readonly bodies: Uint8Array[]
  readonly kept: Kept[]
  readonly finished: Outcome[]
}

export interface FakeOptions {
  keeps?: number
  /** Reads the body, up to this many bytes, before it decides. */
  limit?: number
  /** Awaited in `keep`. */
  keeping?(): Promise<void>
  /** Awaited between the opening and the grant. */
  settling?(): Promise<void>
}

export const UNPAID = '{"title":"Pay first"}'
const STATUS = { 'too-large': 413, 'too-slow': 408, broken: 400 }

export function fakeGate(options: FakeOptions = {}): FakeGate {
  const gate = Object.assign(open, {
    offers: [],
    shown: [] as Incoming[],
    bodies: [] as Uint8Array[],
    kept: [] as Kept[],
    finished: [] as Outcome[],
  })
  return gate

  async function open(request: Incoming): ReturnType<Gate> {
    gate.shown.push(request)
    if (options.limit !== undefined) {
      try {
        gate.bodies.push((await request.body?.(options.limit)) ?? new Uint8Array(0))
      } catch (error) {
        if (!(error instanceof BodyError) || error.reason === 'consumed') throw error
        return { kind: 'respond', answer: { status: STATUS[error.reason], headers: [], body: error.message } }
      }
    }
    if (request.headers.get('x-free')) return { kind: 'pass' }
    if (!request.headers.get('x-paid')) return { kind: 'respond', answer: unpaid() }
    return {
      kind: 'admit',
      async admit() {
        await options.settling?.()
        return { kind: 'proceed', grant: { payment, headers, keeps: options.keeps ?? 0, keep, finish } }
      },
    }
  }

  async function keep(answer: Kept): Promise<void> {
    gate.kept.push(answer)
    await options.keeping?.()
  }

  async function finish(outcome: Outcome): Promise<void> {
    gate.finished.push(outcome)
  }
}

function headers(status: number): [string, string][] {
  return status < 300
    ? [
        ['payment-receipt', 'receipt'],
        ['cache-control', 'private'],
      ]
    : [['cache-control', 'no-store']]
}

function unpaid(): Answer {
  return {
    status: 402,
    headers: [
      ['www-authenticate', 'Payment id="a"'],
      ['www-authenticate', 'Payment id="b"'],
      ['cache-control', 'no-store'],
    ],
    body: UNPAID,
  }
}

const payment: Payment = {
  id: 'quote',
  attempt: 1,
  signal: new AbortController().signal,
  receipt: { status: 'success', method: 'toy', timestamp: '2030-01-01T00:00:00Z', reference: 'r1' },
  method: 'toy',
  intent: 'charge',
  request: { amount: '1' },
}
