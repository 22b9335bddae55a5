import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { generatePrivateKey, privateKeyToAccount } from 'viem/accounts'
import { startTempo, type LocalTempo } from '../../../testing/src/anvil.ts'
import { tempo as buyers } from '../src/client.ts'
import { tempo as sellers } from '../src/server.ts'
import { offer, pay, startProxy, Till, usd, type Proxy } from './harness.ts'

let chain: LocalTempo
let proxy: Proxy

beforeAll(async () => {
  chain = await startTempo()
  proxy = await startProxy(chain.url)
})
afterAll(async () => {
  await proxy?.close()
  await chain?.stop()
})

describe('pull', () => {
  test('first', async () => {
    const merchant = chain.accounts[1]!.address
    const account = privateKeyToAccount(generatePrivateKey())
    await chain.fund(account.address, 10_000_000n)
    const seller = sellers.charge({ recipient: merchant, chainId: 1337, rpcUrl: proxy.url })
    const buyer = buyers.charge({ account, chainId: 1337, rpcUrl: proxy.url })
    const till = new Till(seller)
    const made = await offer(seller, { amount: '0.01', externalId: 'order 7' })
    const before = await chain.balance(merchant)
    const credential = await pay(buyer, made)
    const { receipt, payer } = await till.admit(made, credential)
    console.log(proxy.calls, receipt, payer, buyer.cost(made.challenge, made.request))
    expect(await chain.balance(merchant)).toBe(before + 10_000n)
  })
})
