// Puts the questions to one mutant after another, each time on a fresh copy of everything that is ours.
import { pathToFileURL } from 'node:url'
import type { Order, Word } from './messages.ts'
import type { Result } from '../../test/runtimes/lib/runner.ts'

interface Bundle {
  questions(): { key: string; last: boolean }[]
  ask(
    order: readonly { key: string; timeout: number }[],
    bail: boolean,
    begin: (key: string) => void,
  ): Promise<Result[]>
}

const shared = globalThis as { __mutant?: number; __hit?: ((number: number) => void) | undefined }
let copies = 0
let current = ''
let fail = (_reason: string): void => {}

// What frameworks print about errors that the questions provoke.
console.error = console.warn = console.log = () => {}

for (const event of ['unhandledRejection', 'uncaughtException'] as const)
  process.on(event, (error: unknown) => {
    const stack = error instanceof Error ? (error.stack ?? String(error)) : String(error)
    // An earlier copy that has not come to rest.
    const copy = /\?copy=(\d+)/.exec(stack)?.[1]
    if (copy === undefined || copy === current) fail(`${event}: ${stack}`)
  })

process.on('message', (order: Order) => void obey(order))

async function obey({ bundle, mutant, questions, bail }: Order): Promise<void> {
  const broken = new Promise<Word>((resolve) => {
    fail = (reason) => resolve({ kind: 'broken', reason })
  })
  const hits = mutant === undefined ? new Map<string, Set<number>>() : undefined
  let reaching = 'start'
  const work = async (): Promise<Word> => {
    shared.__mutant = mutant ?? -1
    shared.__hit = hits && ((number) => void (hits.get(reaching) ?? noted(hits, reaching)).add(number))
    current = String((copies += 1))
    const loaded = (await import(`${pathToFileURL(bundle).href}?copy=${current}`)) as Bundle
    if (!questions) return { kind: 'listed', questions: loaded.questions() }
    const results = await loaded.ask(questions, bail, (key) => {
      reaching = key
      tell({ kind: 'begun', key })
    })
    return {
      kind: 'done',
      answers: results.map(({ key, title, outcome, reason, milliseconds }) => ({
        key: key ?? title,
        passed: outcome !== 'failed',
        reason,
        milliseconds,
      })),
      hits: hits && Object.fromEntries([...hits].map(([key, numbers]) => [key, [...numbers]])),
    }
  }
  const word = await Promise.race([
    broken,
    work().catch((error: unknown): Word => ({
      kind: 'broken',
      reason: (error as Error)?.stack ?? String(error),
    })),
  ])
  tell(word)
}

function noted(hits: Map<string, Set<number>>, key: string): Set<number> {
  const numbers = new Set<number>()
  hits.set(key, numbers)
  return numbers
}

function tell(word: Word): void {
  process.send?.(word)
}
