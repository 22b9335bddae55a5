import { createMpp } from '@mppkit/next'
import { sqliteStore } from '@mppkit/sqlite'
import type { Goods } from './counter.ts'
import type { Seller, Shared } from '../../lib/rail.ts'
import { tempoSeller } from '../../lib/tempo.ts'
import { toyRail } from '../../lib/toy.ts'

/** Where main.ts says the money is; `next build` evaluates this file as well, and then nobody has said anything. */
const { rpcUrl, ledger } = (globalThis as { mppkitExample?: Shared }).mppkitExample ?? {}

export const rail: Seller = rpcUrl === undefined ? toyRail(ledger) : tempoSeller(rpcUrl)

/** What was sold, by payment. Next gives each route a copy of this module; the listener of any may hear of the refund. */
export const orders: Map<string, Goods> = ((
  globalThis as { mppkitOrders?: Map<string, Goods> }
).mppkitOrders ??= new Map())

/** For all routes. In an app of your own, this is the whole set-up, with `methods: [tempo.charge({ recipient })]`. */
export const mpp = createMpp({
  realm: 'butcher.example',
  secret: process.env.MPP_SECRET_KEY ?? 'for-this-example-only-32-bytes-min',
  origin: process.env.ORIGIN ?? 'http://localhost:3000',
  methods: rail.methods,
  ...(process.env.DB !== undefined && { store: sqliteStore({ path: process.env.DB }) }),
  onEvent: ({ type, id }) => {
    console.log(`${type}: order ${id}`)
    // A buyer who hangs up three times has his money back, and no order.
    if (type === 'refunded') orders.delete(id)
  },
})

/** An answer that refuses before anybody is asked for money. */
export function refusal(status: number, detail: string) {
  const headers: [string, string][] = [['Content-Type', 'application/json']]
  return { status, headers, body: JSON.stringify({ detail }) }
}
