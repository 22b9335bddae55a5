import { generatePrivateKey, privateKeyToAccount } from 'viem/accounts'
import { Account } from 'viem/tempo'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { startTempo, type LocalTempo } from '../../../testing/src/anvil.ts'
import type { SigningAccount } from '../src/lib/account.ts'
import type { Hex } from '../src/lib/address.ts'
import { keyOf, usersOf } from '../src/lib/lane.ts'
import { heavy } from '../src/lib/heavy.ts'
import { formatMemo } from '../src/lib/memo.ts'
import type { Rpc } from '../src/lib/rpc.ts'
import { tempo as buyers } from '../src/client.ts'
import { tempo as sellers } from '../src/server.ts'
import { hashText, honest, memoFor, open, sign, transfers, type Draft } from './craft.ts'
import { forgotten, giveBack, noteOf, receiptFor, type Book, type Order } from './desk.ts'
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
  type Proxy,
  type Seller,
  type Terms,
} from './harness.ts'

let chain: LocalTempo
let proxy: Proxy
let other: Hex
beforeAll(async () => {
  chain = await startTempo()
  proxy = await startProxy(chain.url)
  other = hex(chain.accounts[5]!.address)
})
afterAll(async () => {
  await proxy?.close()
  await chain?.stop()
})

let buyer: SigningAccount
let shop: SigningAccount
let us: Hex
beforeEach(async () => {
  buyer = privateKeyToAccount(generatePrivateKey())
  shop = privateKeyToAccount(generatePrivateKey())
  us = hex(shop.address.toLowerCase())
  for (const { address } of [buyer, shop])
    for (const token of [usd, alphaUsd]) await chain.fund(address, 10_000_000n, token)
  proxy.calls.length = 0
})
afterEach(() => {
  proxy.fault = () => 'pass'
})

const units = 1_250_000n
const sell = (over: object = {}): Seller =>
  sellers.charge({
    recipient: shop.address,
    chainId: 1337,
    rpcUrl: proxy.url,
    rpcTimeout: 1000,
    refund: { account: shop },
    ...over,
  })

/** A payment that was made. */
async function paid(over: object = {}, terms: object = {}): Promise<Order> {
  const seller = sell(over)
  const made = await offer(seller, { amount: '1.25', ...terms } as Terms)
  const wallet = buyers.charge({ account: buyer, chainId: 1337, rpcUrl: chain.url, mode: 'pull' })
  const { receipt } = await new Till(seller).admit(made, await pay(wallet, made))
  return { seller, made, receipt }
}

/** An order whose receipt names a transaction that the buyer has made up. */
async function claimed(
  calls: (order: Order) => NonNullable<Draft['calls']>,
  over: object = {},
  terms: object = {},
): Promise<Order> {
  const seller = sell(over)
  const made = await offer(seller, { amount: '1.25', ...terms } as Terms)
  const order = { seller, made, receipt: receiptFor('') }
  const raw = await sign(buyer, { calls: calls(order), feeToken: alphaUsd })
  const { transactionHash } = await chain.rpc('eth_sendRawTransactionSync', [raw])
  return { ...order, receipt: receiptFor(transactionHash) }
}

const sending = (method: string) => method.startsWith('eth_sendRaw')
const held = (token: string = usd) => chain.balance(buyer.address, token)

/** That it is refused for good, and nothing was noted or sent. */
async function refused(order: Order, over: Parameters<typeof giveBack>[2] = {}): Promise<string> {
  const book: Book = {}
  const [before, sent] = [await held(), proxy.calls.filter(sending).length]
  const { detail } = await refusal(giveBack(order, book, over))
  expect(book.note).toBeUndefined()
  expect(proxy.calls.filter(sending)).toHaveLength(sent)
  expect(await held()).toBe(before)
  return detail
}

/** That it is paid, and how much. */
async function returned(order: Order, token: string = usd): Promise<bigint> {
  const before = await held(token)
  await giveBack(order)
  return (await held(token)) - before
}

/** What the node says when a refund is tried out: two balances, what the token stands for, and whether the transfer went through. */
function rehearsal({ currency = 'USD', succeeds = true }): { result: unknown } {
  const word = (value: number) => value.toString(16).padStart(64, '0')
  const text = `0x${word(32)}${word(3)}${Buffer.from(currency).toString('hex').padEnd(64, '0')}`
  const plenty = { status: '0x1', returnData: `0x${word(1e12)}` }
  const last = { status: succeeds ? '0x1' : '0x0', returnData: '0x' }
  return { result: [{ calls: [plenty, { status: '0x1', returnData: text }, plenty, last] }] }
}

describe('is refused', () => {
  test('a receipt of a proof of identity, of another rail, or of no transaction', async () => {
    const order = await paid()
    const identity = { ...order.receipt, reference: order.made.challenge.id }
    expect(await refused({ ...order, receipt: identity })).toMatch(/nothing was paid/)
    expect(await refused({ ...order, receipt: { ...order.receipt, method: 'stripe' } })).toMatch(/nothing/)
    const free = await offer(order.seller, { amount: '0' })
    expect(await refused({ ...order, made: free })).toMatch(/nothing to return/)
  })

  test('A-10 a transaction that was reverted', async () => {
    const order = await claimed(({ made }) =>
      transfers([honest(made), { recipient: other, amount: 1n << 90n }]),
    )
    expect(await refused(order)).toMatch(/reverted/)
    expect(await refused(forgotten(order))).toMatch(/reverted/)
  })

  test('the receipt of a stranger: it has paid for another challenge', async () => {
    const stranger = await paid()
    const made = await offer(stranger.seller, { amount: '1.25' })
    expect(await refused({ ...stranger, made })).toMatch(/did not make/)
    expect(await refused(forgotten({ ...stranger, made }))).toMatch(/no payment of this challenge/)
    const elsewhere = await offer(stranger.seller, { amount: '1.25' }, { realm: 'other.example' })
    const { id } = stranger.made.challenge
    const moved = { ...elsewhere, challenge: { ...elsewhere.challenge, id } }
    expect(await refused({ ...stranger, made: moved })).toMatch(/did not make/)
    expect(await refused(forgotten({ ...stranger, made: moved }))).toMatch(/no payment/)
  })

  test.each([
    ['somebody else was paid', (order: Order) => transfers([honest(order.made, { recipient: other })])],
    ['in another token', (order: Order) => transfers([honest(order.made)], alphaUsd)],
    ['too little was paid', (order: Order) => transfers([honest(order.made, { amount: units - 1n })])],
    ['too much was paid', (order: Order) => transfers([honest(order.made, { amount: units + 1n })])],
  ])('A-01 A-02 A-03 a reference by which %s', async (_, calls) => {
    expect(await refused(await claimed(calls))).toMatch(/did not make the transfers/)
  })

  test('A-09 a payment without a memo that is older than the challenge', async () => {
    const order = await claimed(({ made }) => transfers([{ recipient: us, amount: honest(made).amount }]))
    const later = { ...order, made: { ...order.made, issued: order.made.issued + 120 } }
    expect(await refused(later)).toMatch(/older than the challenge/)
    expect(await returned(order)).toBe(units)
  })

  test('what was paid by somebody else than the source', async () => {
    const order = await paid()
    const source = `did:pkh:eip155:1337:${other}`
    expect(await refused({ ...order, source })).toMatch(/did not make/)
    expect(await returned({ ...order, source: `did:pkh:eip155:1337:${buyer.address}` })).toBe(units)
  })

  test('what was paid to whom the account does not return for; with `recipients` it does', async () => {
    const order = await paid({}, { recipient: other })
    expect(await refused(order)).toMatch(/refund\.recipients/)
    expect(await refused(forgotten(order))).toMatch(/no payment of this challenge to us/)
    const refund = { account: shop, recipients: [other] }
    expect(await returned({ ...order, seller: sell({ refund }) })).toBe(units)
    expect(await returned(forgotten({ ...order, seller: sell({ refund }) }))).toBe(0n)
  })
})

describe('with the record gone', () => {
  test('the memo of the challenge tells what was paid, in any token', async () => {
    expect(await returned(forgotten(await paid()))).toBe(units)
    expect(await returned(forgotten(await paid({}, { currency: alphaUsd })), alphaUsd)).toBe(units)
    expect(await returned(forgotten(await paid({ unbound: 'refuse' })))).toBe(units)
  })

  test('a payment without it is known by being the only one, in the usual currency', async () => {
    const bare = (amount = units, token: string = usd) => transfers([{ recipient: us, amount }], token)
    expect(await returned(forgotten(await claimed(() => bare())))).toBe(units)
    expect(await refused(forgotten(await claimed(() => bare(), { unbound: 'refuse' })))).toMatch(/no payment/)
    expect(await refused(forgotten(await claimed(() => bare(units, alphaUsd))))).toMatch(/no payment/)
    expect(await refused(forgotten(await claimed(() => [...bare(), ...bare(5n)])))).toMatch(/several/)
    expect(await refused(forgotten(await claimed(() => bare(0n))))).toMatch(/no payment/)
    const memo = hex(`0x${'5e'.repeat(32)}`)
    const marked = () => transfers([{ recipient: us, amount: units, memo }])
    expect(await refused(forgotten(await claimed(marked)))).toMatch(/no payment/)
    expect(await returned(forgotten(await claimed(marked, { memo })))).toBe(units)
  })

  test('what else the payer has moved is returned only where it is the usual splits', async () => {
    const splits = [{ amount: '0.25', recipient: chain.accounts[5]!.address }]
    expect(await returned(forgotten(await paid({ splits })))).toBe(units)
    expect(await refused(forgotten(await paid({}, { splits })))).toMatch(/paid others, too/)
    // Two moved from one pocket to the other, beside a payment of one.
    const pocket = (order: Order) => transfers([honest(order.made), { recipient: other, amount: 2_000_000n }])
    expect(await refused(forgotten(await claimed(pocket)))).toMatch(/paid others, too/)
    expect(await refused(forgotten(await claimed(pocket, { splits })))).toMatch(/paid others, too/)
    // What paid for another challenge is not of this one.
    const memo = formatMemo({ realm: 'other.example', challengeId: 'x' }, hashText)
    const both = ({ made }: Order) => transfers([honest(made), { recipient: other, amount: 7n, memo }])
    expect(await returned(forgotten(await claimed(both)))).toBe(units)
    // The fee of the chain is no part of it, in whatever token.
    const seller = sell()
    const made = await offer(seller, { amount: '1.25' })
    const raw = await sign(buyer, { calls: transfers([honest(made)]), feeToken: usd })
    const { transactionHash } = await chain.rpc('eth_sendRawTransactionSync', [raw])
    expect(await returned(forgotten({ seller, made, receipt: receiptFor(transactionHash) }))).toBe(units)
  })

  test('a memo of the challenge on two transfers tells nothing', async () => {
    const twice = ({ made }: Order) => transfers([honest(made), honest(made)])
    expect(await refused(forgotten(await claimed(twice)))).toMatch(/several/)
  })
})

describe('is left open, and tried again', () => {
  test('a transaction that is not found, or of another chain', async () => {
    const order = await paid()
    expect(
      (await doubt(giveBack({ ...order, receipt: receiptFor(`0x${'12'.repeat(32)}`) }))).message,
    ).toMatch(/not found/)
    const seller = sellers.charge({
      recipient: us,
      chainId: 4217,
      rpcUrl: proxy.url,
      refund: { account: shop },
    })
    expect((await doubt(giveBack({ ...order, seller }))).message).toMatch(/chain 1337/)
    expect((await doubt(giveBack(forgotten({ ...order, seller })))).message).toMatch(/chain 1337/)
    const methodDetails = { chainId: 42431 }
    const made = { ...order.made, request: { ...order.made.request, methodDetails } }
    expect((await doubt(giveBack({ ...order, made }))).message).toMatch(/chain 42431, this method on 1337/)
  })

  test('whichever call to the node fails; afterwards it is returned once', async () => {
    const order = await paid()
    const asked: string[] = []
    const book: Book = {}
    // As many as there are: each fails once, the last of them is the sending.
    for (let failing = 0; failing < 5; failing++) {
      let count = 0
      proxy.fault = (method) => {
        const isIt = count++ === failing
        if (isIt) asked.push(method)
        return isIt ? 'reset' : 'pass'
      }
      const sent = await giveBack(order).then(
        () => 'returned',
        () => 'open',
      )
      expect(sent).toBe('open')
    }
    expect(asked).toEqual([
      'eth_getTransactionReceipt',
      'eth_getBlockByNumber',
      'eth_call',
      'eth_simulateV1',
      'eth_sendRawTransactionSync',
    ])
    proxy.fault = () => 'pass'
    expect(await returned(order)).toBe(units)
    expect(await returned(order)).toBe(0n)
    expect(book.note).toBeUndefined()
  })

  test('the note cannot be written: nothing is sent', async () => {
    const order = await paid()
    const before = await held()
    proxy.calls.length = 0
    await doubt(giveBack(order, {}, { note: () => Promise.reject(new Error('the lease is lost')) }))
    expect(proxy.calls.filter(sending)).toEqual([])
    expect(await held()).toBe(before)
  })

  test('the account holds too little: the operator is told how much', async () => {
    const poor = privateKeyToAccount(generatePrivateKey())
    const till = (refund: object = {}) =>
      sell({ recipient: poor.address, refund: { account: poor, ...refund } })
    const order = { ...(await paid({ recipient: poor.address, refund: { account: poor } })) }
    const book: Book = {}
    const error = await doubt(giveBack(order, book))
    expect(error.message).toMatch(/holds 1\.25.* of 0x20c0.* needs 1\.3.*: top it up/)
    // The money is there, the fee is in another token.
    await chain.fund(poor.address, 20_000n, alphaUsd)
    const dear = { ...order, seller: till({ feeToken: alphaUsd }) }
    expect((await doubt(giveBack(dear, book))).message).toMatch(/holds 0\.02.* needs 0\.05/)
    expect(book.note).toBeUndefined()
    const cheap = { ...order, seller: till({ feeToken: alphaUsd, maxFee: '0.02' }) }
    expect(await returned(cheap)).toBe(units)
    expect(await chain.balance(poor.address)).toBe(0n)
  })

  test('the token does not let the money go', async () => {
    const order = await paid()
    const book: Book = {}
    proxy.fault = (method) => (method === 'eth_simulateV1' ? rehearsal({ succeeds: false }) : 'pass')
    expect((await doubt(giveBack(order, book))).message).toMatch(/lets 0x.* send nothing to 0x/)
    expect(book.note).toBeUndefined()
  })

  test('the lane is read in the block whose time is judged', async () => {
    const order = await paid()
    const asked: unknown[] = []
    proxy.fault = (method, params) => {
      if (method === 'eth_call') asked.push(params[1])
      return 'pass'
    }
    const head = (await chain.rpc('eth_getBlockByNumber', ['latest', false])).number as string
    await giveBack(order)
    expect(asked).toEqual([head])
  })

  test('A-25 a node that has forgotten the refund does not make it seem that there was none', async () => {
    const order = await paid()
    await giveBack(order)
    const before = await held()
    proxy.calls.length = 0
    proxy.fault = (method) => (method === 'eth_getLogs' ? { result: [] } : 'pass')
    expect((await doubt(giveBack(order))).message).toMatch(/knows 0 of the 1/)
    const paidBy = order.receipt.reference
    proxy.fault = (method, [hash]) =>
      method === 'eth_getTransactionReceipt' && hash !== paidBy ? { result: null } : 'pass'
    expect((await doubt(giveBack(order))).message).toMatch(/not found/)
    // It lags behind: by what it knows nothing was returned yet, and what is sent then stays out.
    proxy.fault = (method) => (method === 'eth_call' ? { result: `0x${'0'.repeat(64)}` } : 'pass')
    const late = sell({ refund: { account: shop, maxFee: '0.06' } })
    await doubt(giveBack({ ...order, seller: late }))
    proxy.fault = () => 'pass'
    await chain.mine()
    expect(await held()).toBe(before)
    await chain.rpc('anvil_dropAllTransactions')
  })

  test('a node that says nothing useful', async () => {
    const order = await paid()
    for (const fault of [
      { eth_getBlockByNumber: null },
      { eth_getBlockByNumber: { number: '0x1' } },
      { eth_call: '0x' },
      { eth_call: `0x${'f'.repeat(64)}` },
    ]) {
      proxy.fault = (method) => (method in fault ? { result: Object.values(fault)[0] } : 'pass')
      await doubt(giveBack(order))
    }
    proxy.fault = () => 'pass'
    await giveBack(order)
    proxy.fault = (method) => (method === 'eth_getLogs' ? { result: null } : 'pass')
    await doubt(giveBack(order))
  })

  test('what the options no longer allow, while an earlier refund may be mined', async () => {
    const order = await paid()
    const book: Book = {}
    proxy.fault = (method) => (sending(method) ? 'reset' : 'pass')
    await doubt(giveBack(order, book))
    proxy.fault = () => 'pass'
    const stranger = privateKeyToAccount(generatePrivateKey())
    const seller = sell({ recipient: stranger.address, refund: { account: stranger } })
    expect((await doubt(giveBack({ ...order, seller }, book))).message).toMatch(/may have been mined/)
    expect(await refused({ ...order, seller })).toMatch(/refund\.recipients/)
    expect(await order.seller.find(book.note!, new Till(order.seller).context(order.made))).toBe('unknown')
  })
})

describe('the transaction', () => {
  /** What was sent, decoded. */
  async function sentFor(
    over: object,
    terms: object = {},
    rehearse: () => { result: unknown } | 'pass' = () => 'pass',
  ) {
    const order = await paid(over, terms)
    let raw = ''
    proxy.fault = (method, [bytes]) => {
      if (sending(method)) raw = bytes as string
      return method === 'eth_simulateV1' ? rehearse() : 'pass'
    }
    const book: Book = {}
    await giveBack(order, book)
    return { envelope: open(raw), order, book }
  }

  test('costs no more than maxFee, and is paid in the token that is returned', async () => {
    const { envelope } = await sentFor({})
    expect(envelope).toMatchObject({ gas: 1_000_000n, maxFeePerGas: 50_000_000_000n, feeToken: usd })
    const dear = { account: shop, maxFee: '0.09', maxGas: 900_000n, maxPriorityFeePerGas: 7n }
    expect((await sentFor({ refund: dear })).envelope).toMatchObject({
      gas: 900_000n,
      maxFeePerGas: 100_000_000_000n,
      maxPriorityFeePerGas: 7n,
    })
    expect((await sentFor({}, { currency: alphaUsd })).envelope.feeToken).toBe(alphaUsd)
    const refund = { account: shop, feeToken: alphaUsd }
    expect((await sentFor({ refund })).envelope.feeToken).toBe(alphaUsd)
    // Fees are taken in tokens of the dollar only.
    const euro = () => rehearsal({ currency: 'EUR' })
    expect((await sentFor({}, { currency: alphaUsd }, euro)).envelope.feeToken).toBe(usd)
  })

  test('is the first of a lane that stands for this payment alone, and ends within a minute', async () => {
    const { envelope, book } = await sentFor({})
    const { envelope: another } = await sentFor({})
    expect(envelope.nonce ?? 0n).toBe(0n)
    expect(envelope.nonceKey).not.toBe(another.nonceKey)
    expect(BigInt(noteOf(book).key)).toBe(envelope.nonceKey)
    expect(envelope.nonceKey! >> 248n).toBe(0n)
    const left = envelope.validBefore! - Math.floor(Date.now() / 1000)
    expect(left).toBeGreaterThan(20)
    expect(left).toBeLessThanOrEqual(61)
  })

  test('carries a memo that pays for nothing; the note carries no signature', async () => {
    const { envelope, order, book } = await sentFor({})
    const data = envelope.calls[0]!.data!
    expect(data.startsWith('0x95777d59')).toBe(true)
    expect(data.slice(-64)).not.toContain(memoFor(order.made).slice(2, 12))
    expect(book.note!.length).toBeLessThan(500)
    expect(Object.keys(noteOf(book)).toSorted()).toEqual(['account', 'hash', 'key', 'nonce', 'validBefore'])
    const found = await order.seller.find(book.note!, new Till(order.seller).context(order.made))
    expect(found).toMatchObject({ reference: noteOf(book).hash })
  })
})

describe('a lane', () => {
  test('is looked through in pages that a node answers for', async () => {
    const { hashText: hash } = await heavy()
    const lane = { account: us, key: keyOf('x', { hashText: hash } as never) }
    const ranges: [number, number][] = []
    const last = `0x${'ab'.repeat(32)}`
    const rpc = (async (_method: string, [filter]: [{ fromBlock: string; toBlock: string }]) => {
      const range: [number, number] = [Number(filter.fromBlock), Number(filter.toBlock)]
      ranges.push(range)
      return range[1] === 120_000 ? [{ transactionHash: last }] : []
    }) as unknown as Rpc
    const { signal } = new AbortController()
    const standing = { block: 120_000, time: 0, used: 1 }
    expect(await usersOf(lane, standing, 1000, rpc, signal)).toEqual([last])
    expect(ranges).toEqual([
      [1000, 50_999],
      [51_000, 100_999],
      [101_000, 120_000],
    ])
    await expect(usersOf(lane, { ...standing, used: 2 }, 1000, rpc, signal)).rejects.toThrow(
      /knows 1 of the 2/,
    )
  })
})

describe('the options', () => {
  const make = (refund: unknown, over: object = {}) =>
    sellers.charge({ recipient: us, refund, ...over } as never)

  test('without refund there is none: the server lists the money', () => {
    expect('refund' in sellers.charge({ recipient: us })).toBe(false)
    expect(make({ account: shop }).refund).toBeTypeOf('function')
  })

  test.each<[string, () => unknown, RegExp]>([
    ['the account itself', () => shop, /\{ account \}/],
    ['nothing', () => true, /refund needs options/],
    ['no account', () => ({}), /refund\.account must be an account/],
    ['an account that cannot sign', () => ({ account: { address: us } }), /cannot sign/],
    ['a typing error', () => ({ account: shop, maxfee: '1' }), /no option maxfee/],
    [
      'another account than is paid',
      () => ({ account: privateKeyToAccount(generatePrivateKey()) }),
      /refund\.recipients/,
    ],
    ['no recipients', () => ({ account: shop, recipients: [] }), /leave it out/],
    ['a recipient that is none', () => ({ account: shop, recipients: ['0x1'] }), /refund\.recipients\[0\]/],
    ['a fee token that is none', () => ({ account: shop, feeToken: us }), /TIP-20/],
    ['no fee', () => ({ account: shop, maxFee: '0' }), /positive/],
    ['a fee finer than the token', () => ({ account: shop, maxFee: '0.0000001' }), /0\.0000001|decimal/],
    ['gas as a number', () => ({ account: shop, maxGas: 5 }), /bigint/],
    ['no gas', () => ({ account: shop, maxGas: 0n }), /positive/],
    ['a tip above the price', () => ({ account: shop, maxPriorityFeePerGas: 10n ** 12n }), /maxFee comes to/],
    ['a passkey', () => ({ account: Account.fromP256(generatePrivateKey()) }), /secp256k1/],
  ])('a TypeError for %s', (_, refund, remedy) => {
    expect(() => make(refund())).toThrow(TypeError)
    expect(() => make(refund())).toThrow(remedy)
  })

  test('an account that signs with another key is found out before anything is sent', async () => {
    const liar = { address: shop.address, sign: buyer.sign!.bind(buyer) }
    const order = await paid({ refund: { account: liar } })
    const book: Book = {}
    expect((await doubt(giveBack(order, book))).message).toMatch(/account\.address/)
    expect(book.note).toBeUndefined()
  })
})
