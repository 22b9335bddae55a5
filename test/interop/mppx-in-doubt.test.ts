import { setTimeout as sleep } from 'node:timers/promises'
import { tempo } from '@mppkit/tempo/server'
import { Credential, Receipt } from 'mppx'
import type { PrivateKeyAccount } from 'viem/accounts'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { nobody, openChain, type Chain } from './lib/chain.ts'
import { flakyNode, type FlakyNode } from './lib/flaky-node.ts'
import { mppxBuyer } from './lib/mppx-buyer.ts'
import { shops, type Shop, type Terms } from './lib/shop.ts'
import { startNext } from './lib/next.ts'

let chain: Chain
let node: FlakyNode
let merchant: `0x${string}`
let payer: PrivateKeyAccount
const opened: Shop[] = []

beforeAll(async () => {
  chain = await openChain()
  node = await flakyNode(chain.url)
  await startNext()
}, 180_000)
afterAll(async () => {
  node?.close()
  await chain?.stop()
})
beforeEach(async () => {
  merchant = nobody()
  payer = await chain.buyer()
  node.fate = () => 'pass'
})
afterEach(async () => {
  await Promise.all(opened.splice(0).map((shop) => shop.close()))
})

type Options = Omit<Parameters<typeof tempo.charge>[0], 'recipient'>

/** A shop of ours whose node is the flaky one; the buyer's is the chain itself. */
async function shopWith(options: Options = {}, terms: Partial<Terms> = {}): Promise<Shop> {
  const rail = tempo.charge({ recipient: merchant, chainId: chain.chainId, rpcUrl: node.url, ...options })
  const shop = await shops.Express({ ...terms, methods: [rail] })
  opened.push(shop)
  return shop
}

const resend = (url: string, authorization: string): Promise<Response> =>
  fetch(url, { headers: { authorization } })

async function expectRedeemed(response: Response, attempt: number): Promise<void> {
  expect({ status: response.status, body: await response.json() }).toEqual({ status: 200, body: { attempt } })
  expect(Receipt.fromResponse(response)).toMatchObject({ method: 'tempo', status: 'success' })
}

/** Nothing that a client could take for an invitation to pay. */
function expectNoInvitation(response: Response): void {
  expect(response.headers.has('www-authenticate')).toBe(false)
  expect(response.headers.has('payment-receipt')).toBe(false)
  expect(response.headers.get('cache-control')).toBe('no-store')
}

function latch(): { open(): void; opened: Promise<void> } {
  let open!: () => void
  const opened = new Promise<void>((resolve) => (open = resolve))
  return { open, opened }
}

const sends = ['eth_sendRawTransactionSync', 'eth_sendRawTransaction']

describe('the mppx client is left in doubt by our server, and pays once', () => {
  test.each([
    ['pull, sent but the answer is lost', 'pull', {}, 'lost'],
    ['pull, sponsored, sent but the answer is lost', 'pull', { sponsored: true }, 'lost'],
    ['pull, never sent', 'pull', {}, 'down'],
    ['pull, sponsored, never sent', 'pull', { sponsored: true }, 'down'],
    ['push, the receipt is not there yet', 'push', {}, { result: null }],
    ['push, the node is away', 'push', {}, 'down'],
  ] as const)(
    '503 and Retry-After: %s CORE-109 TC-067',
    async (_, mode, { sponsored = false }: { sponsored?: boolean }, fate) => {
      const shop = await shopWith(sponsored ? { feePayer: { account: chain.sponsor() } } : {})
      const url = `${shop.origin}/photo`
      const buyer = mppxBuyer(chain, payer, { mode })
      node.fate = (method) => ([...sends, 'eth_getTransactionReceipt'].includes(method) ? fate : 'pass')

      const response = await buyer.fetch(url)
      expect(response.status).toBe(503)
      expect(response.headers.get('retry-after')).toBe('1')
      expectNoInvitation(response)
      expect(buyer.credentials).toHaveLength(1)
      expect(shop.sales).toHaveLength(0)
      const moved = fate === 'down' && mode === 'pull' ? [] : [10_000n]
      expect(await chain.received(merchant)).toEqual(moved)

      // As long as it lasts, the answer stays what it is.
      expect((await resend(url, buyer.credentials[0]!)).status).toBe(503)
      node.fate = () => 'pass'
      await expectRedeemed(await resend(url, buyer.credentials[0]!), 1)
      expect(await chain.received(merchant)).toEqual([10_000n])
      expect((await resend(url, buyer.credentials[0]!)).status).toBe(402)
      expect(shop.sales).toHaveLength(1)
    },
  )

  test.each(['settled', 'answered'] as const)(
    '409 and Retry-After: a copy is being %s CORE-143 TC-097',
    async (stage) => {
      const [begun, finished] = [latch(), latch()]
      const hold = async (): Promise<void> => {
        begun.open()
        await finished.opened
      }
      const answer = async (): Promise<number> => {
        if (stage === 'answered') await hold()
        return 200
      }
      const shop = await shopWith({}, { answer })
      const url = `${shop.origin}/photo`
      const buyer = mppxBuyer(chain, payer)
      let copy: Promise<Response> | undefined
      // Something on the way sends the request twice, and the copy is faster.
      buyer.onCredential = async (credential) => {
        node.fate = async (method) => {
          if (stage === 'settled' && sends.includes(method)) await hold()
          return 'pass' as const
        }
        copy = resend(url, credential)
        await begun.opened
      }

      const response = await buyer.fetch(url)
      expect(response.status).toBe(409)
      expect(response.headers.get('retry-after')).toBe('1')
      expectNoInvitation(response)
      expect(buyer.credentials).toHaveLength(1)
      finished.open()
      await expectRedeemed(await copy!, 1)
      expect(await chain.received(merchant)).toEqual([10_000n])
      expect(shop.sales).toHaveLength(1)
    },
  )

  test.each([
    ['pull', 'pull', '0.01', 500],
    ['push', 'push', '0.01', 500],
    ['proof', 'pull', '0', 500],
    ['pull, and the handler asks for payment itself', 'pull', '0.01', 402],
    ['pull, and the handler finds nothing', 'pull', '0.01', 404],
  ] as const)(
    '%s after payment: what was paid can still be had CORE-081 TC-085',
    async (_, mode, amount, status) => {
      const answer: Terms['answer'] = ({ attempt }) => (attempt === 1 ? status : 200)
      const shop = await shopWith({}, { answer, price: { amount } })
      const url = `${shop.origin}/photo`
      const buyer = mppxBuyer(chain, payer, { mode })
      const response = await buyer.fetch(url)
      expect(response.status).toBe(status)
      expectNoInvitation(response)
      expect(await response.json()).toEqual({ attempt: 1 })
      expect(buyer.credentials).toHaveLength(1)

      await expectRedeemed(await resend(url, buyer.credentials[0]!), 2)
      const [first, second] = shop.sales
      expect(second!.payment.id).toBe(first!.payment.id)
      expect(second!.payment.receipt).toEqual(first!.payment.receipt)
      expect(await chain.received(merchant)).toEqual(amount === '0' ? [] : [10_000n])
    },
  )

  test('the connection is cut before an answer: what was paid can still be had CHG-036', async () => {
    const shop = await shopWith({}, { answer: ({ attempt }) => (attempt === 1 ? 'cut' : 200) })
    const url = `${shop.origin}/photo`
    const buyer = mppxBuyer(chain, payer)
    await expect(buyer.fetch(url)).rejects.toThrow('fetch failed')
    expect(buyer.credentials).toHaveLength(1)
    let response = await resend(url, buyer.credentials[0]!)
    // Our side may still be learning of the cut.
    for (; response.status === 409; response = await resend(url, buyer.credentials[0]!)) {
      expect(response.headers.get('retry-after')).toBe('1')
      await sleep(50)
    }
    await expectRedeemed(response, 2)
    expect(await chain.received(merchant)).toEqual([10_000n])
  })

  test.each(['pull', 'push'] as const)(
    '%s for a HEAD: a 409, and a GET gets what was paid CHG-005',
    async (mode) => {
      const shop = await shopWith()
      const url = `${shop.origin}/photo`
      const buyer = mppxBuyer(chain, payer, { mode })
      const response = await buyer.fetch(url, { method: 'HEAD' })
      expect(response.status).toBe(409)
      expectNoInvitation(response)
      expect(buyer.credentials).toHaveLength(1)
      await expectRedeemed(await resend(url, buyer.credentials[0]!), 1)
      expect(await chain.received(merchant)).toEqual([10_000n])
    },
  )

  test.each(['pull', 'push'] as const)(
    '%s for a Request, which mppx repeats as a bare GET: the POST gets what was paid CHG-005',
    async (mode) => {
      const shop = await shopWith()
      const url = `${shop.origin}/orders`
      const buyer = mppxBuyer(chain, payer, { mode })
      const init = { method: 'POST', body: '{"print":"A3"}', headers: { 'content-type': 'application/json' } }
      expect((await buyer.fetch(new Request(url, init))).status).toBe(404)
      expect(buyer.credentials).toHaveLength(1)
      const headers = { ...init.headers, authorization: buyer.credentials[0]! }
      await expectRedeemed(await fetch(url, { ...init, headers }), 1)
      expect(await chain.received(merchant)).toEqual([10_000n])
    },
  )

  test('every attempt fails: the end is a 409 that invites to nothing CHG-037', async () => {
    const shop = await shopWith({}, { answer: () => 500 })
    const url = `${shop.origin}/photo`
    const buyer = mppxBuyer(chain, payer)
    expect((await buyer.fetch(url)).status).toBe(500)
    const [credential] = buyer.credentials as [string]
    const statuses: number[] = []
    for (let i = 0; i < 3; i++) statuses.push((await resend(url, credential)).status)
    expect(statuses).toEqual([500, 500, 409])
    const final = await resend(url, credential)
    expect(final.headers.has('retry-after')).toBe(false)
    expectNoInvitation(final)
    expect(shop.sales.map(({ payment }) => payment.attempt)).toEqual([1, 2, 3])
    expect(await chain.received(merchant)).toEqual([10_000n])
  })
})

describe('the mppx client pays up to three times for one call, and our server takes at most one', () => {
  test('where the account cannot pay: three refusals, nothing taken CORE-006 CORE-082 CORE-165', async () => {
    const shop = await shopWith({}, { price: { amount: '100' } })
    const buyer = mppxBuyer(chain, payer)
    const response = await buyer.fetch(`${shop.origin}/photo`)
    expect(response.status).toBe(402)
    expect(await response.json()).toMatchObject({ type: expect.stringMatching(/\/verification-failed$/) })
    const ids = buyer.credentials.map((credential) => Credential.deserialize(credential).challenge.id)
    expect(new Set(ids).size).toBe(3)
    expect(shop.sales).toHaveLength(0)
    expect(await chain.received(merchant)).toEqual([])
  })

  test('where our server would pay the fee: three refusals, no fee either TC-090', async () => {
    const sponsor = chain.sponsor()
    const before = await chain.balance(sponsor.address)
    const shop = await shopWith({ feePayer: { account: sponsor } }, { price: { amount: '100' } })
    const buyer = mppxBuyer(chain, payer)
    expect((await buyer.fetch(`${shop.origin}/photo`)).status).toBe(402)
    expect(buyer.credentials).toHaveLength(3)
    expect(await chain.balance(sponsor.address)).toBe(before)
    expect(await chain.received(merchant)).toEqual([])
  })

  /** Each sending of a form has another boundary, so never the digest that was quoted. */
  async function orderByForm(mode: 'pull' | 'push') {
    const shop = await shopWith()
    const buyer = mppxBuyer(chain, payer, { mode })
    const body = new FormData()
    body.set('print', 'A3')
    const response = await buyer.fetch(`${shop.origin}/orders`, { method: 'POST', body })
    expect(shop.sales).toHaveLength(0)
    return { response, credentials: buyer.credentials }
  }

  test('pull, for a form: three refusals, nothing taken CORE-066', async () => {
    const { response, credentials } = await orderByForm('pull')
    expect(response.status).toBe(402)
    expect(credentials).toHaveLength(3)
    expect(await chain.received(merchant)).toEqual([])
  })

  // Whoever has paid by push and is told 402 pays again: the refusal of a payment for another request is a 409.
  test('push, for a form: paid once at most', async () => {
    const { response } = await orderByForm('push')
    expect(response.status).toBe(409)
    expect(await chain.received(merchant)).toEqual([10_000n])
  })

  /** The seller deploys another price between the challenge and the payment. */
  async function payAcrossDeployment(mode: 'pull' | 'push') {
    const shop = await shopWith()
    const buyer = mppxBuyer(chain, payer, { mode })
    let next: Shop | undefined
    buyer.onCredential = async () => {
      if (next) return
      opened.splice(opened.indexOf(shop), 1)
      await shop.close()
      next = await shopWith({}, { price: { amount: '0.02' }, port: shop.port })
    }
    const url = `${shop.origin}/photo`
    // The connection of the first request must not be taken for the second: its server is gone.
    const response = await buyer.fetch(url, { headers: { connection: 'close' } })
    return { url, response, credentials: buyer.credentials, sales: next!.sales }
  }

  test('pull, at another price meanwhile: the new one is paid, and it alone CORE-098 TC-098', async () => {
    const { response, credentials, sales } = await payAcrossDeployment('pull')
    await expectRedeemed(response, 1)
    expect(credentials).toHaveLength(2)
    expect(sales).toHaveLength(1)
    expect(await chain.received(merchant)).toEqual([20_000n])
  })

  test('push, at another price meanwhile: not paid again; the payment is kept for its return TC-096', async () => {
    const { url, response, credentials, sales } = await payAcrossDeployment('push')
    expect(response.status).toBe(409)
    expect(credentials).toHaveLength(1)
    expect(sales).toHaveLength(0)
    expect(await chain.received(merchant)).toEqual([10_000n])
    const first = await resend(url, credentials[0]!)
    expect(first.status).toBe(409)
    expectNoInvitation(first)
    expect(await first.json()).toMatchObject({
      detail: expect.stringContaining('listed for the seller to return'),
    })
  })
})
