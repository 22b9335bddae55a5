import { createMpp, payment } from '@mppkit/server'
import { createToyLedger, toyMethod } from '@mppkit/testing/toy'
import { cloudflareStore, type StoreNamespace } from '../../src/index.ts'

interface Env {
  PAYMENTS: StoreNamespace
}

const ledger = createToyLedger()
let runs = 0
let handler: ((request: Request, ...rest: never[]) => Promise<Response>) | undefined

/** A seller as one writes it for Workers; `/runs` tells how often its handler has run, and `/fund` gives a buyer money. */
export default {
  async fetch(request: Request, env: Env, context: unknown): Promise<Response> {
    const { pathname } = new URL(request.url)
    if (pathname === '/runs') return Response.json({ runs, received: String(await ledger.balance('shop')) })
    if (pathname === '/fund') {
      await ledger.fund('alice', 1000n)
      return new Response('funded')
    }
    handler ??= sellerOf(env)
    return handler(request, ...([env, context] as never[]))
  },
}

function sellerOf(env: Env): (request: Request, ...rest: never[]) => Promise<Response> {
  const mpp = createMpp({
    realm: 'shop.example',
    origin: 'http://localhost',
    secret: 'a secret of the tests, long enough for them',
    store: cloudflareStore({ namespace: env.PAYMENTS, name: 'seller' }),
    methods: [toyMethod({ ledger, recipient: 'shop' })],
  })
  return mpp.charge({ amount: '0.10' })(async (request: Request) => {
    runs += 1
    // Time enough for a copy of the request to arrive meanwhile.
    await new Promise((resolve) => setTimeout(resolve, 100))
    return Response.json({ payment: payment(request).id })
  }) as never
}
