import { createMpp } from '@mppkit/next'
import { createToyLedger, toyMethod, type ToyLedger } from '@mppkit/testing/toy'

const process_ = globalThis as { shopLedger?: ToyLedger }

/** The bank: outside of the app, so no hot reload forgets it. */
export const ledger = (process_.shopLedger ??= opened())

function opened(): ToyLedger {
  const made = createToyLedger()
  void made.fund('alice', 1_000_000n)
  return made
}

export const mpp = createMpp({
  realm: 'shop.example',
  secret: 'a-secret-for-this-shop-of-32-bytes',
  methods: [toyMethod({ ledger, recipient: 'shop' })],
  cors: '*',
  ...(process.env.SHOP_ORIGIN !== undefined && { origin: process.env.SHOP_ORIGIN }),
})
