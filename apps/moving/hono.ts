import { serve } from '@hono/node-server'
import { createMpp, payment } from '@mppkit/hono'
import { tempo } from '@mppkit/tempo/server'
import { Hono } from 'hono'

const {
  MPP_SECRET_KEY,
  RECIPIENT = '',
  EUROPE = '',
  CHAIN_ID = '42431',
  RPC_URL,
  PORT = '3000',
} = process.env

const mpp = createMpp({
  realm: 'weather.example',
  secret: MPP_SECRET_KEY,
  methods: [tempo.charge({ recipient: RECIPIENT, chainId: Number(CHAIN_ID), rpcUrl: RPC_URL })],
})
const forecast = mpp.charge({ amount: '0.01', description: 'Tomorrow' })
const archive = mpp.charge({ amount: '1.00', recipient: EUROPE })
const report = mpp.charge({ amount: async ({ body }) => ((await body()).length > 1000 ? '0.50' : '0.25') })

const app = new Hono()

app.get('/health', (c) => c.json({ ok: true }))

app.get('/forecast/:city', forecast, (c) => {
  return c.json({ city: c.req.param('city'), sunny: true, paidBy: payment(c).payer })
})

app.get('/archive/:year', archive, (c) => {
  return c.json({ year: c.req.param('year'), rainyDays: 121 })
})

app.post('/reports', report, async (c) => {
  return c.json({ received: await c.req.json() }, 201)
})

serve({ fetch: app.fetch, port: Number(PORT), hostname: '127.0.0.1' })
