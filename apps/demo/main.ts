// A seller on Express, a seller on Hono, a buyer that pays both: real transactions on a local Tempo chain.
import { createServer } from 'node:http'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { serve } from '@hono/node-server'
import { createClient, limits, receiptOf } from '@mppkit/client'
import { decodeRequest, formatAmount, parseChallenges } from '@mppkit/core'
import * as forExpress from '@mppkit/express'
import * as forHono from '@mppkit/hono'
import { tempo as buying } from '@mppkit/tempo/client'
import { tempo as selling } from '@mppkit/tempo/server'
import { startTempo } from '@mppkit/testing/anvil'
import express from 'express'
import { Hono } from 'hono'
import { generatePrivateKey, privateKeyToAccount } from 'viem/accounts'

const PATH_USD = '0x20c0000000000000000000000000000000000000'
const dim = (text: string): string => (process.stdout.isTTY ? `\u001B[2m${text}\u001B[22m` : text)
const bold = (text: string): string => (process.stdout.isTTY ? `\u001B[1m${text}\u001B[22m` : text)

const chain = await startTempo()
console.log(bold('\nA local Tempo chain is up'), dim(`${chain.url}, chain ${chain.chainId}`))

const buyer = privateKeyToAccount(generatePrivateKey())
const recipients = [
  privateKeyToAccount(generatePrivateKey()).address,
  privateKeyToAccount(generatePrivateKey()).address,
]
await chain.fund(buyer.address, 10_000_000n, PATH_USD)

const sellers = [await expressSeller(recipients[0]!), await honoSeller(recipients[1]!)]

const client = createClient({
  methods: [buying.charge({ account: buyer, chainId: chain.chainId, rpcUrl: chain.url })],
  policy: { limits: limits({ currency: PATH_USD, perRequest: '0.50', total: '2.00' }) },
})

for (const seller of sellers) await purchase(seller)

for (const seller of sellers) seller.close()
await chain.stop()
console.log(`\n${bold('Done.')} Each seller was paid on chain, and each answer carried its receipt.\n`)

interface Seller {
  name: string
  url: string
  recipient: string
  close(): void
}

async function expressSeller(recipient: string): Promise<Seller> {
  const mpp = forExpress.createMpp({
    realm: 'weather.example',
    secret: 'for-the-demo-only-32-bytes-or-more!',
    methods: [selling.charge({ recipient, chainId: chain.chainId, rpcUrl: chain.url })],
  })
  const app = express()
  app.get(
    '/forecast',
    mpp.charge({ amount: '0.01', description: 'Forecast for tomorrow' }),
    (request, response) => {
      response.json({ forecast: 'sunny', paidBy: forExpress.payment(request).payer })
    },
  )
  const server = createServer(app).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return sellerAt(
    'Express',
    server.address() as AddressInfo,
    '/forecast',
    recipient,
    () => server.closeAllConnections() ?? server.close(),
  )
}

async function honoSeller(recipient: string): Promise<Seller> {
  const mpp = forHono.createMpp({
    realm: 'photos.example',
    secret: 'for-the-demo-only-32-bytes-or-more!',
    methods: [selling.charge({ recipient, chainId: chain.chainId, rpcUrl: chain.url })],
  })
  const app = new Hono()
  app.use('/photos/*', mpp.charge({ amount: '0.25' }))
  app.get('/photos/:id', (c) => c.json({ photo: c.req.param('id'), pixels: '4096x2160' }))
  const server = serve({ fetch: app.fetch, port: 0, hostname: '127.0.0.1' })
  await once(server, 'listening')
  return sellerAt('Hono', server.address() as AddressInfo, '/photos/42', recipient, () => server.close())
}

function sellerAt(
  name: string,
  { port }: AddressInfo,
  path: string,
  recipient: string,
  close: () => unknown,
): Seller {
  return { name, url: `http://127.0.0.1:${port}${path}`, recipient, close: () => void close() }
}

async function purchase({ name, url, recipient }: Seller): Promise<void> {
  console.log(`\n${bold(`${name} seller`)}  GET ${url}`)
  const unpaid = await fetch(url)
  const challenge = parseChallenges(unpaid.headers.get('www-authenticate') ?? '').challenges[0]!
  const request = decodeRequest(challenge.request) as { amount: string; recipient: string }
  await unpaid.body?.cancel()
  row(
    'without payment',
    `${unpaid.status}, asks for ${dollars(BigInt(request.amount))} in pathUSD to ${request.recipient}`,
  )
  row('challenge', dim(`${challenge.id}, expires ${challenge.expires}`))
  const before = await balances(recipient)
  const paid = await client.fetch(url)
  const body = await paid.text()
  const receipt = receiptOf(paid)
  const after = await balances(recipient)
  row('with payment', `${paid.status} ${body}`)
  row('receipt', `transaction ${receipt?.reference} at ${receipt?.timestamp}`)
  row('seller on chain', `${dollars(before.seller)} → ${bold(dollars(after.seller))}`)
  row(
    'buyer on chain',
    `${dollars(before.buyer)} → ${dollars(after.buyer)} ${dim('(price and network fee)')}`,
  )
  if (paid.status !== 200 || after.seller - before.seller !== BigInt(request.amount))
    throw new Error(`${name}: the payment did not arrive`)
}

async function balances(seller: string): Promise<{ buyer: bigint; seller: bigint }> {
  return {
    buyer: await chain.balance(buyer.address, PATH_USD),
    seller: await chain.balance(seller, PATH_USD),
  }
}

function dollars(units: bigint): string {
  return `$${formatAmount(units, 6)}`
}

function row(label: string, text: string): void {
  console.log(`  ${label.padEnd(16)} ${text}`)
}
