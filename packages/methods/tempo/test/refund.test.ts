import { generatePrivateKey, privateKeyToAccount } from 'viem/accounts'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { startTempo, type LocalTempo } from '../../../testing/src/anvil.ts'
import type { SigningAccount } from '../src/lib/account.ts'
import { tempo as buyers } from '../src/client.ts'
import { tempo as sellers } from '../src/server.ts'
import { honest, memoFor, sign, transfers } from './craft.ts'
import { forgotten, giveBack, noteOf, receiptFor, type Book, type Order } from './desk.ts'
import {
  clockAt,
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
  type Seller,
  type Terms,
} from './harness.ts'

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

let buyer: SigningAccount
let shop: SigningAccount
beforeEach(async () => {
  buyer = privateKeyToAccount(generatePrivateKey())
  shop = privateKeyToAccount(generatePrivateKey())
  await chain.fund(buyer.address, 10_000_000n)
  await chain.fund(shop.address, 10_000_000n)
  proxy.calls.length = 0
})
afterEach(() => {
  proxy.fault = () => 'pass'
})

const price: Terms = { amount: '1.25' }
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
const buy = (over: object = {}) =>
  buyers.charge({ account: buyer, chainId: 1337, rpcUrl: chain.url, mode: 'pull', ...over })

/** A payment that was made. */
async function paid(over: object = {}, terms: Terms = price, wallet: object = {}): Promise<Order> {
  const seller = sell(over)
  const till = new Till(seller)
  const made = await offer(seller, terms)
  const { receipt } = await till.admit(made, await pay(buy(wallet), made))
  proxy.calls.length = 0
  return { seller, made, receipt }
}

const held = () => chain.balance(buyer.address)
const sending = (method: string) => method.startsWith('eth_sendRaw')
const sent = () => proxy.calls.filter(sending).length
const now = () => Math.floor(Date.now() / 1000)

/** How much `work` gives the buyer. */
async function gained(work: () => Promise<unknown>): Promise<bigint> {
  const before = await held()
  await work()
  return (await held()) - before
}

describe('the payer', () => {
  test.each([
    ['who let the server send', {}, {}],
    ['who sent it himself', {}, { mode: 'push' }],
    [
      'whose fee was paid for him',
      { feePayer: { account: privateKeyToAccount(`0x${'77'.repeat(32)}`) } },
      {},
    ],
    ['who carried the memo of the seller', { memo: `0x${'5e'.repeat(32)}` }, {}],
  ])('%s gets exactly what he has paid, and no fee of it', async (_, over, wallet) => {
    await chain.fund(privateKeyToAccount(`0x${'77'.repeat(32)}`).address, 1_000_000n)
    const order = await paid(over, price, wallet)
    const before = await chain.balance(shop.address)
    const book: Book = {}
    expect(
      await gained(async () => expect(await giveBack(order, book)).toMatchObject({ status: 'success' })),
    ).toBe(units)
    const fee = before - units - (await chain.balance(shop.address))
    expect(fee).toBeGreaterThan(0n)
    expect(fee).toBeLessThan(50_000n)
  })

  test('gets a receipt of its own: another transaction, the same challenge', async () => {
    const order = await paid({}, { ...price, externalId: 'order 7' })
    const book: Book = {}
    const back = await giveBack(order, book)
    expect(back).toMatchObject({
      status: 'success',
      method: 'tempo',
      challengeId: order.made.challenge.id,
      externalId: 'order 7',
    })
    expect(back.reference).not.toBe(order.receipt.reference)
    expect(back.reference).toBe(noteOf(book).hash)
    expect(Math.abs(Date.parse(back.timestamp) / 1000 - now())).toBeLessThan(60)
  })

  test('gets back what the splits have got, too', async () => {
    const other = hex(chain.accounts[5]!.address)
    const order = await paid({ splits: [{ amount: '0.25', recipient: other }] })
    expect(await gained(() => giveBack(order))).toBe(units)
  })

  test('is whoever gave the money, not who sent the transaction', async () => {
    // An account that keeps an allowance of the buyer's pays the bill, as a wallet contract would.
    const agent = privateKeyToAccount(generatePrivateKey())
    await chain.fund(agent.address, 1_000_000n)
    const approve = `0x095ea7b3${agent.address.slice(2).padStart(64, '0')}${'f'.repeat(64)}`
    const seller = sell()
    const made = await offer(seller, price)
    await chain.rpc('eth_sendRawTransactionSync', [
      await sign(buyer, { calls: [{ to: usd, data: hex(approve) }] }),
    ])
    const words = [buyer.address, shop.address]
      .map((one) => one.slice(2).toLowerCase().padStart(64, '0'))
      .join('')
    const transferFrom = `0x929c2539`
    const data = `${transferFrom}${words}${units.toString(16).padStart(64, '0')}${memoFor(made).slice(2)}`
    const mined = await chain.rpc('eth_sendRawTransactionSync', [
      await sign(agent, { calls: [{ to: usd, data: hex(data) }] }),
    ])
    expect(mined.status).toBe('0x1')
    const receipt = receiptFor(mined.transactionHash)
    for (const order of [{ seller, made, receipt }, forgotten({ seller, made, receipt })])
      expect(await gained(() => giveBack(order))).toBe(order.made.issued > 0 ? units : 0n)
  })
})

describe('once', () => {
  test('twice in a row: the first one’s receipt, with the note or without it', async () => {
    const order = await paid()
    const book: Book = {}
    const first = await giveBack(order, book)
    expect(sent()).toBe(1)
    const again = await gained(async () => {
      expect(await giveBack(order, book)).toEqual(first)
      expect(await giveBack(order)).toEqual(first)
      expect(
        await giveBack({ ...order, seller: sell({ refund: { account: shop, maxFee: '0.04' } }) }),
      ).toEqual(first)
      expect(await giveBack(forgotten(order))).toEqual(first)
    })
    expect(again).toBe(0n)
    expect(sent()).toBe(1)
  })

  test('with its note it is found by two calls, whatever the options have become', async () => {
    const order = await paid()
    const book: Book = {}
    const first = await giveBack(order, book)
    proxy.calls.length = 0
    expect(await giveBack(order, book)).toEqual(first)
    expect(proxy.calls).toEqual(['eth_getTransactionReceipt'])
    const stranger = privateKeyToAccount(generatePrivateKey())
    const seller = sell({ recipient: stranger.address, refund: { account: stranger } })
    expect(await giveBack({ ...order, seller }, book)).toEqual(first)
  })

  test('two instances at once, and eight calls of one', async () => {
    const order = await paid()
    const other = { ...order, seller: sell() }
    const gain = await gained(async () => {
      const all = await Promise.all(
        Array.from({ length: 8 }, (_, i) => giveBack(i % 2 === 0 ? order : other)),
      )
      expect(new Set(all.map(({ reference }) => reference)).size).toBe(1)
    })
    expect(gain).toBe(units)
  })

  test('two instances at once whose transactions differ: the chain mines one of them, and both say which', async () => {
    const order = await paid()
    const dear = { ...order, seller: sell({ refund: { account: shop, maxFee: '0.06' } }) }
    const books: [Book, Book] = [{}, {}]
    const gain = await gained(async () => {
      const [one, two] = await Promise.all([giveBack(order, books[0]), giveBack(dear, books[1])])
      expect(one).toEqual(two)
    })
    expect(noteOf(books[0]).hash).not.toBe(noteOf(books[1]).hash)
    expect(gain).toBe(units)
    await chain.rpc('anvil_dropAllTransactions')
  })

  test('killed between note and send: the next one makes the same transaction', async () => {
    const order = await paid()
    const book: Book = {}
    // Ten seconds later, on the other side of a step, the end of a new one would be another.
    const begun = Math.ceil(now() / 30) * 30
    proxy.fault = (method) => (sending(method) ? 'reset' : 'pass')
    const killed = giveBack(order, book, { now: () => begun * 1000 })
    expect(await gained(() => doubt(killed))).toBe(0n)
    const first = noteOf(book)
    proxy.fault = () => 'pass'
    const notes: string[] = []
    const gain = await gained(async () => {
      const back = await giveBack(order, book, {
        now: () => (begun + 10) * 1000,
        note: async (text) => void notes.push(text),
      })
      expect(back.reference).toBe(first.hash)
    })
    expect(notes).toEqual([])
    expect(gain).toBe(units)
  })

  test('shortly before its end it is not sent again, for it may be under way', async () => {
    const order = await paid()
    const book: Book = {}
    await heldBack(() => giveBack(order, book))
    const { validBefore } = noteOf(book)
    proxy.calls.length = 0
    await doubt(giveBack(order, book, { now: () => (validBefore - 4) * 1000 }))
    expect(sent()).toBe(0)
    expect(noteOf(book).validBefore).toBe(validBefore)
  })

  test('killed after it was sent: it is found', async () => {
    const order = await paid()
    const book: Book = {}
    let dead = false
    proxy.fault = (method) => {
      if (dead) return 'reset'
      dead = sending(method)
      return dead ? 'reset-after' : 'pass'
    }
    expect(await gained(() => doubt(giveBack(order, book)))).toBe(units)
    proxy.fault = () => 'pass'
    proxy.calls.length = 0
    const gain = await gained(async () => {
      expect((await giveBack(order, book)).reference).toBe(noteOf(book).hash)
      expect((await giveBack(order)).reference).toBe(noteOf(book).hash)
    })
    expect(gain).toBe(0n)
    expect(sent()).toBe(0)
  })

  test('stalls after its note while another one takes over, then sends: one of them is mined', async () => {
    const order = await paid()
    // What the first would have sent, had it not stalled.
    const book: Book = {}
    const bytes = await heldBack(() => giveBack(order, book))
    const stalled = noteOf(book)
    // Two minutes later it can no longer be mined: a new one is made, in the same place.
    const after = Math.max(stalled.validBefore, now()) + 120
    proxy.fault = clockAt(after)
    const clock = { now: () => (now() + 45) * 1000 }
    const back = await giveBack(order, book, clock)
    proxy.fault = () => 'pass'
    expect(back.reference).not.toBe(stalled.hash)
    expect(noteOf(book)).toMatchObject({ key: stalled.key, nonce: 0, hash: back.reference })
    const gain = await gained(async () => {
      // For this chain it has not expired, whatever we made the other one believe.
      await chain.rpc('eth_sendRawTransaction', [bytes])
      await chain.mine()
    })
    expect(await chain.rpc('eth_getTransactionReceipt', [stalled.hash])).toBeNull()
    expect(gain).toBe(0n)
    expect(await giveBack(order)).toEqual(back)
    await chain.rpc('anvil_dropAllTransactions')
  })

  test('stalls, and sends while the other one is about to: the other one finds it', async () => {
    const order = await paid()
    const book: Book = {}
    const bytes = await heldBack(() => giveBack(order, book))
    const first = noteOf(book).hash
    // Without the note: the record was lost, or another server shares the account.
    const gain = await gained(async () => {
      const back = await giveBack(
        order,
        {},
        {
          note: async () => void (await chain.rpc('eth_sendRawTransactionSync', [bytes])),
          now: () => Date.now() + 45_000,
        },
      )
      expect(back.reference).toBe(first)
    })
    expect(gain).toBe(units)
    await chain.rpc('anvil_dropAllTransactions')
  })

  test('one that was reverted is made again, in the next place; then never again', async () => {
    const order = await paid()
    const book: Book = {}
    // The money is there when it is looked at, and gone when it is sent.
    const away = privateKeyToAccount(generatePrivateKey()).address
    const emptied = async (text: string) => {
      book.note = text
      const amount = (await chain.balance(shop.address)) - 1_200_000n
      await chain.rpc('eth_sendRawTransactionSync', [
        await sign(shop, { calls: transfers([{ recipient: hex(away), amount }]) }),
      ])
    }
    const nothing = await gained(async () => {
      expect((await doubt(giveBack(order, book, { note: emptied }))).message).toMatch(/reverted/)
      expect((await doubt(giveBack(order, book))).message).toMatch(/top it up/)
    })
    expect(nothing).toBe(0n)
    expect(await order.seller.find(book.note!, new Till(order.seller).context(order.made))).toBe('not-moved')
    await chain.fund(shop.address, 5_000_000n)
    const gain = await gained(async () => {
      const back = await giveBack(order, book)
      expect(noteOf(book)).toMatchObject({ nonce: 1, hash: back.reference })
      expect(await giveBack(order)).toEqual(back)
      expect(await giveBack(order, book)).toEqual(back)
    })
    expect(gain).toBe(units)
  })

  test('another id is told that the payment has gone back', async () => {
    const order = await paid()
    const { reference } = await giveBack(order)
    const gain = await gained(async () => {
      expect(await refusal(giveBack(order, {}, { id: 'quote-2' }))).toEqual({
        code: 'verification-failed',
        detail: `Transaction ${reference} has returned this payment already.`,
      })
      await refusal(giveBack(forgotten(order), {}, { id: 'quote-2' }))
    })
    expect(gain).toBe(0n)
  })

  test('two payments of one transaction are two', async () => {
    const seller = sell()
    const [one, two] = [await offer(seller, price), await offer(seller, price)]
    const calls = transfers([honest(one), honest(two)])
    const mined = await chain.rpc('eth_sendRawTransactionSync', [await sign(buyer, { calls })])
    const orderOf = async (made: Offer): Promise<Order> => {
      const { receipt } = await new Till(seller).admit(made, {
        payload: { type: 'hash', hash: mined.transactionHash },
      })
      return { seller, made, receipt }
    }
    const orders = [await orderOf(one), await orderOf(two)]
    const gain = await gained(async () => {
      for (const [i, order] of orders.entries()) {
        const first = await giveBack(order, {}, { id: `quote-${i}` })
        expect(await giveBack(forgotten(order), {}, { id: `quote-${i}` })).toEqual(first)
      }
    })
    expect(gain).toBe(2n * units)
  })
})

/** The bytes that it would have sent; it believes that the node was away. */
async function heldBack(work: () => Promise<unknown>): Promise<string> {
  let bytes = ''
  proxy.fault = (method, [raw]) => {
    if (!sending(method)) return 'pass'
    bytes = raw as string
    return 'reset'
  }
  await doubt(work())
  proxy.fault = () => 'pass'
  return bytes
}

describe('another account in the options', () => {
  test('waits while the first one’s transaction may be mined, and finds it', async () => {
    const order = await paid()
    const other = privateKeyToAccount(generatePrivateKey())
    await chain.fund(other.address, 5_000_000n)
    const seller = sell({ refund: { account: other, recipients: [shop.address] } })
    const book: Book = {}
    const bytes = await heldBack(() => giveBack(order, book))
    const { hash } = noteOf(book)
    expect(await gained(() => doubt(giveBack({ ...order, seller }, book)))).toBe(0n)
    expect(noteOf(book).hash).toBe(hash)
    // Mined after all.
    await chain.rpc('eth_sendRawTransactionSync', [bytes])
    expect((await giveBack({ ...order, seller }, { ...book })).reference).toBe(hash)
  })

  test('finds what another process has returned in the lane of the first one', async () => {
    const order = await paid()
    const other = privateKeyToAccount(generatePrivateKey())
    await chain.fund(other.address, 5_000_000n)
    const book: Book = {}
    await heldBack(() => giveBack(order, book))
    const first = await giveBack({ ...order, seller: sell({ refund: { account: shop, maxFee: '0.06' } }) })
    expect(first.reference).not.toBe(noteOf(book).hash)
    const seller = sell({ refund: { account: other, recipients: [shop.address] } })
    proxy.fault = clockAt(noteOf(book).validBefore + 60)
    const gain = await gained(async () => {
      expect(await giveBack({ ...order, seller }, book)).toEqual(first)
    })
    expect(gain).toBe(0n)
  })

  // Last in this file: the time of the chain passes.
  test('is paid from once the first one’s transaction has lost its validity, by the clock of the chain', async () => {
    const order = await paid()
    const other = privateKeyToAccount(generatePrivateKey())
    await chain.fund(other.address, 5_000_000n)
    const seller = sell({ refund: { account: other, recipients: [shop.address] } })
    const book: Book = {}
    const bytes = await heldBack(() => giveBack(order, book))
    const { validBefore } = noteOf(book)
    // By our clock it is over, by that of the chain it is not.
    await doubt(giveBack({ ...order, seller }, book, { now: () => (validBefore + 60) * 1000 }))
    await chain.rpc('evm_increaseTime', [validBefore - now() + 5])
    await chain.mine()
    const gain = await gained(async () => {
      const back = await giveBack({ ...order, seller }, book)
      expect(noteOf(book)).toMatchObject({ account: other.address.toLowerCase(), hash: back.reference })
      await expect(chain.rpc('eth_sendRawTransaction', [bytes])).rejects.toThrow(/valid_before/)
    })
    expect(gain).toBe(units)
  })
})
