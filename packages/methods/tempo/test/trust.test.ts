import { generatePrivateKey, privateKeyToAccount } from 'viem/accounts'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { startTempo, type LocalTempo } from '../../../testing/src/anvil.ts'
import type { SigningAccount } from '../src/lib/account.ts'
import { tempo as buyers } from '../src/client.ts'
import { tempo as sellers } from '../src/server.ts'
import { honest, memoFor, open, sign, transaction, transfers } from './craft.ts'
import { buyerContext, doubt, hex, offer, pay, startProxy, Till, type Proxy } from './harness.ts'

// Whom a method believes: not the clock of a stranger's server, not any node, not what `fetch` has become.
let chain: LocalTempo
let proxy: Proxy
let recipient: string
beforeAll(async () => {
  chain = await startTempo()
  proxy = await startProxy(chain.url)
  recipient = chain.accounts[1]!.address
})
afterAll(async () => {
  await proxy?.close()
  await chain?.stop()
})

let account: SigningAccount
beforeEach(async () => {
  account = privateKeyToAccount(generatePrivateKey())
  await chain.fund(account.address, 10_000_000n)
  proxy.calls.length = proxy.checks = 0
})
afterEach(() => {
  vi.useRealTimers()
  vi.unstubAllGlobals()
})

const buy = (over: object = {}) => buyers.charge({ account, chainId: 1337, rpcUrl: proxy.url, ...over })
const sell = (over: object = {}) => sellers.charge({ recipient, chainId: 1337, rpcUrl: proxy.url, ...over })
const day = 86_400_000
const seconds = () => Math.floor(Date.now() / 1000)

describe('the clock of the server', () => {
  test('an hour ahead does not make a signature live longer', async () => {
    const made = await offer(sell(), { amount: '0.01' }, { lifetime: 7200 })
    const signedAt = async (skew: number) => {
      const context = buyerContext(() => Date.now() + skew)
      const { data } = await buy().prepare(made.challenge, made.request, context)
      return open(data['signed'] as string).validBefore! - seconds()
    }
    expect(await signedAt(0)).toBeLessThanOrEqual(25)
    expect(await signedAt(5000)).toBeGreaterThan(27)
    expect(await signedAt(20_000)).toBeLessThanOrEqual(35)
    expect((await doubt(signedAt(3_600_000))).message).toMatch(/clock of this machine/)
  })

  test('does not keep an old look at the chain fresh', async () => {
    const buyer = buy()
    const made = await offer(sell(), { amount: '0.01' })
    const at = (skew: number) =>
      buyer.prepare(
        made.challenge,
        made.request,
        buyerContext(() => Date.now() + skew),
      )
    await doubt(at(3650 * day))
    expect(proxy.calls).toHaveLength(0)
    await at(0)
    await at(5000)
    expect(proxy.calls).toHaveLength(1)
    const local = Date.now()
    vi.useFakeTimers({ toFake: ['Date'], now: local + 61_000 })
    await at(-61_000 + 25_000)
    expect(proxy.calls).toHaveLength(2)
    // A clock that was set back says nothing about the age.
    vi.setSystemTime(local)
    await at(0)
    expect(proxy.calls).toHaveLength(3)
  })
})

describe('the node', () => {
  test('is asked which chain it is of at the first use of each side, and then not again', async () => {
    const till = new Till(sell())
    const buyer = buy()
    expect(proxy.checks).toBe(0)
    for (let i = 0; i < 3; i++) {
      const made = await offer(till.seller, { amount: '0.01' })
      await till.admit(made, await pay(buyer, made))
      expect(proxy.checks).toBe(2)
    }
    expect(proxy.calls).toEqual(['eth_simulateV1', ...Array(3).fill('eth_sendRawTransactionSync')])
  })

  test('of another chain is not paid through', async () => {
    const seller = sell({ chainId: 4217 })
    const made = await offer(seller, { amount: '0.01' })
    const buyer = buy({ chainId: 4217 })
    const error = await doubt(buyer.prepare(made.challenge, made.request, buyerContext()))
    expect(error.message).toMatch(/chain 1337\b.*chain 4217\b.*rpcUrl/)
    expect(proxy.calls).toEqual([])
  })

  test('of another chain shows no payment', async () => {
    const till = new Till(sell({ chainId: 4217 }))
    const made = await offer(till.seller, { amount: '0.01' })
    const calls = transfers([honest(made, { recipient: hex(recipient), memo: memoFor(made) })])
    const mined = await chain.rpc('eth_sendRawTransactionSync', [await sign(account, { calls })])
    for (const payload of [
      { type: 'hash', hash: mined.transactionHash },
      transaction(await sign(account, { calls, chainId: 4217 })).payload,
    ])
      expect((await doubt(till.admit(made, { payload }))).message).toMatch(/chain 1337\b.*chain 4217\b/)
    expect(proxy.calls).toEqual([])
  })

  test('that does not say it, or is away, is asked again', async () => {
    const made = await offer(sell(), { amount: '0.01' })
    const buyer = buy()
    proxy.fault = () => 'reset'
    const error = await doubt(buyer.prepare(made.challenge, made.request, buyerContext()))
    expect(error.message).toMatch(/could not be reached/)
    proxy.fault = () => 'pass'
    await buyer.prepare(made.challenge, made.request, buyerContext())
  })
})

test('a fetch that pays is not what the node is asked with', async () => {
  // Not by way of the proxy, which would use it, too.
  const seller = sell({ rpcUrl: chain.url })
  const made = await offer(seller, { amount: '0.01' })
  const buyer = buy({ rpcUrl: chain.url })
  vi.stubGlobal('fetch', () => {
    throw new Error('paid for an answer of the node')
  })
  const prepared = await buyer.prepare(made.challenge, made.request, buyerContext())
  vi.unstubAllGlobals()
  await new Till(seller).admit(made, { payload: buyer.payload(prepared) })
})

describe('an account', () => {
  const prepare = async (over: object) => {
    const made = await offer(sell(), { amount: '0.01' })
    return buy({ account: { address: account.address, ...over } }).prepare(
      made.challenge,
      made.request,
      buyerContext(),
    )
  }

  test('whose key is another one', async () => {
    const other = privateKeyToAccount(generatePrivateKey())
    expect((await doubt(prepare({ sign: other.sign }))).message).toMatch(
      new RegExp(`signs for ${other.address}.*is ${account.address}`, 'i'),
    )
  })

  test('that signs nothing', async () => {
    expect((await doubt(prepare({ sign: async () => '0x1234' }))).message).toMatch(/no signature/)
  })
})

describe('options that cannot work', () => {
  test.each([
    ['none', undefined, /needs options: tempo.charge\(\{ account/],
    ['a name that nobody knows', { feetoken: '0x' }, /no option feetoken/],
    ['gas as a number', { gas: 400_000 }, /gas must be a bigint/],
    ['a price as a number', { maxFeePerGas: 5e10 }, /maxFeePerGas must be a bigint/],
    ['a tip as a number', { maxPriorityFeePerGas: 1e9 }, /maxPriorityFeePerGas must be a bigint/],
    ['patience that is no number', { rpcTimeout: 'x' }, /rpcTimeout/],
  ])('%s', (_, over, message) => {
    const make = () => buyers.charge((over && { account, ...over }) as never)
    expect(make).toThrow(message)
    expect(make).toThrow(TypeError)
  })
})
