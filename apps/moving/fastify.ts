import { createMpp, payment } from '@mppkit/fastify'
import { tempo } from '@mppkit/tempo/server'
import fastify from 'fastify'

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

const app = fastify()

app.get('/health', () => ({ ok: true }))

app.get<{ Params: { city: string } }>('/forecast/:city', forecast, (request) => {
  return { city: request.params.city, sunny: true, paidBy: payment(request).payer }
})

app.get<{ Params: { year: string } }>('/archive/:year', archive, (request) => {
  return { year: request.params.year, rainyDays: 121 }
})

app.post('/reports', report, (request, reply) => {
  return reply.code(201).send({ received: request.body })
})

await app.listen({ port: Number(PORT), host: '127.0.0.1' })
