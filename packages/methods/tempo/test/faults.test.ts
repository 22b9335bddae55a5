import { generatePrivateKey, privateKeyToAccount } from 'viem/accounts'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { setTimeout as sleep } from 'node:timers/promises'
import { inspect } from 'node:util'
import { startTempo, type LocalTempo } from '../../../testing/src/anvil.ts'
import type { SigningAccount } from '../src/lib/account.ts'
import type { Hex } from '../src/lib/address.ts'
import { tempo as buyers } from '../src/client.ts'
import { tempo as sellers } from '../src/server.ts'
import { honest, sign, transaction, transfers } from './craft.ts'
import {
  buyerContext,
  clockAt,
  doubt,
  hex,
  offer,
  pay,
  refusal,
  startProxy,
  Till,
  type Proxy,
  type Terms,
} from './harness.ts'

let chain: LocalTempo
let proxy: Proxy
let merchant: Hex
beforeAll(async () => {
  chain = await startTempo()
  proxy = await startProxy(chain.url)
  merchant = hex(chain.accounts[1]!.address)
})
afterAll(async () => {
  await proxy?.close()
  await chain?.stop()
})

let account: SigningAccount
beforeEach(async () => {
  account = privateKeyToAccount(generatePrivateKey())
  await chain.fund(account.address, 10_000_000n)
  proxy.calls.length = 0
})
afterEach(() => {
  proxy.fault = () => 'pass'
})

const now = () => Math.floor(Date.now() / 1000)
const buy = (over: object = {}) =>
  buyers.charge({ account, chainId: 1337, rpcUrl: proxy.url, rpcTimeout: 400, ...over })
const purse = privateKeyToAccount(generatePrivateKey())

/** A payment that has come as far as its claims. */
async function claimed(over: object = {}, terms: Terms = { amount: '0.01' }) {
  const seller = sellers.charge({
    recipient: merchant,
    chainId: 1337,
    rpcUrl: proxy.url,
    rpcTimeout: 400,
    ...over,
  })
  const till = new Till(seller)
  const made = await offer(seller, terms)
  const credential = await pay(buy({ mode: 'pull' }), made)
  const parsed = await till.parse(made, credential.payload)
  await till.seller.verify(parsed, till.context(made, credential.source))
  const notes = parsed.note === undefined ? [] : [parsed.note]
  const settle = async () => {
    // As another process would: from what the credential says, and what was noted.
    const again = await till.parse(made, credential.payload)
    return till.seller.settle(again, till.noted(made, notes, credential.source, notes.at(-1)))
  }
  const find = () => till.seller.find(notes.at(-1)!, till.context(made))
  proxy.calls.length = 0
  return { till, made, credential, settle, find, notes }
}

const sending = (method: string) => method.startsWith('eth_sendRaw')
const later = (seconds: number) => clockAt(now() + seconds)

describe.each([
  ['at the buyer’s cost', {}],
  ['sponsored', { feePayer: { account: purse } }],
])('%s', (_, over) => {
  beforeEach(() => chain.fund(purse.address, 10_000_000n))

  test('the node does not answer: nothing has moved as far as anybody knows, and the next try pays', async () => {
    for (const fault of [
      'hang',
      'reset',
      { error: { code: -32000, message: 'overloaded' } },
      { result: null },
    ] as const) {
      const { settle, find } = await claimed(over)
      const before = await chain.balance(merchant)
      proxy.fault = () => fault
      await doubt(settle())
      proxy.fault = () => 'pass'
      expect(await find()).toBe('unknown')
      await settle()
      expect(await chain.balance(merchant)).toBe(before + 10_000n)
    }
  })

  test('the answer gets lost: the receipt is found at once', async () => {
    for (const fault of ['reset-after', 'hang-after'] as const) {
      const { settle, find } = await claimed(over)
      const before = await chain.balance(merchant)
      proxy.fault = (method) => (sending(method) ? fault : 'pass')
      const receipt = await settle()
      expect(proxy.calls).toEqual(['eth_sendRawTransactionSync', 'eth_getTransactionReceipt'])
      expect(await find()).toEqual(receipt)
      expect(await chain.balance(merchant)).toBe(before + 10_000n)
    }
  })

  test('A-25 the node dies after it has taken the transaction: found later, by one call, paid once', async () => {
    const { settle, find } = await claimed(over)
    const before = await chain.balance(merchant)
    let dead = false
    proxy.fault = (method) => {
      if (dead) return 'reset'
      dead = sending(method)
      return dead ? 'reset-after' : 'pass'
    }
    await doubt(settle())
    await doubt(find())
    proxy.fault = () => 'pass'
    proxy.calls.length = 0
    const receipt = await find()
    expect(receipt).toMatchObject({ status: 'success' })
    expect(proxy.calls).toEqual(['eth_getTransactionReceipt'])
    // A node that keeps old transactions in mind refuses them; ours takes them for new.
    proxy.fault = (method) =>
      sending(method) ? { error: { code: -32000, message: 'already known' } } : 'pass'
    expect(await settle()).toEqual(receipt)
    expect(await chain.balance(merchant)).toBe(before + 10_000n)
  })

  test('A-25 frozen before it is sent: not found is not never', async () => {
    const { settle, find, till, notes } = await claimed(over)
    proxy.fault = (method) => (sending(method) ? 'reset' : 'pass')
    await doubt(settle())
    expect(notes).toHaveLength(1)
    const { validBefore } = JSON.parse(notes[0]!) as { validBefore: number }
    proxy.fault = () => 'pass'
    expect(await find()).toBe('unknown')
    // Our clock says that it is over, the chain's does not: it could still be mined.
    till.now = () => Date.now() + 60_000
    expect(await find()).toBe('unknown')
    // Over, but a node that lags behind may not know yet.
    proxy.fault = clockAt(validBefore + 9)
    expect(await find()).toBe('unknown')
    proxy.fault = clockAt(validBefore + 10)
    expect(await find()).toBe('not-moved')
    expect((await refusal(settle())).detail).toMatch(/can no longer be/)
    // One that is thawed sends what the chain still takes; then it has moved.
    proxy.fault = () => 'pass'
    till.now = Date.now
    const receipt = await settle()
    till.now = () => Date.now() + 60_000
    proxy.fault = later(36)
    expect(await find()).toEqual(receipt)
  })

  test('A-25 a node that has forgotten it is not believed, nor one that lags behind the others', async () => {
    const { settle, find, till } = await claimed(over)
    const receipt = await settle()
    till.now = () => Date.now() + 7_200_000
    const over2h = later(7200)
    // Two hours later its receipts are pruned: neither this payment nor any other of that time is found.
    proxy.fault = (method, params) =>
      method === 'eth_getTransactionReceipt' ? { result: null } : over2h(method, params)
    expect(await find()).toBe('unknown')
    await doubt(settle())
    // It knows others of that time, and refuses to look for this one: that is not "none".
    proxy.fault = (method, params) =>
      method !== 'eth_getTransactionReceipt' || params[0] !== receipt.reference
        ? over2h(method, params)
        : proxy.calls.at(-1)!.includes(' ')
          ? { error: { code: -32000, message: 'pruned history unavailable' } }
          : { result: null }
    expect(await find()).toBe('unknown')
    // One behind the same address says what time it is, another one answers the rest.
    let clocks = 0
    proxy.fault = (method, params) =>
      method === 'eth_getTransactionReceipt' && params[0] === receipt.reference
        ? { result: null }
        : method === 'eth_getBlockByNumber' && params[0] === 'latest' && clocks++ % 2 === 1
          ? { merge: { timestamp: `0x${now().toString(16)}` } }
          : over2h(method, params)
    expect(await find()).toBe('unknown')
    // It knows no block of before.
    proxy.fault = (method, params) =>
      method === 'eth_getTransactionReceipt'
        ? { result: null }
        : method === 'eth_getBlockByNumber' && params[0] !== 'latest'
          ? { result: null }
          : over2h(method, params)
    expect(await find()).toBe('unknown')
    // Found: one call.
    proxy.fault = over2h
    proxy.calls.length = 0
    expect(await find()).toEqual(receipt)
    expect(proxy.calls).toEqual(['eth_getTransactionReceipt'])
  })

  test('A-25 that it can never be mined costs four calls, of which one node answers the last', async () => {
    const { settle, find, till } = await claimed(over)
    proxy.fault = (method) => (sending(method) ? 'reset' : 'pass')
    await doubt(settle())
    till.now = () => Date.now() + 60_000
    proxy.fault = later(60)
    proxy.calls.length = 0
    expect(await find()).toBe('not-moved')
    expect(proxy.calls).toHaveLength(4)
    expect(proxy.calls[3]).toMatch(/^eth_getBlockByNumber (eth_getTransactionReceipt ?){2,4}$/)
  })

  test('it was mined between the look and the clock', async () => {
    const { settle, find, till } = await claimed(over)
    proxy.fault = (method) => (sending(method) ? 'reset' : 'pass')
    await doubt(settle())
    proxy.fault = () => 'pass'
    const receipt = await settle()
    till.now = () => Date.now() + 60_000
    let looks = 0
    proxy.fault = (method, params) =>
      method === 'eth_getTransactionReceipt' && looks++ === 0 ? { result: null } : later(60)(method, params)
    expect(await find()).toEqual(receipt)
  })

  test('a node that cannot wait is asked until the receipt is there', async () => {
    const { settle, till, made } = await claimed({ ...over, rpcTimeout: 5000 })
    let looks = 0
    proxy.fault = (method) => {
      if (method === 'eth_sendRawTransactionSync')
        return { error: { code: -32601, message: 'the method does not exist' } }
      return method === 'eth_getTransactionReceipt' && looks++ < 2 ? { result: null } : 'pass'
    }
    await settle()
    expect(proxy.calls).toEqual([
      'eth_sendRawTransactionSync',
      'eth_sendRawTransaction',
      ...Array(3).fill('eth_getTransactionReceipt'),
    ])
    // It is remembered.
    const again = await offer(till.seller, { amount: '0.01' })
    const credential = await pay(buy(), again)
    proxy.calls.length = 0
    await till.admit(again, credential)
    expect(proxy.calls).not.toContain('eth_sendRawTransactionSync')
    expect(made.challenge.id).not.toBe(again.challenge.id)
  })

  test('the lease is lost while it waits', async () => {
    const { till, made, credential } = await claimed(over)
    proxy.fault = (method) => (sending(method) ? 'hang' : 'pass')
    const lost = new AbortController()
    setTimeout(() => lost.abort(new Error('the lease is lost')), 50)
    const context = { ...till.noted(made, []), signal: lost.signal }
    await doubt(till.seller.settle(await till.parse(made, credential.payload), context))
  })

  test('the node lies', async () => {
    const { settle, find } = await claimed(over)
    const other = await chain.rpc('eth_sendRawTransactionSync', [
      await sign(account, { calls: transfers([{ recipient: merchant, amount: 10_000n }]) }),
    ])
    // The receipt of another transaction.
    proxy.fault = () => ({ result: other })
    await doubt(settle())
    expect(await find()).toBe('unknown')
    // A receipt of this one, that shows nothing.
    proxy.fault = () => 'pass'
    const { reference } = await settle()
    const mined = await chain.rpc('eth_getTransactionReceipt', [reference])
    proxy.fault = () => ({ result: { ...mined, logs: [] } })
    expect((await doubt(settle())).message).toMatch(/do not show the payment/)
    await doubt(find())
    // One that is neither.
    proxy.fault = () => ({ result: { ...mined, status: '0x2' } })
    await doubt(settle())
    proxy.fault = () => ({ result: 'yes' })
    await doubt(settle())
  })
})

describe('A-24 a transaction that waits for another one', () => {
  test('is not waited for longer than it can be mined', async () => {
    const seller = sellers.charge({ recipient: merchant, chainId: 1337, rpcUrl: proxy.url, rpcTimeout: 400 })
    const till = new Till(seller)
    const made = await offer(seller, { amount: '0.01' })
    const signed = await sign(account, { calls: transfers([honest(made)]), nonceKey: 7n, nonce: 9n })
    const waited = sleep(5000, 'still waiting')
    expect(await Promise.race([doubt(till.admit(made, transaction(signed))), waited])).toBeInstanceOf(Error)
    await chain.rpc('anvil_dropAllTransactions')
    const parsed = await till.parse(made, transaction(signed).payload)
    expect(await seller.find(parsed.note!, till.context(made))).toBe('unknown')
    till.now = () => Date.now() + 60_000
    proxy.fault = later(60)
    expect(await seller.find(parsed.note!, till.context(made))).toBe('not-moved')
  })
})

describe('a buyer', () => {
  const prepare = async (over: object = {}, mine: object = {}, terms: Terms = { amount: '0.01' }) => {
    const seller = sellers.charge({ recipient: merchant, chainId: 1337, rpcUrl: chain.url, ...over })
    const made = await offer(seller, terms)
    const buyer = buy(mine)
    const prepared = JSON.parse(
      JSON.stringify(await buyer.prepare(made.challenge, made.request, buyerContext())),
    )
    proxy.calls.length = 0
    return { till: new Till(seller), made, buyer, prepared }
  }

  test('that crashed finds out whether its push was made, and pushes the same again', async () => {
    const { buyer, prepared } = await prepare({}, { mode: 'push' })
    expect(await buyer.find!(prepared, buyerContext())).toBe('unknown')
    proxy.fault = () => 'reset'
    await doubt(buyer.send!(prepared, buyerContext()))
    await doubt(buyer.find!(prepared, buyerContext()) as Promise<unknown>)
    proxy.fault = (method) => (sending(method) ? 'reset-after' : 'pass')
    const before = await chain.balance(merchant)
    await buyer.send!(prepared, buyerContext())
    proxy.fault = () => 'pass'
    await buyer.send!(prepared, buyerContext())
    expect(await chain.balance(merchant)).toBe(before + 10_000n)
    proxy.calls.length = 0
    expect(await buyer.find!(prepared, buyerContext())).toBe('moved')
    expect(proxy.calls).toEqual(['eth_getTransactionReceipt'])
  })

  test('knows that a transaction is void when the chain says so', async () => {
    const { buyer, prepared } = await prepare()
    const context = buyerContext(() => Date.now() + 60_000)
    expect(await buyer.find!(prepared, context)).toBe('unknown')
    proxy.fault = later(60)
    expect(await buyer.find!(prepared, context)).toBe('not-moved')
  })

  test('finds a sponsored payment by its memo', async () => {
    await chain.fund(purse.address, 10_000_000n)
    const { buyer, prepared, made, till } = await prepare({ feePayer: { account: purse } })
    expect(await buyer.find!(prepared, buyerContext())).toBe('unknown')
    await till.admit(made, { payload: buyer.payload(prepared) })
    proxy.calls.length = 0
    expect(await buyer.find!(prepared, buyerContext())).toBe('moved')
    expect(proxy.calls).toEqual(['eth_getLogs'])
  })

  test('A-25 does not take a sponsored payment for void where the node has forgotten the events', async () => {
    await chain.fund(purse.address, 10_000_000n)
    const { buyer, prepared, made, till } = await prepare({ feePayer: { account: purse } })
    await till.admit(made, { payload: buyer.payload(prepared) })
    proxy.fault = (method, params) =>
      method === 'eth_getLogs' ? { result: [] } : later(7200)(method, params)
    const context = buyerContext(() => Date.now() + 7_200_000)
    expect(await buyer.find!(prepared, context)).toBe('unknown')
    proxy.fault = later(7200)
    expect(await buyer.find!(prepared, context)).toBe('moved')
  })

  test('knows that a sponsored payment is void when the chain says so', async () => {
    const { buyer, prepared } = await prepare({ feePayer: { account: purse } })
    proxy.fault = later(60)
    expect(
      await buyer.find!(
        prepared,
        buyerContext(() => Date.now() + 60_000),
      ),
    ).toBe('not-moved')
  })

  test('cannot tell a sponsored payment under the seller’s memo from the next one', async () => {
    const { buyer, prepared } = await prepare({ feePayer: { account: purse }, memo: `0x${'ab'.repeat(32)}` })
    proxy.fault = later(60)
    expect(
      await buyer.find!(
        prepared,
        buyerContext(() => Date.now() + 60_000),
      ),
    ).toBe('unknown')
  })

  test('whose push is reverted has paid nothing', async () => {
    const { buyer, prepared } = await prepare({}, { mode: 'push' }, { amount: '5' })
    // Spends the money first, but for the fee.
    await chain.rpc('eth_sendRawTransactionSync', [
      await sign(account, { calls: transfers([{ recipient: merchant, amount: 6_000_000n }]) }),
    ])
    expect((await refusal(buyer.send!(prepared, buyerContext()))).code).toBe('tempo/reverted')
    expect(await buyer.find!(prepared, buyerContext())).toBe('not-moved')
  })

  test('does not sign while the node is down', async () => {
    const seller = sellers.charge({ recipient: merchant, chainId: 1337, rpcUrl: chain.url })
    const made = await offer(seller, { amount: '0.01' })
    for (const fault of ['hang', 'reset'] as const) {
      proxy.fault = () => fault
      await doubt(buy().prepare(made.challenge, made.request, buyerContext()))
    }
  })
})

test('errors and proofs tell neither the transaction nor the address of the node', async () => {
  const { credential, settle, till, made } = await claimed()
  const signed = (credential.payload['signature'] as string).slice(2)
  const faults = [
    'hang',
    'reset',
    { error: { code: -32000, message: `invalid transaction 0x${signed}` } },
  ] as const
  for (const fault of faults) {
    proxy.fault = () => fault
    const error = await doubt(settle())
    const text = inspect(error, { depth: 10, showHidden: true })
    expect(text).not.toContain(signed.slice(0, 100))
    expect(text).not.toContain('key-of-the-node')
  }
  const parsed = await till.parse(made, credential.payload)
  expect(inspect(parsed, { depth: 10 })).not.toContain(signed.slice(0, 200))
  expect(inspect(parsed, { depth: 10, showHidden: true })).not.toMatch(/yParity/)
  expect(parsed.note).not.toContain(signed.slice(0, 100))
})
