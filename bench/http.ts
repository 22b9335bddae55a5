import { check, inTurn, quotient, Samples, start, type Spread } from './lib/measure.ts'
import type { Load, Progress, Question as LoadQuestion } from './lib/http-load.ts'
import type { Framework, Peer, Question as ServerQuestion } from './lib/http-server.ts'
import type { Row } from './lib/table.ts'

const PEERS: readonly Peer[] = ['bare', 'floor', 'ours', 'mppx']
/** As many as each can take in a few seconds. */
const CREDENTIALS: Record<Peer, number> = { bare: 0, floor: 60_000, ours: 45_000, mppx: 10_000 }
const SERVER_CORE = 0
const LOAD_CORE = 1

/** The share of its core that a loaded server should get. */
const ENOUGH = 0.92

interface Sample {
  /** Requests per second, as seen from outside. */
  rate: number
  /** CPU of the server per request, in microseconds. */
  cpu: number
  /** The share of a core that the server got. */
  share: number
}

/** Requests per second, and CPU of the server per request, behind a real socket. */
export async function http({ quick }: { quick: boolean }): Promise<Row[]> {
  const rounds = quick ? 1 : 5
  const samples = new Samples()
  let short = 0
  for (let round = 0; round < rounds; round++) {
    for (const framework of ['hono', 'express'] as const) {
      for (const peer of inTurn(PEERS, round)) {
        for (const kind of ['402', 'paid'] as const) {
          if (peer === 'bare' && kind === 'paid') continue
          const { rate, cpu, share } = await sample(framework, peer, kind, quick)
          if (share < ENOUGH) short++
          samples.add(`${framework} ${kind} ${peer} rate`, rate)
          samples.add(`${framework} ${kind} ${peer} cpu`, cpu)
        }
      }
    }
  }
  if (short > 0 && !quick)
    console.error(
      `http: in ${short} samples the server did not get its core; CPU per request tells more than the rate.`,
    )
  return (['hono', 'express'] as const).flatMap((framework) =>
    (['402', 'paid'] as const).flatMap((kind) => rowsOf(framework, kind, (name) => samples.spread(name))),
  )
}

function rowsOf(framework: Framework, kind: '402' | 'paid', read: (name: string) => Spread): Row[] {
  const title = `${framework === 'hono' ? 'Hono' : 'Express'} ${kind}`
  const cellsOf = (measure: 'rate' | 'cpu'): Record<Peer, Spread> => ({
    ours: read(`${framework} ${kind} ours ${measure}`),
    mppx: read(`${framework} ${kind} mppx ${measure}`),
    floor: read(`${framework} ${kind} floor ${measure}`),
    bare: read(`${framework} 402 bare ${measure}`),
  })
  const rate = cellsOf('rate')
  const cpu = cellsOf('cpu')
  const wanted = framework === 'express' ? 2.5 : kind === '402' ? 4 : 8
  const share = framework === 'hono' && kind === '402' ? { target: { least: 0.5 } } : {}
  return [
    {
      bench: 'http',
      what: `${title}, requests per second`,
      unit: '/s',
      cells: rate,
      verdicts: [
        { of: 'ours / mppx', ratio: quotient(rate.ours, rate.mppx), target: { least: wanted } },
        { of: 'floor / mppx', ratio: quotient(rate.floor, rate.mppx) },
        { of: 'ours / bare', ratio: quotient(rate.ours, rate.bare), ...share },
      ],
    },
    {
      bench: 'http',
      what: `${title}, CPU of the server per request`,
      unit: 'µs',
      cells: cpu,
      verdicts: [
        { of: 'mppx / ours', ratio: quotient(cpu.mppx, cpu.ours), target: { least: wanted } },
        { of: 'mppx / floor', ratio: quotient(cpu.mppx, cpu.floor) },
        { of: 'bare / ours', ratio: quotient(cpu.bare, cpu.ours), ...share },
      ],
    },
  ]
}

/** One server, one load, one kind of request; once more if a neighbour took the server's core away. */
async function sample(
  framework: Framework,
  peer: Peer,
  kind: '402' | 'paid',
  quick: boolean,
): Promise<Sample> {
  const first = await take(framework, peer, kind, quick)
  if (quick || first.share >= ENOUGH) return first
  const second = await take(framework, peer, kind, quick)
  return second.share > first.share ? second : first
}

async function take(framework: Framework, peer: Peer, kind: '402' | 'paid', quick: boolean): Promise<Sample> {
  const server = start(new URL('lib/http-server.ts', import.meta.url), { core: SERVER_CORE })
  const generator = start(new URL('lib/http-load.ts', import.meta.url), { core: LOAD_CORE })
  try {
    const port = await server.ask<number>({ framework, peer } satisfies ServerQuestion)
    const load: Load = {
      port,
      peer,
      kind,
      credentials: quick ? CREDENTIALS[peer] / 5 : CREDENTIALS[peer],
      warm: quick ? 0.3 : 0.8,
      seconds: quick ? 0.5 : 1.5,
    }
    await generator.ask({ prepare: load } satisfies LoadQuestion)
    await generator.ask('warm' satisfies LoadQuestion)
    const cpu = await server.ask<number>('cpu' satisfies ServerQuestion)
    const begun = await generator.ask<Progress>('progress' satisfies LoadQuestion)
    const ended = await generator.ask<Progress>('run' satisfies LoadQuestion)
    const used = (await server.ask<number>('cpu' satisfies ServerQuestion)) - cpu
    const requests = ended.requests - begun.requests
    const ms = ended.at - begun.at
    check(requests >= 500, `${framework} ${peer} ${kind}: ${requests} requests are too few`)
    check(ms >= 300, `${framework} ${peer} ${kind}: the credentials were used up after ${Math.round(ms)} ms`)
    return { rate: requests / (ms / 1000), cpu: used / requests, share: used / 1000 / ms }
  } finally {
    await Promise.all([server.end(), generator.end()])
  }
}
