import { createMpp } from '@mppkit/next'
import { createToyLedger, toyMethod } from '@mppkit/testing/toy'

const mpp = createMpp({
  realm: 'shop.example',
  secret: 'a-secret-for-this-shop-of-32-bytes',
  methods: [toyMethod({ ledger: createToyLedger(), recipient: 'shop' })],
  origin: 'http://localhost',
})

export const dynamic = 'force-static'

export const GET = mpp.charge({ amount: '0.01' })(() => new Response('content'))
