// node apps/lib/buy.ts [--rpc http://…] [--as bob] URL [JSON body]: buys from an example app, at most for 1000.
import { parseArgs } from 'node:util'
import { createClient, reasonFor, receiptOf, type Limit } from '@mppkit/client'
import type { ClientMethod } from '@mppkit/core'
import { createToyLedger, toyWallet } from '@mppkit/testing/toy'

const { values, positionals } = parseArgs({
  options: { rpc: { type: 'string' }, as: { type: 'string', default: 'alice' } },
  allowPositionals: true,
})
const [url, body] = positionals
if (url === undefined) throw new TypeError('usage: buy.ts [--rpc http://…] [--as bob] URL [JSON body]')

const { method, currencies } =
  values.rpc === undefined ? payInToys(values.as) : await payOnTempo(values.rpc, values.as)
const client = createClient({
  methods: [method],
  policy: { limits: currencies.map((currency): Limit => ({ currency, perRequest: '1000' })) },
})
const response = await client.fetch(
  url,
  body === undefined ? {} : { method: 'POST', headers: { 'content-type': 'application/json' }, body },
)
console.log(response.status, await response.text())
const reason = reasonFor(response)
if (reason) console.log(`not paid: ${reason.detail}`)
else console.log('receipt:', receiptOf(response) ?? 'none')
process.exitCode = response.ok ? 0 : 1

function payInToys(account: string): { method: ClientMethod; currencies: string[] } {
  // A toy wallet only signs; the ledger that matters is the seller's.
  return { method: toyWallet({ ledger: createToyLedger(), account }), currencies: ['usd', 'eur'] }
}

async function payOnTempo(
  rpcUrl: string,
  name: string,
): Promise<{ method: ClientMethod; currencies: string[] }> {
  const { tempo } = await import('@mppkit/tempo/client')
  const { localAccount } = await import('./chain.ts')
  const { TOKENS, CHAIN_ID } = await import('./tempo.ts')
  const method = tempo.charge({ account: localAccount(name), chainId: CHAIN_ID, rpcUrl })
  return { method, currencies: Object.values(TOKENS) }
}
