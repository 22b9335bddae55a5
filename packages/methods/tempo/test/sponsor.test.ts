import { generatePrivateKey, privateKeyToAccount } from 'viem/accounts'
import { Account } from 'viem/tempo'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import * as HexLib from 'ox/Hex'
import { startTempo, type LocalTempo } from '../../../testing/src/anvil.ts'
import type { SigningAccount } from '../src/lib/account.ts'
import type { Hex } from '../src/lib/address.ts'
import { openTransaction } from '../src/lib/envelope.ts'
import { heavy } from '../src/lib/heavy.ts'
import { tempo as buyers } from '../src/client.ts'
import { tempo as sellers } from '../src/server.ts'
import { createSponsor, type Sponsor } from '../src/lib/sponsor.ts'
import {
  authorizations,
  expiring,
  honest,
  open,
  sign,
  transaction,
  transfers,
  usdCall,
  type Draft,
} from './craft.ts'
import {
  alphaUsd,
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
  type Terms,
} from './harness.ts'

let chain: LocalTempo
let proxy: Proxy
let merchant: Hex
let other: Hex
const purse = privateKeyToAccount(generatePrivateKey())
const purseAddress = hex(purse.address.toLowerCase())

beforeAll(async () => {
  chain = await startTempo()
  proxy = await startProxy(chain.url)
  ;[, merchant, other] = chain.accounts.map(({ address }) => hex(address)) as [Hex, Hex, Hex]
  await chain.fund(purseAddress, 1_000_000_000n)
  await chain.fund(purseAddress, 1_000_000_000n, alphaUsd)
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
  await chain.rpc('anvil_setNextBlockBaseFeePerGas', ['0x4a817c800'])
  proxy.calls.length = 0
})
afterEach(() => {
  proxy.fault = () => 'pass'
})

const buy = (over: object = {}) => buyers.charge({ account, chainId: 1337, rpcUrl: proxy.url, ...over })
const now = () => Math.floor(Date.now() / 1000)

async function shop(terms: Terms = { amount: '0.01' }, sponsor: Partial<Sponsor> = {}, over: object = {}) {
  const feePayer = { account: purse, ...sponsor }
  const seller = sellers.charge({
    recipient: merchant,
    chainId: 1337,
    rpcUrl: proxy.url,
    rpcTimeout: 3000,
    feePayer,
    ...over,
  })
  return { till: new Till(seller), made: await offer(seller, terms) }
}

/** Signs as a buyer that leaves its fee to the server. */
const leave = (over: Draft) => sign(account, { feePayerSignature: null, gas: 400_000n, ...over })
const sent = () => proxy.calls.filter((method) => method.startsWith('eth_send')).length

describe('an honest buyer', () => {
  test('TC-022 TC-058 TC-059 TC-060 TC-066 pays the price and no fee', async () => {
    const { till, made } = await shop()
    const before = await chain.balance(purseAddress)
    const credential = await pay(buy(), made)
    const signed = credential.payload['signature'] as Hex
    const { Envelope } = await heavy()
    const envelope = open(signed)
    // The two fields on the wire: an empty fee token, and the placeholder that the sponsor's signature will take.
    const { from: _, signature, ...rest } = envelope
    expect(signed.startsWith('0x76')).toBe(true)
    expect(envelope.feePayerSignature).toBeNull()
    expect(envelope.feeToken).toBeUndefined()
    expect(Envelope.serialize(rest, { signature: signature!, feePayerSignature: null })).toBe(signed)

    const { receipt, payer: proven, parsed, notes } = await till.admit(made, credential)
    expect(proven).toBe(payer)
    expect(await chain.balance(payer)).toBe(10_000_000n - 10_000n)
    expect(await chain.balance(purseAddress)).toBeLessThan(before)
    expect(parsed.note).toBeUndefined()
    expect(JSON.parse(notes[0]!)).toEqual({ hashes: [receipt.reference], validBefore: envelope.validBefore })
    expect(await till.seller.find(notes[0]!, till.context(made))).toEqual(receipt)
    expect(
      await buy().find!(credential.prepared, { now: Date.now, signal: new AbortController().signal }),
    ).toBe('moved')
  })

  test('costs two calls of the server, and the buyer one, then none', async () => {
    const { till, made } = await shop()
    const buyer = buy()
    await till.admit(made, await pay(buyer, made))
    expect(proxy.calls).toEqual(['eth_simulateV1', 'eth_simulateV1', 'eth_sendRawTransactionSync'])
    proxy.calls.length = 0
    const again = await offer(till.seller, { amount: '0.01' })
    await till.admit(again, await pay(buyer, again))
    expect(proxy.calls).toEqual(['eth_simulateV1', 'eth_sendRawTransactionSync'])
  })

  test('TC-090 pays ten splits to accounts that never held the token', async () => {
    const splits = Array.from({ length: 10 }, () => ({
      amount: '0.0001',
      recipient: privateKeyToAccount(generatePrivateKey()).address,
      memo: `0x${'ab'.repeat(32)}`,
    }))
    const { till, made } = await shop({ amount: '0.01', splits })
    await till.admit(made, await pay(buy(), made))
    for (const { recipient } of splits) expect(await chain.balance(recipient)).toBe(100n)
  })

  test('TC-059 TC-064 the sponsor chooses the token of its fee', async () => {
    const { till, made } = await shop({ amount: '0.01' }, { feeToken: alphaUsd })
    const before = await chain.balance(purseAddress, alphaUsd)
    await till.admit(made, await pay(buy(), made))
    expect(await chain.balance(purseAddress, alphaUsd)).toBeLessThan(before)
  })

  test('needs no money but the price', async () => {
    account = privateKeyToAccount(generatePrivateKey())
    await chain.fund(account.address, 10_000n)
    const { till, made } = await shop()
    await till.admit(made, await pay(buy(), made))
    expect(await chain.balance(account.address)).toBe(0n)
  })

  test('pays its own fee where a price is not sponsored', async () => {
    const { till, made } = await shop({ amount: '0.01', feePayer: false })
    await till.admit(made, await pay(buy(), made))
    expect(await chain.balance(payer)).toBeLessThan(10_000_000n - 10_000n)
  })

  test('TC-068 pulls', async () => {
    const { made } = await shop()
    expect((await refusal(pay(buy({ mode: 'push' }), made))).code).toBe('invalid-challenge')
  })

  test.each([
    ['secp256k1 key', () => Account.fromSecp256k1(generatePrivateKey())],
    ['P-256 key', () => Account.fromP256(generatePrivateKey())],
    [
      'passkey',
      () =>
        Account.fromHeadlessWebAuthn(generatePrivateKey(), { rpId: 'localhost', origin: 'http://localhost' }),
    ],
  ])('may have a %s', async (_, make) => {
    account = make()
    await chain.fund(account.address, 10_000n)
    const { till, made } = await shop()
    expect((await till.admit(made, await pay(buy(), made))).payer).toBe(account.address.toLowerCase())
  })

  test('is served by a node that cannot simulate several calls', async () => {
    proxy.fault = (method) =>
      method === 'eth_simulateV1' ? { error: { code: -32601, message: 'Method not found' } } : 'pass'
    const { till, made } = await shop()
    await till.admit(made, await pay(buy(), made))
    expect(proxy.calls.filter((method) => method === 'eth_call')).toHaveLength(2)
    const poor = await offer(till.seller, { amount: '11' })
    expect(
      (await refusal(till.admit(poor, transaction(await leave({ calls: transfers([honest(poor)]) })))))
        .detail,
    ).toMatch(/would fail/)
  })
})

describe('does not pay for', () => {
  /** Nothing is signed by the sponsor, nothing is sent, and it loses nothing. */
  async function refused(
    make: (made: Offer) => Draft | Promise<Draft>,
    terms?: Terms,
    sponsor?: Partial<Sponsor>,
  ): Promise<string> {
    let signatures = 0
    const counting = { address: purse.address, sign: (it: { hash: Hex }) => (signatures++, purse.sign(it)) }
    const { till, made } = await shop(terms, { account: counting, ...sponsor })
    const before = await chain.balance(purseAddress)
    const { code, detail } = await refusal(till.admit(made, transaction(await leave(await make(made)))))
    expect(code).toMatch(/verification-failed|malformed-credential/)
    expect(await chain.balance(purseAddress)).toBe(before)
    expect(signatures).toBe(0)
    expect(sent()).toBe(0)
    return detail
  }
  const calls = (made: Offer) => transfers([honest(made)])

  test('A-15 a tip', async () => {
    const tip = 50_000_000_000_000n
    expect(
      await refused((made) => ({
        calls: calls(made),
        maxFeePerGas: tip + 10n ** 10n,
        maxPriorityFeePerGas: tip,
      })),
    ).toMatch(/gas price/)
    expect(await refused((made) => ({ calls: calls(made), maxPriorityFeePerGas: 10_000_000_001n }))).toMatch(
      /gas price/,
    )
    expect(await refused((made) => ({ calls: calls(made), maxFeePerGas: 100_000_000_001n }))).toMatch(
      /gas price/,
    )
    expect(await refused((made) => ({ calls: calls(made), maxFeePerGas: 0n }))).toMatch(/gas price/)
  })

  test('A-16 other calls', async () => {
    const approve = (made: Offer) => ({
      to: hex(usd),
      data: hex(calls(made)[0]!.data.replace('95777d59', '095ea7b3').slice(0, 138)),
    })
    expect(
      await refused((made) => ({
        calls: [...calls(made), ...Array.from({ length: 40 }, () => approve(made))],
        gas: 20_000_000n,
      })),
    ).toMatch(/something else/)
    expect(await refused((made) => ({ calls: [...calls(made), usdCall(payer, 1n)] }))).toMatch(
      /not the ones that were asked for/,
    )
  })

  test('A-16 the purchase of the currency', async () => {
    const word = (value: string | bigint) =>
      (typeof value === 'bigint' ? value.toString(16) : value.slice(2)).padStart(64, '0')
    const exchange = hex('0xdec0000000000000000000000000000000000000')
    const swap = [
      { to: hex(alphaUsd), data: hex(`0x095ea7b3${word(exchange)}${word(12_000n)}`) },
      { to: exchange, data: hex(`0xf0122b75${word(alphaUsd)}${word(usd)}${word(10_000n)}${word(12_000n)}`) },
    ]
    expect(await refused((made) => ({ calls: [...swap, ...calls(made)] }))).toMatch(/something else/)
  })

  test('A-17 the registration of a key', async () => {
    const root = Account.fromSecp256k1(generatePrivateKey())
    account = root
    await chain.fund(root.address, 1_000_000n)
    const key = Account.fromSecp256k1(generatePrivateKey(), { access: root })
    const keyAuthorization = await root.signKeyAuthorization(key, {
      chainId: 1337n,
      expiry: now() + 3600,
    } as never)
    expect(await refused((made) => ({ calls: calls(made), keyAuthorization }) as never)).toMatch(
      /more than pay/,
    )
  })

  test('A-18 an access list', async () => {
    const accessList = Array.from({ length: 200 }, (_, i) => ({
      address: hex(`0x${(i + 1).toString(16).padStart(40, '7')}`),
      storageKeys: [hex(`0x${'00'.repeat(32)}`)],
    }))
    for (const length of [50, 1])
      expect(
        await refused((made) => ({ calls: calls(made), accessList: accessList.slice(0, length) })),
      ).toMatch(/more than pay/)
  })

  test('A-19 an authorization list', async () => {
    const authorizationList = await authorizations(account, other)
    expect(await refused((made) => ({ calls: calls(made), authorizationList }))).toMatch(/more than pay/)
  })

  test('A-20 a nonce lane of its own', async () => {
    expect(await refused((made) => ({ calls: calls(made), nonceKey: 123_456n, nonce: 0n }))).toMatch(/nonce/)
    expect(await refused((made) => ({ calls: calls(made), nonceKey: 0n, nonce: 0n }))).toMatch(/nonce/)
  })

  test('A-21 gas that locks the purse', async () => {
    expect(await refused((made) => ({ calls: calls(made), gas: 1_300_001n }))).toMatch(/gas limit/)
    expect(await refused((made) => ({ calls: calls(made), gas: 0n }))).toMatch(/gas limit/)
    // Each within its limit, their product not.
    expect(
      await refused((made) => ({ calls: calls(made), gas: 1_300_000n, maxFeePerGas: 100_000_000_000n })),
    ).toMatch(/fee could become too high/)
    expect(
      await refused(
        (made) => ({ calls: calls(made), gas: 400_000n, maxFeePerGas: 45_000_000_000n }),
        undefined,
        { maxFee: '0.001' },
      ),
    ).toMatch(/fee could/)
    expect(
      await refused((made) => ({ calls: calls(made), gas: 400_000n }), undefined, { maxGas: 399_999n }),
    ).toMatch(/gas limit/)
  })

  test('A-21 gas that does not suffice, though the transfers would go through', async () => {
    for (const gas of [45_000n, 60_000n])
      expect(await refused((made) => ({ calls: calls(made), gas }))).toMatch(/gas limit is too low/)
    // An account that never held the token costs more.
    const fresh = () => hex(privateKeyToAccount(generatePrivateKey()).address.toLowerCase())
    const recipient = fresh()
    expect(
      await refused((made) => ({ calls: calls(made), gas: 300_000n }), { amount: '0.01', recipient }),
    ).toMatch(/gas limit is too low/)
    const splits = Array.from({ length: 10 }, () => ({ amount: '0.0001', recipient: fresh() }))
    const legs = (made: Offer) => [
      honest(made, { amount: 9_000n }),
      ...splits.map((split) => ({ recipient: split.recipient, amount: 100n })),
    ]
    expect(
      await refused((made) => ({ calls: transfers(legs(made)), gas: 2_600_000n }), {
        amount: '0.01',
        splits,
      }),
    ).toMatch(/gas limit is too low/)
  })

  test('A-21 gas that does not suffice, where the node does not say how much it takes', async () => {
    proxy.fault = (method) =>
      method === 'eth_simulateV1' ? { error: { code: -32601, message: 'Method not found' } } : 'pass'
    expect(await refused((made) => ({ calls: calls(made), gas: 399_999n }))).toMatch(/gas limit is too low/)
  })

  test('A-22 an access key that may not spend that much, or not everywhere', async () => {
    const root = Account.fromSecp256k1(generatePrivateKey())
    await chain.fund(root.address, 20_000_000n)
    const keyed = async (limits: object) => {
      const key = Account.fromSecp256k1(generatePrivateKey(), { access: root })
      const keyAuthorization = await root.signKeyAuthorization(
        key as never,
        { chainId: 1337n, expiry: now() + 3600, ...limits } as never,
      )
      const { status } = await chain.rpc('eth_sendRawTransactionSync', [
        await sign(root, { calls: [usdCall(merchant, 1n)], keyAuthorization, gas: 8_000_000n } as never),
      ])
      expect(status).toBe('0x1')
      account = key as unknown as SigningAccount
    }
    await keyed({ limits: [{ token: usd, limit: 9_999n }] })
    expect(await refused((made) => ({ calls: calls(made) }))).toMatch(/access key may not spend/)
    await keyed({ limits: [{ token: usd, limit: 1_000_000n }], scopes: [{ address: alphaUsd }] })
    expect(await refused((made) => ({ calls: calls(made) }))).toMatch(/access key may not spend/)
    for (const limits of [{ limits: [{ token: usd, limit: 10_000n }] }, {}]) {
      await keyed(limits)
      const { till, made } = await shop()
      await till.admit(made, transaction(await leave({ calls: calls(made) })))
    }
  })

  test('A-13 windows that are over, too long, or not begun', async () => {
    await refused((made) => ({ calls: calls(made), validBefore: now() - 1 }))
    await refused((made) => ({ calls: calls(made), validBefore: now() + 60 }))
    await refused((made) => ({ calls: calls(made), validBefore: undefined }))
    await refused((made) => ({ calls: calls(made), validAfter: now() + 20, validBefore: now() + 30 }))
  })

  test('A-01 A-02 A-03 what is not the payment', async () => {
    await refused((made) => ({ calls: transfers([honest(made, { amount: 9_999n })]) }))
    await refused((made) => ({ calls: transfers([honest(made, { recipient: other })]) }))
    await refused((made) => ({ calls: transfers([honest(made)], alphaUsd) }))
  })

  test('A-22 transfers that would fail', async () => {
    expect(await refused((made) => ({ calls: calls(made) }), { amount: '11' })).toMatch(/would fail/)
    // Each leg could be paid, both cannot.
    const splits = [{ amount: '5.5', recipient: other }]
    expect(
      await refused(
        (made) => ({
          calls: transfers([honest(made, { amount: 5_500_000n }), { recipient: other, amount: 5_500_000n }]),
        }),
        { amount: '11', splits },
      ),
    ).toMatch(/would fail/)
  })

  test('A-23 a transaction that chooses its fee token, in either form', async () => {
    const { Envelope, Signatures } = await heavy()
    const { till, made } = await shop()
    const envelope = { ...open(await leave({ calls: calls(made) })), feeToken: hex(usd) }
    // The sender's signature does not cover the token, so that anybody could have written it there.
    const named = Envelope.serialize(envelope, { format: 'feePayer', sender: payer })
    expect((await refusal(till.admit(made, transaction(named)))).detail).toMatch(/fee token/)
    expect(Signatures.from(envelope.signature!)).toBeDefined()
    // In the other form it has no place: what carries it is not canonical.
    const rlp = await import('ox/Rlp')
    const fields = rlp.toHex(HexLib.slice(await leave({ calls: calls(made) }), 1)) as Hex[]
    fields[10] = hex(usd)
    const forged = HexLib.concat('0x76', rlp.fromHex(fields))
    expect((await refusal(till.admit(made, transaction(forged)))).code).toBe('malformed-credential')
    // Its own fee payer, its own fee.
    expect(
      (await refusal(till.admit(made, transaction(await sign(account, { calls: calls(made) }))))).detail,
    ).toMatch(/leave its fee/)
  })

  test('A-23 TC-060 anything that was altered after its sender signed', async () => {
    const { Envelope } = await heavy()
    const { till, made } = await shop()
    const envelope = open(await leave({ calls: calls(made) }))
    for (const over of [
      { gas: 500_000n },
      { maxFeePerGas: 44_000_000_000n },
      { validBefore: envelope.validBefore! - 1 },
    ]) {
      // The signature now recovers to a stranger, who has nothing.
      const altered = Envelope.serialize({ ...envelope, ...over })
      const source = `did:pkh:eip155:1337:${payer}`
      expect((await refusal(till.admit(made, { ...transaction(altered), source }))).code).toBe(
        'verification-failed',
      )
      const again = await offer(till.seller, { amount: '0.01' })
      const unnamed = Envelope.serialize({ ...open(await leave({ calls: calls(again) })), ...over })
      expect((await refusal(till.admit(again, transaction(unnamed)))).detail).toMatch(/would fail/)
    }
    expect(sent()).toBe(0)
  })

  test('A-14 a sender who did not sign', async () => {
    const { Envelope } = await heavy()
    const { till, made } = await shop()
    const envelope = open(await leave({ calls: calls(made) }))
    const victim = hex(chain.accounts[5]!.address)
    const forged = Envelope.serialize(envelope, { format: 'feePayer', sender: victim })
    expect((await refusal(till.admit(made, transaction(forged)))).detail).toMatch(/did not sign/)
  })
})

describe('the sponsor alone turns down', () => {
  const { check } = createSponsor({ account: purse }, 1337)
  const judge = async (over: Draft): Promise<string> => {
    const calls = [usdCall(merchant, 10_000n)]
    const signed = await openTransaction(await leave({ calls, ...over }))
    return (await refusal(Promise.resolve().then(() => check(signed, 1, now())))).detail
  }

  test('A-16 more calls', async () => {
    expect(await judge({ calls: [usdCall(merchant, 10_000n), usdCall(payer, 1n)] })).toMatch(/other calls/)
  })

  test('A-18 an access list', async () => {
    expect(await judge({ accessList: [{ address: other, storageKeys: [] }] })).toMatch(/more than pay/)
  })

  test('A-19 an authorization list', async () => {
    expect(await judge({ authorizationList: await authorizations(account, other) })).toMatch(/more than pay/)
  })

  test('A-23 a transaction that pays its own fee', async () => {
    const signed = await openTransaction(
      await sign(account, { calls: [usdCall(merchant, 10_000n)], gas: 400_000n, feeToken: undefined }),
    )
    expect(() => check(signed, 1, now())).toThrow(/fee payer to the server/)
  })
})

describe('A-22 payments that fail at the cost of the sponsor', () => {
  /** Passes the rehearsal, fails on the chain: the money moves away in between. */
  async function fail(till: Till, made: Offer, died = false): Promise<void> {
    const signed = transaction(await leave({ calls: transfers([honest(made)]) }))
    const parsed = await till.parse(made, signed.payload)
    await till.seller.verify(parsed, till.context(made))
    const away = await chain.balance(payer)
    const rest = 30_000n
    await chain.rpc('eth_sendRawTransactionSync', [
      await sign(account, {
        calls: [usdCall(other, away - rest)],
        gas: 400_000n,
        maxFeePerGas: 41_000_000_000n,
      }),
    ])
    const notes: string[] = []
    // Whether it lives to see the end, or dies while it waits and looks later.
    if (died)
      proxy.fault = (method) =>
        notes.length > 0 && method !== 'eth_sendRawTransactionSync' ? 'reset' : 'reset-after'
    const end = till.seller.settle(parsed, till.noted(made, notes))
    const message = died ? (await doubt(end)).message : (await refusal(end)).detail
    expect(message).toMatch(died ? /could not be reached/ : /reverted/)
    proxy.fault = () => 'pass'
    if (died) expect(await till.seller.find(notes[0]!, till.context(made))).toBe('not-moved')
    await chain.fund(payer, 10_000_000n)
  }

  test('TC-092 are counted for each sender, who then has to pay its own fees', async () => {
    const { till } = await shop({ amount: '5' }, { maxFailures: 2 })
    for (const died of [false, true]) await fail(till, await offer(till.seller, { amount: '5' }), died)
    const made = await offer(till.seller, { amount: '0.01' })
    const credential = await pay(buy(), made)
    expect((await refusal(till.admit(made, credential))).detail).toMatch(/pay the fee yourself/)
    // Somebody else is served, and so is the sender at its own cost.
    const own = await offer(till.seller, { amount: '0.01', feePayer: false })
    await till.admit(own, await pay(buy(), own))
    account = privateKeyToAccount(generatePrivateKey())
    await chain.fund(account.address, 10_000n)
    await till.admit(made, await pay(buy(), made))
  })

  test('A-22 until all senders together have cost what may be lost in an hour', async () => {
    const { till } = await shop({ amount: '5' }, { maxLossPerHour: '0.0001' })
    await fail(till, await offer(till.seller, { amount: '5' }))
    account = privateKeyToAccount(generatePrivateKey())
    await chain.fund(account.address, 20_000n)
    const made = await offer(till.seller, { amount: '0.01' })
    const before = sent()
    expect((await doubt(till.admit(made, await pay(buy(), made)))).message).toMatch(/maxLossPerHour/)
    expect(sent()).toBe(before)
  })

  test('A-22 more payments of one sender at once than it may have under way', async () => {
    // The fee that was set holds from the next block on; the buyer looks at the last one.
    await chain.mine()
    const { till } = await shop({ amount: '0.01' }, { maxFailures: 16 })
    const buyer = buy()
    const ready = []
    for (let i = 0; i < 17; i++) {
      const made = await offer(till.seller, { amount: '0.01' })
      const credential = await pay(buyer, made)
      const parsed = await till.parse(made, credential.payload)
      await till.seller.verify(parsed, till.context(made))
      ready.push({ made, parsed })
    }
    const last = ready.pop()!
    const settle = ({ made, parsed }: typeof last, notes: string[] = []) =>
      till.seller.settle(parsed, till.noted(made, notes))
    let release = () => {}
    const held = new Promise<void>((resolve) => (release = resolve))
    const running = ready.map(({ made, parsed }) =>
      till.seller.settle(parsed, { ...till.noted(made, []), note: () => held }),
    )
    const notes: string[] = []
    expect((await doubt(settle(last, notes))).message).toMatch(/too many/)
    expect(notes).toEqual([])
    // Whatever becomes of the others, then it may.
    proxy.fault = () => 'reset'
    release()
    await Promise.allSettled(running)
    proxy.fault = () => 'pass'
    await settle(last)
  })
})

describe('its own purse', () => {
  test('TC-063 TC-094 when it is short the buyer is not asked to pay again', async () => {
    const poor = privateKeyToAccount(generatePrivateKey())
    await chain.fund(poor.address, 100n)
    const { till, made } = await shop({ amount: '0.01' }, { account: poor })
    const credential = await pay(buy(), made)
    expect((await doubt(till.admit(made, credential))).message).toMatch(/holds too little/)
    expect(sent()).toBe(0)
    await chain.fund(poor.address, 1_000_000n)
    till.claims.clear()
    await till.admit(made, credential)
  })

  test('when it is no longer configured nothing is refused for good', async () => {
    const { made } = await shop()
    const credential = await pay(buy(), made)
    const seller = sellers.charge({ recipient: merchant, chainId: 1337, rpcUrl: proxy.url })
    expect((await doubt(new Till(seller).admit(made, credential))).message).toMatch(/none is configured/)
  })
})

describe('a second instance', () => {
  const prepare = async (sponsor: Partial<Sponsor> = {}) => {
    const { till, made } = await shop({ amount: '0.01' }, sponsor)
    const credential = await pay(buy(), made)
    const parsed = await till.parse(made, credential.payload)
    await till.seller.verify(parsed, till.context(made))
    return { till, made, credential, parsed }
  }

  test('A-07 signs the same bytes, so that its hash is the one that was noted', async () => {
    const { till, made, parsed } = await prepare()
    const [first, second]: [string[], string[]] = [[], []]
    const receipt = await till.seller.settle(parsed, till.noted(made, first))
    expect(await till.seller.settle(parsed, till.noted(made, second))).toEqual(receipt)
    expect(second).toEqual(first)
  })

  test('writes its note before it sends', async () => {
    const { till, made, parsed } = await prepare()
    const noted = {
      ...till.noted(made, []),
      note: async () => Promise.reject(new Error('the lease is lost')),
    }
    proxy.calls.length = 0
    expect((await doubt(till.seller.settle(parsed, noted))).message).toMatch(/lease/)
    expect(proxy.calls).toEqual([])
  })

  test('A-07 with another purse finds what the first one has sent', async () => {
    const { till, made, credential, parsed } = await prepare()
    const notes: string[] = []
    const receipt = await till.seller.settle(parsed, till.noted(made, notes))
    const before = await chain.balance(merchant)
    const another = await shop({ amount: '0.01' }, { feeToken: alphaUsd })
    const again = await another.till.parse(made, credential.payload)
    const later: string[] = []
    expect(
      await another.till.seller.settle(again, another.till.noted(made, later, undefined, notes[0])),
    ).toEqual(receipt)
    expect(JSON.parse(later[0]!).hashes).toHaveLength(2)
    expect(await chain.balance(merchant)).toBe(before)
    expect(await another.till.seller.find(later[0]!, another.till.context(made))).toEqual(receipt)
    expect(sent()).toBe(1)
  })

  test('signs nothing when it is too late, and says that nothing has moved once the chain says so', async () => {
    const { till, made, parsed } = await prepare()
    till.now = () => Date.now() + 40_000
    proxy.calls.length = 0
    const notes: string[] = []
    await doubt(till.seller.settle(parsed, till.noted(made, notes)))
    expect(sent()).toBe(0)
    proxy.fault = clockAt(now() + 40)
    expect((await refusal(till.seller.settle(parsed, till.noted(made, [])))).detail).toMatch(
      /can no longer be/,
    )
    expect(await till.seller.find(notes[0]!, till.context(made))).toBe('not-moved')
    expect(sent()).toBe(0)
  })
})

test('an expiring nonce executes once, whoever sponsors it', async () => {
  const { till, made } = await shop()
  const credential = await pay(buy(), made)
  expect(open(credential.payload['signature'] as string).nonceKey).toBe(expiring)
  const another = await shop({ amount: '0.01' }, { feeToken: alphaUsd })
  const before = await chain.balance(merchant)
  await till.admit(made, credential)
  const parsed = await another.till.parse(made, credential.payload)
  proxy.fault = (method) =>
    method === 'eth_sendRawTransactionSync'
      ? { error: { code: -32003, message: 'expiring nonce replay' } }
      : 'pass'
  await doubt(another.till.seller.settle(parsed, another.till.noted(made, [])))
  expect(await chain.balance(merchant)).toBe(before + 10_000n)
})
