import { createMpp } from '@mppkit/next'
import { toyMethod } from '@mppkit/testing/toy'
import { ledger } from '../../lib/mpp.ts'

// The same shop once more, as a route file makes it that does not import the other.
const mpp = createMpp({
  realm: 'shop.example',
  secret: 'a-secret-for-this-shop-of-32-bytes',
  methods: [toyMethod({ ledger, recipient: 'shop' })],
  ...(process.env.SHOP_ORIGIN !== undefined && { origin: process.env.SHOP_ORIGIN }),
})

export const GET = mpp.charge({ amount: '0.01' })(() => new Response('second'))
