import { check, inTurn, quotient, Samples, start, type Child, type Spread } from './lib/measure.ts'
import type { Load, Progress, Question as LoadQuestion } from './lib/http-load.ts'
import type { Framework, Question as ServerQuestion } from './lib/http-server.ts'
import { build } from './lib/servers/next/build.ts'
import type { Peer, Served } from './lib/servers/peer.ts'
import type { Row, Target, Verdict } from './lib/table.ts'

type Kind = '402' | 'paid'

interface Subject {
  title: string
  peers: readonly Peer[]
  rounds: number
  /** What is wanted: how many times mppx, and which share of the bare framework. */
  wanted: Partial<Record<Kind, { mppx?: number; bare?: number }>>
}

const ALL: readonly Peer[] = ['bare', 'floor', 'ours', 'mppx']
const REAL: readonly Peer[] = ['bare', 'ours', 'mppx']

const SUBJECTS: Record<Framework, Subject> = {
  hono: {
    title: 'Hono',
    peers: ALL,
    rounds: 4,
    wanted: { '402': { mppx: 4, bare: 0.5 }, paid: { mppx: 8 } },
  },
  express: {
    title: 'Express',
    peers: ALL,
    rounds: 4,
    wanted: { '402': { mppx: 2.5 }, paid: { mppx: 2.5 } },
  },
  fastify: {
    title: 'Fastify',
    peers: ALL,
    rounds: 4,
    wanted: { '402': { mppx: 4, bare: 0.5 }, paid: { mppx: 5 } },
  },
  elysia: {
    title: 'Elysia',
    peers: ALL,
    rounds: 4,
    wanted: { '402': { mppx: 4, bare: 0.5 }, paid: { mppx: 5 } },
  },
  'elysia-bun': { title: 'Elysia on Bun', peers: REAL, rounds: 3, wanted: {} },
  next: { title: 'Next', peers: REAL, rounds: 3, wanted: { '402': { bare: 0.85 } } },
}

/** What `--framework` may name. */
export const FRAMEWORKS = Object.keys(SUBJECTS) as Framework[]

/** As many as each can take in a few seconds. */
const CREDENTIALS: Record<Peer, number> = { bare: 0, floor: 60_000, ours: 45_000, mppx: 30_000 }
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

interface Options {
  quick: boolean
  /** All, if absent. */
  frameworks?: readonly Framework[]
}

/** Requests per second, and CPU of the server per request, behind a real socket. */
export async function http({ quick, frameworks = FRAMEWORKS }: Options): Promise<Row[]> {
  if (frameworks.includes('next')) build()
  const rounds = quick ? 1 : Math.max(...frameworks.map((framework) => SUBJECTS[framework].rounds))
  const samples = new Samples()
  const generator = start(new URL('lib/http-load.ts', import.meta.url), { core: LOAD_CORE })
  let short = 0
  try {
    for (let round = 0; round < rounds; round++) {
      for (const framework of frameworks.filter((name) => round < SUBJECTS[name].rounds)) {
        for (const peer of inTurn(SUBJECTS[framework].peers, round)) {
          for (const kind of ['402', 'paid'] as const) {
            if (peer === 'bare' && kind === 'paid') continue
            const { rate, cpu, share } = await sample(generator, framework, peer, kind, quick)
            if (share < ENOUGH) short++
            samples.add(`${framework} ${kind} ${peer} rate`, rate)
            samples.add(`${framework} ${kind} ${peer} cpu`, cpu)
          }
        }
      }
    }
  } finally {
    await generator.end()
  }
  if (short > 0 && !quick)
    console.error(
      `http: in ${short} samples the server did not get its core; CPU per request tells more than the rate.`,
    )
  return frameworks.flatMap((framework) =>
    (['402', 'paid'] as const).flatMap((kind) => rowsOf(framework, kind, (name) => samples.spread(name))),
  )
}

function rowsOf(framework: Framework, kind: Kind, read: (name: string) => Spread): Row[] {
  const { title, peers, wanted } = SUBJECTS[framework]
  const { mppx: times, bare: share } = wanted[kind] ?? {}
  const rowOf = (measure: 'rate' | 'cpu', what: string, unit: string): Row => {
    const cells = Object.fromEntries(
      peers.map((peer) => [peer, read(`${framework} ${peer === 'bare' ? '402' : kind} ${peer} ${measure}`)]),
    ) as Record<Peer, Spread>
    // More requests are better, and less CPU.
    const compare = (a: Peer, b: Peer, least?: number): Verdict => {
      const [over, under] = measure === 'rate' ? [a, b] : [b, a]
      const target: { target?: Target } = least === undefined ? {} : { target: { least } }
      return { of: `${over} / ${under}`, ratio: quotient(cells[over], cells[under]), ...target }
    }
    const verdicts = [compare('ours', 'mppx', times), compare('ours', 'bare', share)]
    if (peers.includes('floor')) verdicts.push(compare('floor', 'mppx'))
    return { bench: 'http', what: `${title} ${kind}, ${what}`, unit, cells, verdicts }
  }
  return [rowOf('rate', 'requests per second', '/s'), rowOf('cpu', 'CPU of the server per request', 'µs')]
}

/** One server, one kind of request; once more if a neighbour took the server's core away. */
async function sample(
  generator: Child,
  framework: Framework,
  peer: Peer,
  kind: Kind,
  quick: boolean,
): Promise<Sample> {
  const first = await take(generator, framework, peer, kind, quick)
  if (quick || first.share >= ENOUGH) return first
  const second = await take(generator, framework, peer, kind, quick)
  return second.share > first.share ? second : first
}

async function take(
  generator: Child,
  framework: Framework,
  peer: Peer,
  kind: Kind,
  quick: boolean,
): Promise<Sample> {
  const server = start(new URL('lib/http-server.ts', import.meta.url), {
    core: SERVER_CORE,
    runtime: framework === 'elysia-bun' ? 'bun' : 'node',
    env: { NODE_ENV: 'production', NEXT_TELEMETRY_DISABLED: '1' },
  })
  try {
    const served = await server.ask<Served>({ framework, peer } satisfies ServerQuestion)
    const load: Load = {
      ...served,
      framework,
      peer,
      kind,
      credentials: quick ? CREDENTIALS[peer] / 5 : CREDENTIALS[peer],
      // It takes more than 10 000 requests until all of a gate is compiled, mppx's like ours.
      warm: quick ? { seconds: 0.2, requests: 500 } : { seconds: 0.8, requests: 18_000 },
      run: quick ? { seconds: 0.5, requests: 100 } : { seconds: 1, requests: 1000 },
    }
    await generator.ask({ prepare: load } satisfies LoadQuestion)
    await generator.ask('warm' satisfies LoadQuestion)
    const cpu = await server.ask<number>('cpu' satisfies ServerQuestion)
    const begun = await generator.ask<Progress>('progress' satisfies LoadQuestion)
    const ended = await generator.ask<Progress>('run' satisfies LoadQuestion)
    const used = (await server.ask<number>('cpu' satisfies ServerQuestion)) - cpu
    const requests = ended.requests - begun.requests
    const ms = ended.at - begun.at
    const enough = requests >= load.run.requests && (quick || ms >= 300)
    check(enough, `${framework} ${peer} ${kind}: no credentials were left after ${Math.round(ms)} ms`)
    return { rate: requests / (ms / 1000), cpu: used / requests, share: used / 1000 / ms }
  } finally {
    await server.end()
  }
}
