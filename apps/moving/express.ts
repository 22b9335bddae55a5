import { createMpp, payment } from '@mppkit/express'
import { tempo } from '@mppkit/tempo/server'
import express from 'express'

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

const app = express()

app.get('/health', (req, res) => void res.json({ ok: true }))

app.get('/forecast/:city', forecast, (req, res) => {
  res.json({ city: req.params.city, sunny: true, paidBy: payment(req).payer })
})

app.get('/archive/:year', archive, (req, res) => {
  res.json({ year: req.params.year, rainyDays: 121 })
})

app.post('/reports', report, express.json(), (req, res) => {
  res.status(201).json({ received: req.body })
})

app.listen(Number(PORT), '127.0.0.1')
