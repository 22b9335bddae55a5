// Web search at a fixed price, with a free ping: one file for Node (main.ts), `bun search.ts`, `deno serve search.ts` and Workers.
import type { Store } from '@mppkit/core'
import { createMpp } from '@mppkit/hono'
import { Hono } from 'hono'
import type { Rail } from '../lib/rail.ts'
import { toyRail } from '../lib/toy.ts'
import { CORPUS, type Page } from './corpus.ts'

export interface SearchOptions {
  rail: Rail
  /** At least 32 bytes. */
  secret: string | undefined
  /** Where payments are recorded. Default: memory, for one process on loopback. */
  store?: Store
  /** The public origin: a Worker needs one, because it is not shown how requests arrive. */
  origin?: string
}

/** The service: an app for any runtime, and its payments. */
export function search({ rail, secret, store, origin }: SearchOptions) {
  const mpp = createMpp({
    realm: 'search.example',
    secret: secret ?? 'for-this-example-only-32-bytes-min',
    methods: rail.methods,
    ...(store && { store }),
    ...(origin !== undefined && { origin }),
    cors: '*',
  })
  const app = new Hono()
  app.get('/ping', (c) => c.json({ ok: true, pages: CORPUS.length }))
  app.use('/search', async (c, next) => {
    // Ahead of the gate: nobody is asked to pay for a question that has no answer.
    if (!wordsOf(c.req.query('q') ?? '').length) return c.json({ detail: 'q: what shall be found?' }, 422)
    return next()
  })
  app.get('/search', mpp.charge({ amount: '0.01', description: 'One search' }), (c) => {
    const query = c.req.query('q') ?? ''
    return c.json({ query, results: find(query) })
  })
  return { app, mpp }
}

/** Pages that hold the words of a query, best first: a word in the title counts three times. */
function find(query: string): (Page & { score: number })[] {
  const words = wordsOf(query)
  return CORPUS.map((page) => ({ ...page, score: scoreOf(page, words) }))
    .filter(({ score }) => score > 0)
    .sort((a, b) => b.score - a.score || a.url.localeCompare(b.url))
    .slice(0, 5)
}

function scoreOf({ title, text }: Page, words: string[]): number {
  const [inTitle, inText] = [wordsOf(title), wordsOf(text)]
  const count = (all: string[]): number => all.filter((word) => words.includes(word)).length
  return 3 * count(inTitle) + count(inText)
}

function wordsOf(text: string): string[] {
  return text.toLowerCase().match(/[\p{L}\p{N}]{2,}/gu) ?? []
}

let running: ReturnType<typeof search>['app'] | undefined

/** What Bun, Deno and workerd serve. Made at the first request, because a Worker learns its secret only then. */
export default {
  fetch(request: Request, env: { MPP_SECRET_KEY?: string; ORIGIN?: string }, context: never) {
    // Bun and Deno hand something else over here; theirs is where Node has it.
    const { MPP_SECRET_KEY: secret, ORIGIN: origin } = { ...globalThis.process?.env, ...env }
    running ??= search({ rail: toyRail(), secret, ...(origin !== undefined && { origin }) }).app
    return running.fetch(request, env, context)
  },
}
