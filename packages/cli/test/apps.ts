import { createGates, memoryStore, type MppOptions } from '@mppkit/server'
import type { Reply, Serve, Served } from '@mppkit/testing'
import { createToyLedger, toyMethod, toyWallet, type ToyWallet } from '@mppkit/testing/toy'

/** A good shop of mppkit on a framework: `/photo` for all methods, `/letter` for GET, and `/failing`, whose handler throws. */
export async function openApp(
  serve: Serve,
  options: Partial<Pick<MppOptions, 'header'>> = {},
): Promise<Served & { alice: ToyWallet }> {
  const ledger = createToyLedger()
  await ledger.fund('alice', 1_000_000n)
  const gates = createGates({
    realm: 'photos.example',
    secret: 'the secret of an app that is only tested',
    methods: [
      toyMethod({ ledger, recipient: 'shop' }),
      toyMethod({ ledger, recipient: 'shop', name: 'coin' }),
    ],
    store: memoryStore(),
    onError: () => {},
    ...options,
  })
  const gate = gates.charge({ amount: '1', redeem: { attempts: 1 } })
  const text: Reply = { kind: 'text', body: 'the photo that was paid for' }
  const events: Reply = { ...text, headers: [['Content-Type', 'text/event-stream']] }
  const failing: Reply = { kind: 'throw' }
  const served = await serve({
    routes: [
      { verb: 'all', path: '/photo', gates: [gate], reply: text, started: () => {} },
      { verb: 'all', path: '/failing', gates: [gate], reply: failing, started: () => {} },
      { verb: 'all', path: '/events', gates: [gate], reply: events, started: () => {} },
      { verb: 'get', path: '/letter', gates: [gate], reply: text, started: () => {} },
    ],
    onError: () => {},
  })
  return {
    ...served,
    alice: toyWallet({ ledger, account: 'alice' }),
    async close() {
      gates.close()
      await served.close()
    },
  }
}
