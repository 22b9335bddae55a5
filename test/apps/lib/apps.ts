import { conform, playMoney, type ConformOptions, type Verdict } from '@mppkit/testing/conform'
import type { App } from '../../../apps/lib/run.ts'

/** What an example is asked for, and what it answers otherwise than `mppkit conform` wants it. */
export interface Asked {
  /** What it sells. */
  what: string
  path: string
  options: Omit<ConformOptions, 'url'>
  /** Question → why. Each must fail, or the note is out of date. */
  known: Record<string, string>
}

const streams = 'streams are not kept: who has got one has to pay for the next'
const first = 'of several Authorization lines, Next shows the first'

export const APPS = {
  express: {
    what: 'letters',
    path: '/letters',
    options: json({ to: 'Ada', country: 'CH', text: 'Hi!', pages: 2, colour: false }),
    known: {},
  },
  hono: { what: 'web search', path: '/search?q=bread', options: {}, known: {} },
  elysia: { what: 'browser sessions', path: '/sessions', options: json({}), known: {} },
  next: {
    what: 'a butcher shop',
    path: '/buy/bratwurst',
    options: {},
    known: { 'one-credential': first, 'two-credentials-kept': first, 'login-beside': first },
  },
  fastify: {
    what: 'a token stream',
    path: '/generate',
    options: json({ prompt: 'Hi', tokens: 2 }),
    known: { 'idempotency-key': streams },
  },
} satisfies Record<string, Asked>

export type AppName = keyof typeof APPS

/** Asks an app everything that `mppkit conform` asks, with toy money. */
export async function askApp({ url, rail }: App, { path, options }: Asked): Promise<readonly Verdict[]> {
  const pay = playMoney(rail.wallet('alice'))
  return (await conform({ url: url + path, pay, profile: 'mppkit', ...options })).verdicts
}

/** What comes with a JSON body. */
function json(body: unknown) {
  return { body: JSON.stringify(body), headers: [['Content-Type', 'application/json']] as const }
}
