import { check, quotient, Samples, start, type Child } from './lib/measure.ts'
import { KINDS, startPlace, type Kind, type Place } from './lib/stores.ts'
import type { Question } from './lib/store-worker.ts'
import type { Row, Verdict } from './lib/table.ts'

const PROCESSES = 4
const MB = 1_000_000

/** What a store can bear, alone and shared by four processes; payments go through the gate, without HTTP around it. */
export async function stores({ quick }: { quick: boolean }): Promise<Row[]> {
  const ms = quick ? 300 : 3_000
  const rounds = quick ? 1 : 3
  const samples = new Samples()
  const kinds: Kind[] = []
  for (const kind of KINDS) {
    const place = await startPlace(kind)
    if (!place) {
      console.error(`stores: ${kind} is not installed here`)
      continue
    }
    kinds.push(kind)
    try {
      for (let round = 0; round < rounds; round++) await measure(place, ms, samples)
    } finally {
      await place.stop()
    }
  }
  const growth = await memory(quick ? 40_000 : 1_000_000)
  samples.add('growth', growth)
  return [...kinds.flatMap((kind) => rowsOf(kind, samples)), growthRow(samples, quick)]
}

async function measure({ kind, at }: Place, ms: number, samples: Samples): Promise<void> {
  await withWorkers(1, { kind, at }, async ([worker]) => {
    const perSecond = async (question: Question): Promise<number> =>
      (await worker!.ask<number>(question)) / (ms / 1000)
    await worker!.ask({ payments: { lanes: 8, ms: ms / 3 } } satisfies Question)
    samples.add(`${kind} swaps 1`, await perSecond({ swaps: { lanes: 1, ms } }))
    samples.add(`${kind} swaps 32`, await perSecond({ swaps: { lanes: 32, ms } }))
    samples.add(`${kind} paid 1`, await perSecond({ payments: { lanes: 32, ms } }))
    samples.add(`${kind} unpaid`, await perSecond({ unpaid: { ms } }))
  })
  // Its data are in one process.
  if (kind === 'memory') return
  await withWorkers(PROCESSES, { kind, at }, async (workers) => {
    const question: Question = { payments: { lanes: 32 / PROCESSES, ms } }
    const done = await Promise.all(workers.map((worker) => worker.ask<number>(question)))
    samples.add(`${kind} paid ${PROCESSES}`, done.reduce((sum, each) => sum + each, 0) / (ms / 1000))
  })
}

async function withWorkers(
  count: number,
  place: Place,
  work: (workers: Child[]) => Promise<void>,
): Promise<void> {
  const workers = Array.from({ length: count }, () => start(new URL('lib/store-worker.ts', import.meta.url)))
  try {
    for (const worker of workers) await worker.ask({ open: place } satisfies Question)
    await work(workers)
  } finally {
    for (const worker of workers) await worker.end()
  }
}

/** In megabytes. */
async function memory(payments: number): Promise<number> {
  const worker = start(new URL('lib/store-worker.ts', import.meta.url), { flags: ['--expose-gc'] })
  try {
    return (await worker.ask<number>({ memory: { payments } } satisfies Question)) / MB
  } finally {
    await worker.end()
  }
}

function rowsOf(kind: Kind, samples: Samples): Row[] {
  const row = (name: string, what: string, verdicts: Verdict[] = []): Row => ({
    bench: 'stores',
    what: `${kind}: ${what}`,
    unit: '/s',
    cells: { ours: samples.spread(`${kind} ${name}`) },
    verdicts,
  })
  const unpaid: Verdict = {
    of: `${kind} / memory`,
    ratio: quotient(samples.spread(`${kind} unpaid`), samples.spread('memory unpaid')),
    target: { least: 0.8 },
  }
  const rows = [
    row('swaps 1', 'swaps, one after another'),
    row('swaps 32', 'swaps, 32 at once'),
    row('paid 1', 'payments, one process'),
  ]
  if (kind !== 'memory') rows.push(row(`paid ${PROCESSES}`, `payments, ${PROCESSES} processes`))
  rows.push(row('unpaid', '402s, which ask no store', kind === 'memory' ? [] : [unpaid]))
  return rows
}

function growthRow(samples: Samples, quick: boolean): Row {
  const growth = samples.spread('growth')
  check(Number.isFinite(growth.median), 'no heap was measured')
  return {
    bench: 'stores',
    what: `memory: heap kept after ${quick ? '40 000' : '1 000 000'} payments that are over`,
    unit: 'MB',
    cells: { ours: growth },
    verdicts: [{ of: 'MB', ratio: growth, target: { most: 20 } }],
  }
}
