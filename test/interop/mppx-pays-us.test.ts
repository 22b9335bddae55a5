import { computeDigest, parseChallenges } from '@mppkit/core'
import type { Amount } from '@mppkit/server'
import { tempo } from '@mppkit/tempo/server'
import { createToyLedger } from '@mppkit/testing/toy'
import { toyMethod } from '@mppkit/testing/toy'
import { Challenge, Credential, Receipt } from 'mppx'
import type { PrivateKeyAccount } from 'viem/accounts'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { nobody, openChain, pathUsd, purse, type Chain } from './lib/chain.ts'
import { mppxBuyer } from './lib/mppx-buyer.ts'
import { realm, shops, type Shop, type Terms } from './lib/shop.ts'
import { startNext } from './lib/next.ts'

let chain: Chain
let merchant: `0x${string}`
let payer: PrivateKeyAccount
const opened: Shop[] = []

beforeAll(async () => {
  chain = await openChain()
  await startNext()
}, 180_000)
afterAll(() => chain?.stop())
beforeEach(async () => {
  merchant = nobody()
  payer = await chain.buyer()
})
afterEach(async () => {
  await Promise.all(opened.splice(0).map((shop) => shop.close()))
})

describe.each(Object.entries(shops))('the mppx client pays our %s server', (_, openShop) => {
  type Options = Omit<Parameters<typeof tempo.charge>[0], 'recipient'>

  async function shopWith(options: Options = {}, terms: Partial<Terms> = {}): Promise<Shop> {
    const rail = tempo.charge({ recipient: merchant, chainId: chain.chainId, rpcUrl: chain.url, ...options })
    const shop = await openShop({ ...terms, methods: [rail, ...(terms.methods ?? [])] })
    opened.push(shop)
    return shop
  }

  /** One delivery, seen alike by buyer, handler and chain. */
  async function expectSold(shop: Shop, response: Response, amount = 10_000n): Promise<Receipt.Receipt> {
    expect({ status: response.status, body: await response.json(), errors: shop.errors }).toEqual({
      status: 200,
      body: { attempt: 1 },
      errors: [],
    })
    const receipt = Receipt.fromResponse(response)
    expect(receipt).toMatchObject({ method: 'tempo', status: 'success' })
    expect(response.headers.get('cache-control')).toBe('private')
    expect(shop.sales).toHaveLength(1)
    const { payment } = shop.sales[0]!
    expect(payment).toMatchObject({ method: 'tempo', intent: 'charge', attempt: 1 })
    expect(payment.payer).toBe(payer.address.toLowerCase())
    expect(payment.receipt.reference).toBe(receipt.reference)
    expect(await chain.received(merchant)).toEqual(amount === 0n ? [] : [amount])
    expect(await chain.balance(merchant)).toBe(amount)
    return receipt
  }

  test('by a signed transaction (pull) TC-001 TC-044 TC-062 TC-067 TC-084 CORE-007 CORE-076', async () => {
    const shop = await shopWith()
    const buyer = mppxBuyer(chain, payer)
    const receipt = await expectSold(shop, await buyer.fetch(`${shop.origin}/photo`))
    expect(buyer.credentials).toHaveLength(1)
    const mined = await chain.rpc('eth_getTransactionReceipt', [receipt.reference])
    expect(mined).toMatchObject({ status: '0x1', from: payer.address.toLowerCase() })
    expect(await chain.balance(payer.address)).toBeLessThan(purse - 10_000n)
  })

  test('by a hash of what it sent itself (push) TC-002 TC-081 TC-082 TC-084', async () => {
    const shop = await shopWith()
    const buyer = mppxBuyer(chain, payer, { mode: 'push' })
    const receipt = await expectSold(shop, await buyer.fetch(`${shop.origin}/photo`))
    const { payload } = Credential.deserialize<{ hash: string }>(buyer.credentials[0]!)
    expect(receipt.reference).toBe(payload.hash)
  })

  test.each(['pull', 'push'] as const)('by %s where that alone is offered TC-003 TC-018', async (mode) => {
    const shop = await shopWith({ modes: [mode] })
    const buyer = mppxBuyer(chain, payer)
    await expectSold(shop, await buyer.fetch(`${shop.origin}/photo`))
    const { payload } = Credential.deserialize<{ type: string }>(buyer.credentials[0]!)
    expect(payload.type).toBe(mode === 'pull' ? 'transaction' : 'hash')
  })

  test('nothing, by a proof of identity TC-053 TC-054 TC-055 TC-056 TC-057', async () => {
    const shop = await shopWith({}, { price: { amount: '0' } })
    const buyer = mppxBuyer(chain, payer)
    const receipt = await expectSold(shop, await buyer.fetch(`${shop.origin}/photo`), 0n)
    expect(receipt.reference).toBe(Credential.deserialize(buyer.credentials[0]!).challenge.id)
    expect(await chain.balance(payer.address)).toBe(purse)
  })

  test('by a transaction whose fee our server pays TC-059 TC-060', async () => {
    const sponsor = chain.sponsor()
    const before = await chain.balance(sponsor.address)
    const shop = await shopWith({ feePayer: { account: sponsor } })
    await expectSold(shop, await mppxBuyer(chain, payer).fetch(`${shop.origin}/photo`))
    expect(await chain.balance(payer.address)).toBe(purse - 10_000n)
    expect(await chain.balance(sponsor.address)).toBeLessThan(before)
  })

  test.each(['pull', 'push'] as const)('by %s, in parts TC-024 TC-035 TC-037 TC-077', async (mode) => {
    const [agent, artist] = [nobody(), nobody()]
    // anvil estimates every such transaction alike, which is too little for three accounts that never held the token.
    await Promise.all([agent, artist].map((address) => chain.fund(address, 1n)))
    const memo = `0x${'ab'.repeat(32)}`
    const splits = [
      { amount: '0.001', recipient: agent },
      { amount: '0.004', recipient: artist, memo },
    ]
    const shop = await shopWith({ splits })
    await expectSold(shop, await mppxBuyer(chain, payer, { mode }).fetch(`${shop.origin}/photo`), 5_000n)
    expect(await chain.received(agent)).toEqual([1n, 1_000n])
    expect(await chain.received(artist)).toEqual([1n, 4_000n])
  })

  test('for a POST, whose body the challenge binds CORE-046 CORE-047 CORE-064 CORE-065 CORE-066', async () => {
    const shop = await shopWith()
    const buyer = mppxBuyer(chain, payer)
    const body = JSON.stringify({ print: 'A3', note: 'matt, “soft” ☀' })
    const init = { method: 'POST', body, headers: { 'content-type': 'application/json' } }
    await expectSold(shop, await buyer.fetch(`${shop.origin}/orders`, { ...init }))
    expect(shop.sales[0]!.order).toEqual(JSON.parse(body))
    const digest = await computeDigest(new TextEncoder().encode(body))
    expect(digest).toMatch(/^sha-256=:.{44}:$/)
    expect(Credential.deserialize(buyer.credentials[0]!).challenge.digest).toBe(digest)
    // The same credential buys no other order.
    const headers = { ...init.headers, authorization: buyer.credentials[0]! }
    const other = await fetch(`${shop.origin}/orders`, { ...init, headers, body: '{"print":"A0"}' })
    expect(other.status).toBe(402)
    expect(await other.json()).toMatchObject({ type: expect.stringMatching(/\/verification-failed$/) })
    expect(await chain.received(merchant)).toEqual([10_000n])
  })

  test('for a route under a mounted prefix, with a query CHG-024', async () => {
    const shop = await shopWith()
    const buyer = mppxBuyer(chain, payer)
    const url = `${shop.origin}/api/v1/photos/4%202?size=l&size=xl`
    await expectSold(shop, await buyer.fetch(url))
    // Paid for this target and no other.
    const headers = { authorization: buyer.credentials[0]! }
    expect((await fetch(`${shop.origin}/api/v1/photos/43`, { headers })).status).toBe(402)
    expect((await fetch(`${shop.origin}/photo`, { headers })).status).toBe(402)
    expect(shop.sales).toHaveLength(1)
  })

  describe('for a route that takes two methods CORE-161', () => {
    const toy = toyMethod({ ledger: createToyLedger(), recipient: 'shop' })

    test.each(['always', 'never'] as const)('Accept-Payment: %s', async (acceptPaymentPolicy) => {
      const shop = await shopWith({}, { methods: [toy] })
      const unpaid = await fetch(`${shop.origin}/photo`)
      const seen = Challenge.fromResponseList(unpaid)
      expect(seen.map(({ method }) => method)).toEqual(['tempo', 'toy'])
      expect(seen.map(({ id }) => id)).toEqual(
        parseChallenges(unpaid.headers.get('www-authenticate')!).challenges.map(({ id }) => id),
      )
      const buyer = mppxBuyer(chain, payer, { acceptPaymentPolicy })
      await expectSold(shop, await buyer.fetch(`${shop.origin}/photo`))
    })
  })

  test('beside a credential of the application CORE-075', async () => {
    const shop = await shopWith({}, { header: 'Payment-Authorization' })
    const headers = { authorization: 'Bearer of-the-application' }
    await expectSold(shop, await mppxBuyer(chain, payer).fetch(`${shop.origin}/photo`, { headers }))
    expect(shop.sales[0]!.authorization).toBe('Bearer of-the-application')
  })

  test('with words of ours on it CORE-054 TC-008', async () => {
    const shop = await shopWith(
      {},
      {
        price: {
          amount: '0.01',
          description: 'A "photo", 4096 × 2160 \\ raw',
          externalId: 'order-7',
          meta: { Zoo: '1', aisle: 'é' },
        },
      },
    )
    const buyer = mppxBuyer(chain, payer)
    const receipt = await expectSold(shop, await buyer.fetch(`${shop.origin}/photo`))
    expect(receipt.externalId).toBe('order-7')
    expect(Credential.deserialize(buyer.credentials[0]!).challenge.realm).toBe(realm)
  })

  test('in two steps, looked at before it is paid CORE-154', async () => {
    const shop = await shopWith()
    const buyer = mppxBuyer(chain, payer)
    const payment = await buyer.prepare(`${shop.origin}/photo`)
    expect(await chain.received(merchant)).toEqual([])
    await expectSold(shop, await payment.pay())
  })

  test('at a price that depends on a header, which the challenge binds CORE-058', async () => {
    const amount: Amount = (request) => (request.header('x-size') === 'l' ? '0.02' : '0.01')
    const shop = await shopWith({}, { price: { amount } })
    const buyer = mppxBuyer(chain, payer)
    const url = `${shop.origin}/photo`
    await expectSold(shop, await buyer.fetch(url, { headers: { 'x-size': 'l' } }), 20_000n)
    const cheap = await fetch(url, { headers: { 'x-size': 's', authorization: buyer.credentials[0]! } })
    expect(cheap.status).toBe(402)
  })

  test('five times at once, each for its own challenge CORE-037 CHG-036', async () => {
    const shop = await shopWith()
    const buyer = mppxBuyer(chain, payer)
    const responses = await Promise.all(Array.from({ length: 5 }, () => buyer.fetch(`${shop.origin}/photo`)))
    expect(responses.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200])
    expect(new Set(responses.map((response) => Receipt.fromResponse(response).reference)).size).toBe(5)
    expect(await chain.received(merchant)).toEqual(Array(5).fill(10_000n))
    expect(shop.sales).toHaveLength(5)
  })

  test('once: what it sent buys nothing more TC-095 CHG-037', async () => {
    const shop = await shopWith()
    const buyer = mppxBuyer(chain, payer)
    await expectSold(shop, await buyer.fetch(`${shop.origin}/photo`))
    const headers = { authorization: buyer.credentials[0]! }
    const again = await Promise.all([1, 2, 3].map(() => fetch(`${shop.origin}/photo`, { headers })))
    expect(again.map(({ status }) => status)).toEqual([402, 402, 402])
    expect(await again[0]!.json()).toMatchObject({ type: expect.stringMatching(/\/invalid-challenge$/) })
    expect(shop.sales).toHaveLength(1)
    expect(await chain.received(merchant)).toEqual([10_000n])
  })

  test('in a token of the price, not of the method TC-034', async () => {
    const alphaUsd = '0x20c0000000000000000000000000000000000001'
    await chain.fund(payer.address, 1_000_000n, alphaUsd)
    const shop = await shopWith({}, { price: { amount: '0.02', currency: alphaUsd } })
    const response = await mppxBuyer(chain, payer).fetch(`${shop.origin}/photo`)
    expect(response.status).toBe(200)
    expect(await chain.balance(merchant, alphaUsd)).toBe(20_000n)
    expect(await chain.balance(merchant, pathUsd)).toBe(0n)
  })
})
