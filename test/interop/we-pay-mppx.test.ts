import { createClient, limits, paymentOf, reasonFor, type PaymentEvent, type Policy } from '@mppkit/client'
import { parseChallenges, parseCredential, parseReceipt } from '@mppkit/core'
import { tempo } from '@mppkit/tempo/client'
import type { PrivateKeyAccount } from 'viem/accounts'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { nobody, openChain, pathUsd, purse, type Chain } from './lib/chain.ts'
import { flakyNode, type FlakyNode } from './lib/flaky-node.ts'
import { mppxShops, nodeShop, type MppxShop, type MppxTerms } from './lib/mppx-shop.ts'
import { startNext } from './lib/next.ts'

let chain: Chain
let merchant: `0x${string}`
let payer: PrivateKeyAccount
const opened: MppxShop[] = []

beforeAll(async () => {
  chain = await openChain()
  await startNext()
}, 180_000)
afterAll(() => chain?.stop())
beforeEach(async () => {
  merchant = nobody()
  payer = await chain.buyer()
})
afterEach(() => {
  for (const shop of opened.splice(0)) shop.close()
})

/** Our client, what it reported and what it sent. */
function buyerWith(options: { mode?: 'pull' | 'push'; policy?: Partial<Policy> } = {}) {
  const { mode, policy } = options
  const events: PaymentEvent[] = []
  const sent: Headers[] = []
  const client = createClient({
    // mppx lets the node try out the transaction as a whole. anvil takes that for the creation of a contract, which needs more gas than ours have.
    methods: [
      tempo.charge({
        account: payer,
        chainId: chain.chainId,
        rpcUrl: chain.url,
        gas: 1_000_000n,
        ...(mode && { mode }),
      }),
    ],
    policy: { limits: limits({ currency: pathUsd, perRequest: '0.10', total: '0.20' }), ...policy },
    onPayment: (event) => void events.push(event),
    async fetch(input, init) {
      sent.push(new Headers(init?.headers))
      return fetch(input, init)
    },
  })
  return { ...client, events, sent }
}

async function shopWith(open: typeof nodeShop, terms: Partial<MppxTerms> = {}): Promise<MppxShop> {
  const shop = await open({ chain, recipient: merchant, ...terms })
  opened.push(shop)
  return shop
}

type Buyer = ReturnType<typeof buyerWith>

/** One delivery, seen alike by both sides and the chain. */
async function expectBought(
  shop: MppxShop,
  buyer: Buyer,
  response: Response,
  amount = 10_000n,
): Promise<void> {
  expect({ status: response.status, body: await response.json(), refusal: reasonFor(response) }).toEqual({
    status: 200,
    body: { photo: 'yes' },
    refusal: undefined,
  })
  const receipt = parseReceipt(response.headers.get('payment-receipt')!)
  expect(shop.receipts).toEqual([receipt])
  expect(shop.sales).toHaveLength(1)
  expect(buyer.events).toMatchObject([{ type: 'paid', status: 200, money: 'moved', receipt }])
  expect(buyer.sent).toHaveLength(2)
  expect(await chain.received(merchant)).toEqual(amount === 0n ? [] : [amount])
  expect(await chain.balance(merchant)).toBe(amount)
}

describe.each(Object.entries(mppxShops))('our client pays an mppx server on %s', (_, open) => {
  test('by a signed transaction (pull) TC-016 TC-023 TC-038 TC-045 CORE-067 CORE-069 CORE-070 CORE-071', async () => {
    const shop = await shopWith(open)
    const buyer = buyerWith()
    const url = `${shop.origin}/photo`
    const [challenge] = parseChallenges((await fetch(url)).headers.get('www-authenticate')!).challenges
    expect(challenge).toMatchObject({ realm: 'photos.example', method: 'tempo', intent: 'charge' })
    await expectBought(shop, buyer, await buyer.fetch(url))
    expect(await chain.balance(payer.address)).toBeLessThan(purse - 10_000n)
  })

  test('by a hash of what it sent itself (push) TC-015 TC-047', async () => {
    const shop = await shopWith(open, { supportedModes: ['push'] })
    const buyer = buyerWith()
    await expectBought(shop, buyer, await buyer.fetch(`${shop.origin}/photo`))
    const { payload } = parseCredential(buyer.sent[1]!.get('authorization')!.slice('Payment '.length))
    expect(payload).toEqual({ type: 'hash', hash: shop.receipts[0]!.reference })
  })

  test('nothing, by a proof of identity TC-048 TC-050 TC-051', async () => {
    const shop = await shopWith(open, { amount: '0' })
    const buyer = buyerWith()
    const response = await buyer.fetch(`${shop.origin}/photo`)
    expect({ status: response.status, body: await response.json() }).toEqual({
      status: 200,
      body: { photo: 'yes' },
    })
    expect(await chain.balance(payer.address)).toBe(purse)
  })

  test('by a transaction whose fee the server pays TC-022 TC-058 TC-066 TC-068', async () => {
    const shop = await shopWith(open, { feePayer: chain.sponsor() })
    const buyer = buyerWith()
    await expectBought(shop, buyer, await buyer.fetch(`${shop.origin}/photo`))
    expect(await chain.balance(payer.address)).toBe(purse - 10_000n)
  })

  test.each(['pull', 'push'] as const)('by %s, in parts TC-036 TC-039 TC-041 TC-046', async (mode) => {
    const [agent, artist] = [nobody(), nobody()]
    const memo = `0x${'ab'.repeat(32)}` as const
    const splits = [
      { amount: '0.001', recipient: agent },
      { amount: '0.004', recipient: artist, memo },
    ]
    const shop = await shopWith(open, { splits })
    const buyer = buyerWith({ mode })
    await expectBought(shop, buyer, await buyer.fetch(`${shop.origin}/photo`), 5_000n)
    expect(await chain.received(agent)).toEqual([1_000n])
    expect(await chain.received(artist)).toEqual([4_000n])
  })

  test('for a POST with a body CHG-021 CHG-022', async () => {
    const shop = await shopWith(open)
    const buyer = buyerWith()
    const body = JSON.stringify({ print: 'A3' })
    const headers = { 'content-type': 'application/json' }
    const response = await buyer.fetch(
      new Request(`${shop.origin}/orders`, { method: 'POST', body, headers }),
    )
    await expectBought(shop, buyer, response)
    expect(shop.sales[0]).toMatchObject({ method: 'POST', order: { print: 'A3' } })
  })
})

describe('our client and an mppx server', () => {
  test.each(['first', 'last'] as const)(
    'a session is offered beside the charge, %s: the charge is paid CORE-030 CORE-162 CORE-163',
    async (session) => {
      const shop = await shopWith(nodeShop, { session })
      const url = `${shop.origin}/photo`
      const { challenges } = parseChallenges((await fetch(url)).headers.get('www-authenticate')!)
      const intents = ['session', 'charge']
      expect(challenges.map(({ intent }) => intent)).toEqual(
        session === 'first' ? intents : intents.toReversed(),
      )
      const buyer = buyerWith()
      // Left to itself it asks for charges only, and mppx leaves out the rest.
      const init = { headers: { 'accept-payment': 'tempo/*' } }
      const offers = await buyer.quote(url, init)
      expect(offers.map(({ intent, allowed, reason }) => [intent, allowed, reason?.code])).toEqual([
        ['charge', true, undefined],
        ['session', false, 'unsupported'],
      ])
      buyer.sent.length = 0
      await expectBought(shop, buyer, await buyer.fetch(url, init))
      expect((await buyer.quote(url)).map(({ intent }) => intent)).toEqual(['charge'])
    },
  )

  test('`header`: the credential goes where the challenge wants it, beside that of the application CORE-075', async () => {
    const shop = await shopWith(nodeShop, { requiresAuth: true })
    const buyer = buyerWith()
    const authorization = 'Bearer of-the-application'
    const response = await buyer.fetch(`${shop.origin}/photo`, { headers: { authorization } })
    await expectBought(shop, buyer, response)
    expect(shop.sales[0]).toMatchObject({
      authorization,
      paymentAuthorization: expect.stringMatching(/^Payment [\w-]+$/),
    })
  })

  test.each(['pull', 'push'] as const)(
    '%s: a credential that is sent again buys nothing more CHG-024',
    async (mode) => {
      const shop = await shopWith(nodeShop)
      const buyer = buyerWith({ mode })
      const url = `${shop.origin}/photo`
      const response = await buyer.fetch(url)
      await expectBought(shop, buyer, response)
      const left = await chain.balance(payer.address)

      const headers = { authorization: buyer.sent[1]!.get('authorization')! }
      const replay = await fetch(url, { headers })
      expect(replay.status).toBe(402)
      expect(await replay.json()).toMatchObject({ type: expect.stringMatching(/\/verification-failed$/) })

      const resumed = await buyer.resume(paymentOf(response)!, url)
      expect(resumed.status).toBe(402)
      expect(reasonFor(resumed)).toMatchObject({ code: 'rejected' })
      expect(shop.sales).toHaveLength(1)
      expect(await chain.received(merchant)).toEqual([10_000n])
      expect(await chain.balance(payer.address)).toBe(left)
    },
  )

  test('too dear: their 402 comes back, nothing is signed CHG-032 CHG-040 TC-087', async () => {
    const shop = await shopWith(nodeShop, { amount: '0.2' })
    const buyer = buyerWith()
    const response = await buyer.fetch(`${shop.origin}/photo`)
    expect(response.status).toBe(402)
    expect(reasonFor(response)).toMatchObject({ code: 'limit' })
    expect(buyer.sent).toHaveLength(1)
    expect(await chain.received(merchant)).toEqual([])
  })

  test('fees count: a budget of twenty prices lasts for three payments CORE-146', async () => {
    const shop = await shopWith(nodeShop)
    const buyer = buyerWith()
    const statuses: number[] = []
    for (let i = 0; i < 4; i++) statuses.push((await buyer.fetch(`${shop.origin}/photo`)).status)
    expect(statuses).toEqual([200, 200, 200, 402])
    expect(await chain.received(merchant)).toHaveLength(3)
  })

  test('not among the recipients of the policy: nothing is signed CHG-033 TC-087', async () => {
    const shop = await shopWith(nodeShop, { splits: [{ amount: '0.001', recipient: nobody() }] })
    const buyer = buyerWith({ policy: { recipients: [merchant] } })
    const response = await buyer.fetch(`${shop.origin}/photo`)
    expect(reasonFor(response)).toMatchObject({ code: 'recipient' })
    expect(buyer.sent).toHaveLength(1)
  })
})

describe('our client is left in doubt by an mppx server, and pays once', () => {
  let node: FlakyNode
  beforeAll(async () => {
    node = await flakyNode(chain.url)
  })
  afterAll(() => node?.close())
  beforeEach(() => {
    node.fate = () => 'pass'
    // mppx writes there what its node has done to it.
    vi.spyOn(console, 'error').mockImplementation(() => {})
  })
  afterEach(() => void vi.restoreAllMocks())

  const budget = { policy: { limits: limits({ currency: pathUsd, perRequest: '0.10', total: '0.10' }) } }

  test.each([
    ['pull', {}],
    ['pull, sponsored', { sponsored: true }],
  ] as const)(
    '%s: sent, but their node loses the answer CHG-005',
    async (_, { sponsored = false }: { sponsored?: boolean }) => {
      const terms = sponsored ? { feePayer: chain.sponsor() } : {}
      const shop = await shopWith(nodeShop, { node: node.url, ...terms })
      const buyer = buyerWith(budget)
      const url = `${shop.origin}/photo`
      node.fate = (method) => (method === 'eth_sendRawTransactionSync' ? 'lost' : 'pass')
      const response = await buyer.fetch(url)
      expect(response.status).toBe(500)
      expect(buyer.sent).toHaveLength(2)
      expect(buyer.events).toMatchObject([{ type: 'failed', status: 500, money: 'moved' }])
      expect(await chain.received(merchant)).toEqual([10_000n])

      // mppx takes no credential twice, whatever became of the first: the answer is lost, but nothing more is paid.
      node.fate = () => 'pass'
      const resumed = await buyer.resume(paymentOf(response)!, url)
      expect(resumed.status).toBe(402)
      expect(reasonFor(resumed)).toMatchObject({ code: 'rejected', detail: expect.stringContaining('moved') })
      expect(await chain.received(merchant)).toEqual([10_000n])
    },
  )

  test('push: their node does not know the transaction yet; sent again it is taken CHG-005', async () => {
    const shop = await shopWith(nodeShop, { node: node.url })
    const buyer = buyerWith({ mode: 'push', ...budget })
    const url = `${shop.origin}/photo`
    node.fate = (method) => (method === 'eth_getTransactionReceipt' ? { result: null } : 'pass')
    const response = await buyer.fetch(url)
    expect(response.status).toBe(500)
    expect(buyer.events).toMatchObject([{ type: 'failed', money: 'moved' }])

    node.fate = () => 'pass'
    const resumed = await buyer.resume(paymentOf(response)!, url)
    expect(resumed.status).toBe(200)
    expect(parseReceipt(resumed.headers.get('payment-receipt')!)).toEqual(shop.receipts[0])
    expect(shop.sales).toHaveLength(1)
    expect(await chain.received(merchant)).toEqual([10_000n])
  })

  test.each([
    ['sent', 'lost', 'moved', [10_000n]],
    ['not sent, but still good', 'down', 'unknown', []],
  ] as const)('%s: the money counts as spent CHG-032', async (_, fate, money, received) => {
    const shop = await shopWith(nodeShop, { node: node.url })
    const buyer = buyerWith(budget)
    const url = `${shop.origin}/photo`
    node.fate = (method) => (method === 'eth_sendRawTransactionSync' ? fate : 'pass')
    expect((await buyer.fetch(url)).status).toBe(500)
    expect(reasonFor(await buyer.fetch(url))).toMatchObject({ code: 'budget' })
    expect(buyer.events).toMatchObject([{ type: 'failed', money }, { type: 'refused' }])
    expect(await chain.received(merchant)).toEqual(received)
  })
})
