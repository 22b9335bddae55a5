import { generatePrivateKey, privateKeyToAccount } from 'viem/accounts'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { startTempo, type LocalTempo } from '../../../testing/src/anvil.ts'
import type { SigningAccount } from '../src/lib/account.ts'
import type { Hex } from '../src/lib/address.ts'
import { tempo as buyers } from '../src/client.ts'
import { tempo as sellers } from '../src/server.ts'
import { expiring, honest, memoFor, sign, transfers, type Draft } from './craft.ts'
import {
  alphaUsd,
  doubt,
  hex,
  offer,
  pay,
  refusal,
  startProxy,
  Till,
  usd,
  type Offer,
  type Proxy,
  type Terms,
} from './harness.ts'

let chain: LocalTempo
let proxy: Proxy
let merchant: Hex
let other: Hex

beforeAll(async () => {
  chain = await startTempo()
  proxy = await startProxy(chain.url)
  ;[, merchant, other] = chain.accounts.map(({ address }) => hex(address)) as [Hex, Hex, Hex]
})
afterAll(async () => {
  await proxy?.close()
  await chain?.stop()
})

let account: SigningAccount
let payer: Hex
beforeEach(async () => {
  account = privateKeyToAccount(generatePrivateKey())
  payer = hex(account.address.toLowerCase())
  await chain.fund(payer, 10_000_000n)
  proxy.calls.length = 0
})
afterEach(() => {
  proxy.fault = () => 'pass'
})

const buy = (over: object = {}) =>
  buyers.charge({ account, chainId: 1337, rpcUrl: proxy.url, mode: 'push', ...over })
async function shop(
  terms: Terms = { amount: '0.01' },
  over: object = {},
  options: Parameters<typeof offer>[2] = {},
) {
  const seller = sellers.charge({ recipient: merchant, chainId: 1337, rpcUrl: proxy.url, ...over })
  return { till: new Till(seller), made: await offer(seller, terms, options) }
}

/** Sends a crafted transaction and presents its hash. */
async function present(till: Till, made: Offer, over: Draft, source?: string) {
  const mined = await chain.rpc('eth_sendRawTransactionSync', [await sign(account, over)])
  const payload = { type: 'hash', hash: mined.transactionHash }
  return till.admit(made, { payload, ...(source === undefined ? {} : { source }) })
}

describe('an honest buyer', () => {
  test('TC-002 TC-047 TC-067 TC-080 TC-081 sends by itself, and shows the hash', async () => {
    const { till, made } = await shop({ amount: '0.01', externalId: 'order 7' })
    const before = await chain.balance(merchant)
    const credential = await pay(buy(), made)
    expect(await chain.balance(merchant)).toBe(before + 10_000n)
    expect(credential.payload).toEqual({ type: 'hash', hash: expect.stringMatching(/^0x[0-9a-f]{64}$/) })
    expect(credential.source).toBe(`did:pkh:eip155:1337:${account.address}`)
    const { receipt, payer: proven, parsed, notes } = await till.admit(made, credential)
    expect(receipt).toMatchObject({
      method: 'tempo',
      reference: credential.payload['hash'],
      challengeId: made.challenge.id,
      externalId: 'order 7',
    })
    expect(proven).toBe(payer)
    expect(parsed.moved).toBe(true)
    expect(await till.seller.find(notes[0]!, till.context(made))).toEqual(receipt)
  })

  test('costs one call of the server, and the buyer one for the fee and one to send', async () => {
    const { till, made } = await shop()
    const credential = await pay(buy(), made)
    expect(proxy.calls).toEqual(['eth_simulateV1', 'eth_sendRawTransactionSync'])
    proxy.calls.length = 0
    const { parsed } = await till.admit(made, credential)
    expect(proxy.calls).toEqual(['eth_getTransactionReceipt'])
    // After a crash what was seen is gone, and is looked up again.
    const again = await till.parse(made, credential.payload)
    expect((await till.seller.settle(again, till.noted(made, []))).reference).toBe(credential.payload['hash'])
    expect(again.key).toBe(parsed.key)
    expect(proxy.calls).toEqual(['eth_getTransactionReceipt', 'eth_getTransactionReceipt'])
  })

  test('sends once, however often it sends', async () => {
    const { made } = await shop()
    const buyer = buy()
    const before = await chain.balance(merchant)
    const { prepared } = await pay(buyer, made)
    await buyer.send!(prepared, { now: Date.now, signal: new AbortController().signal })
    expect(await chain.balance(merchant)).toBe(before + 10_000n)
  })

  test('TC-015 pushes where only that is offered', async () => {
    const { till, made } = await shop({ amount: '0.01', modes: ['push'] })
    await till.admit(made, await pay(buy({ mode: undefined }), made))
  })

  test('TC-035 TC-038 pays splits, in one transaction, in any order', async () => {
    const terms = { amount: '0.01', splits: [{ amount: '0.001', recipient: other }] }
    const { till, made } = await shop(terms)
    await till.admit(made, await pay(buy(), made))
    const again = await offer(till.seller, terms)
    const legs = [{ recipient: other, amount: 1_000n }, honest(again, { amount: 9_000n })]
    await present(till, again, { calls: transfers(legs), nonceKey: 5n })
  })

  test('TC-041 may do other things in the same transaction', async () => {
    const { till, made } = await shop()
    const calls = [...transfers([{ recipient: other, amount: 5n }]), ...transfers([honest(made)])]
    await present(till, made, { calls })
  })

  test('TC-019 need not push a proof', async () => {
    const { made } = await shop({ amount: '0' })
    expect((await pay(buy(), made)).payload['type']).toBe('proof')
  })
})

describe('turns away', () => {
  const refused = async (make: (made: Offer) => Draft, terms?: Terms, source?: string) => {
    const { till, made } = await shop(terms)
    const { code, detail } = await refusal(present(till, made, make(made), source))
    expect(code).toBe('verification-failed')
    return detail
  }

  test('A-09 an old payment, and one that ties itself to nothing', async () => {
    expect(await refused(() => ({ calls: transfers([{ recipient: merchant, amount: 10_000n }]) }))).toMatch(
      /memo/,
    )
    const another = (await shop()).made
    await refused((made) => ({ calls: transfers([honest(made, { memo: memoFor(another) })]) }))
    await refused((made) => ({ calls: transfers([honest(made, { memo: hex(`0x${'ab'.repeat(32)}`) })]) }))
  })

  test('A-09 somebody else’s payment', async () => {
    const { till, made } = await shop()
    const { payload } = await pay(buy(), made)
    const foreign = await offer(till.seller, { amount: '0.01' })
    expect((await refusal(till.admit(foreign, { payload }))).code).toBe('verification-failed')
    expect((await refusal(till.admit(made, { payload, source: `did:pkh:eip155:1337:${other}` }))).code).toBe(
      'verification-failed',
    )
    expect((await refusal(till.admit(made, { payload, source: `did:pkh:eip155:4217:${payer}` }))).code).toBe(
      'verification-failed',
    )
    expect((await refusal(till.admit(made, { payload, source: 'me' }))).code).toBe('verification-failed')
  })

  test('A-10 TC-080 a reverted transaction, though its fee is a transfer too', async () => {
    // Whatever its events say.
    const { till, made } = await shop()
    const credential = await pay(buy(), made)
    const mined = await chain.rpc('eth_getTransactionReceipt', [credential.payload['hash']])
    proxy.fault = () => ({ result: { ...mined, status: '0x0' } })
    expect((await refusal(till.admit(made, credential))).detail).toMatch(/reverted/)
    proxy.fault = () => 'pass'
    const detail = await refused((made) => ({ calls: transfers([honest(made, { amount: 10n ** 15n })]) }))
    expect(detail).toMatch(/reverted/)
  })

  test('A-10 the fee is no payment', async () => {
    // The fee manager as recipient, and the fee as price.
    const feeManager = hex('0xfeec000000000000000000000000000000000000')
    const { till } = await shop()
    const paid = await offer(till.seller, { amount: '0.01' })
    const mined = await chain.rpc('eth_sendRawTransactionSync', [
      await sign(account, { calls: transfers([honest(paid)]) }),
    ])
    const fee = BigInt(mined.logs.at(-1).data)
    const made = await offer(till.seller, {
      amount: `0.${String(fee).padStart(6, '0')}`,
      recipient: feeManager,
    })
    expect(
      (await refusal(till.admit(made, { payload: { type: 'hash', hash: mined.transactionHash } }))).code,
    ).toBe('verification-failed')
  })

  test('A-01 A-02 A-03 TC-081 another amount, recipient or token', async () => {
    await refused((made) => ({ calls: transfers([honest(made, { amount: 9_999n })]) }))
    await refused((made) => ({ calls: transfers([honest(made, { amount: 10_001n })]) }))
    await refused((made) => ({ calls: transfers([honest(made, { recipient: other })]) }))
    await chain.fund(payer, 1_000_000n, alphaUsd)
    await refused((made) => ({ calls: transfers([honest(made)], alphaUsd) }))
  })

  test('A-11 A-12 TC-081 one transfer for two legs', async () => {
    const splits = [{ amount: '0.005', recipient: merchant }]
    await refused((made) => ({ calls: transfers([honest(made, { amount: 5_000n })]) }), {
      amount: '0.01',
      splits,
    })
    await refused((made) => ({ calls: transfers([honest(made, { amount: 10_000n })]) }), {
      amount: '0.01',
      splits,
    })
    // Two splits to the same account.
    const equal = { amount: '0.003', recipient: other }
    await refused(
      (made) => ({
        calls: transfers([honest(made, { amount: 4_000n }), { recipient: other, amount: 3_000n }]),
      }),
      { amount: '0.01', splits: [equal, equal] },
    )
  })

  test('A-12 one set of splits for the challenges of two sellers', async () => {
    const splits = [{ amount: '0.003', recipient: other }]
    const third = hex(chain.accounts[3]!.address)
    const one = await shop({ amount: '0.01' }, { splits })
    const two = await shop({ amount: '0.01' }, { splits, recipient: third })
    const mined = await chain.rpc('eth_sendRawTransactionSync', [
      await sign(account, {
        calls: transfers([
          honest(one.made, { amount: 7_000n }),
          honest(two.made, { amount: 7_000n }),
          { recipient: other, amount: 3_000n },
        ]),
      }),
    ])
    const payload = { type: 'hash', hash: mined.transactionHash }
    for (const { till, made } of [one, two])
      expect((await refusal(till.admit(made, { payload }))).detail).toMatch(/another challenge/)
    // Where nothing is shared, each is paid for itself.
    const plain = [await shop(), await shop({ amount: '0.01' }, { recipient: third })]
    const both = await chain.rpc('eth_sendRawTransactionSync', [
      await sign(account, { calls: transfers(plain.map(({ made }) => honest(made))) }),
    ])
    for (const { till, made } of plain)
      await till.admit(made, { payload: { type: 'hash', hash: both.transactionHash } })
  })

  test('A-11 the memo of the challenge on a leg that is not the first', async () => {
    const splits = [{ amount: '0.001', recipient: other }]
    await refused(
      (made) => ({
        calls: transfers([
          { recipient: merchant, amount: 9_000n },
          honest(made, { recipient: other, amount: 1_000n }),
        ]),
      }),
      { amount: '0.01', splits },
    )
  })

  test('TC-041 two transactions for one payment', async () => {
    const splits = [{ amount: '0.001', recipient: other }]
    const { till, made } = await shop({ amount: '0.01', splits })
    await chain.rpc('eth_sendRawTransactionSync', [
      await sign(account, { calls: transfers([{ recipient: other, amount: 1_000n }]) }),
    ])
    expect(
      (await refusal(present(till, made, { calls: transfers([honest(made, { amount: 9_000n })]) }))).code,
    ).toBe('verification-failed')
  })

  test('TC-069 a paid hash where the server pays the fee, and TC-071 where hashes are not offered', async () => {
    const { made } = await shop()
    const { payload } = await pay(buy(), made)
    const sponsored = await shop(
      { amount: '0.01' },
      { feePayer: { account: privateKeyToAccount(generatePrivateKey()) } },
    )
    expect((await refusal(sponsored.till.admit(sponsored.made, { payload }))).code).toBe(
      'verification-failed',
    )
    const pulled = await shop({ amount: '0.01', modes: ['pull'] })
    expect((await refusal(pulled.till.admit(pulled.made, { payload }))).code).toBe('verification-failed')
  })

  test('A-27 TC-069 a paid hash for a sponsored challenge that names no modes', async () => {
    const feePayer = { account: privateKeyToAccount(generatePrivateKey()) }
    const unsponsored = await shop()
    const { till, made } = await shop(
      { amount: '0.01' },
      { feePayer },
      { request: (it) => ({ ...it, methodDetails: { chainId: 1337, feePayer: true } }) },
    )
    // Paid as if nobody had offered to pay the fee.
    const paid = { ...made, request: unsponsored.made.request }
    const { payload } = await pay(buy(), paid)
    expect((await refusal(till.admit(made, { payload }))).detail).toMatch(/must be sent by it/)
  })

  test('TC-047 what is no hash', async () => {
    const { till, made } = await shop()
    for (const hash of [`0x${'00'.repeat(31)}`, `0x${'00'.repeat(33)}`, '00'.repeat(32), 7, undefined]) {
      expect((await refusal(till.admit(made, { payload: { type: 'hash', hash } as never }))).code).toBe(
        'malformed-credential',
      )
    }
  })

  test('A-06 TC-095 the same hash twice, in any spelling', async () => {
    const { till, made } = await shop()
    const { payload } = await pay(buy(), made)
    const upper = { type: 'hash', hash: (payload['hash'] as string).toUpperCase().replace('0X', '0x') }
    expect((await till.parse(made, upper)).key).toBe((await till.parse(made, payload)).key)
    await till.admit(made, { payload })
    expect((await refusal(till.admit(made, { payload: upper }))).detail).toMatch(/claimed/)
  })
})

describe('does not invite to pay again', () => {
  test('while the transaction is not found', async () => {
    const { till, made } = await shop()
    const payload = { type: 'hash', hash: `0x${'12'.repeat(32)}` }
    expect((await doubt(till.admit(made, { payload }))).message).toMatch(/not found yet/)
    expect(till.claims.size).toBe(0)
  })

  test('while the node is down, slow or strange', async () => {
    const { till, made } = await shop({ amount: '0.01' }, { rpcTimeout: 300 })
    const { payload } = await pay(buy(), made)
    for (const fault of [
      'hang',
      'reset',
      { result: { status: '0x1' } },
      { error: { code: -32000, message: 'busy' } },
    ] as const) {
      proxy.fault = () => fault
      await doubt(till.admit(made, { payload }))
    }
    proxy.fault = () => 'pass'
    await till.admit(made, { payload })
  })

  test('A-09 when the payment seems older than the challenge whose memo it carries: a clock is wrong', async () => {
    const { till, made } = await shop({ amount: '0.01' }, {}, { issued: Math.floor(Date.now() / 1000) + 90 })
    expect((await doubt(present(till, made, { calls: transfers([honest(made)]) }))).message).toMatch(
      /seems older/,
    )
  })

  test('when it died before it could say so, and the payment was sent through somebody else', async () => {
    const { till, made } = await shop()
    const credential = await pay(buy(), made)
    const mined = await chain.rpc('eth_getTransactionReceipt', [credential.payload['hash']])
    proxy.fault = (method) =>
      method === 'eth_getTransactionReceipt' ? { result: { ...mined, from: other } } : 'pass'
    const { payer: proven, notes } = await till.admit(made, credential)
    expect(proven).toBe(payer)
    expect(await till.seller.find(notes[0]!, till.context(made, credential.source))).toMatchObject({
      status: 'success',
    })
    await doubt(till.seller.find(notes[0]!, till.context(made)))
  })

  test('TC-096 when the challenge has expired since: the money is there', async () => {
    const { till, made } = await shop({ amount: '0.01' }, {}, { lifetime: 10 })
    const credential = await pay(buy(), made)
    till.now = () => Date.now() + 3_600_000
    expect((await till.admit(made, credential)).receipt.reference).toBe(credential.payload['hash'])
  })

  test('A-13 a node without timestamps in its events is asked for the block', async () => {
    const { till, made } = await shop()
    const credential = await pay(buy(), made)
    const mined = await chain.rpc('eth_getTransactionReceipt', [credential.payload['hash']])
    for (const log of mined.logs) delete log.blockTimestamp
    proxy.fault = (method) => (method === 'eth_getTransactionReceipt' ? { result: mined } : 'pass')
    proxy.calls.length = 0
    const { receipt } = await till.admit(made, credential)
    expect(proxy.calls).toEqual(['eth_getTransactionReceipt', 'eth_getBlockByNumber'])
    expect(Date.now() - Date.parse(receipt.timestamp)).toBeLessThan(10_000)
  })
})

test('an expiring nonce is the one that the buyer uses', async () => {
  const { made } = await shop()
  const { payload } = await pay(buy(), made)
  const sent = await chain.rpc('eth_getTransactionByHash', [payload['hash']])
  expect(BigInt(sent.nonceKey)).toBe(expiring)
  expect(sent.feeToken).toBe(usd)
})
