import { generatePrivateKey, privateKeyToAccount } from 'viem/accounts'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { startTempo, type LocalTempo } from '../../../testing/src/anvil.ts'
import type { SigningAccount } from '../src/lib/account.ts'
import type { Hex } from '../src/lib/address.ts'
import { keccak256 } from '../src/lib/keccak.ts'
import { tempo as buyers } from '../src/client.ts'
import { tempo as sellers } from '../src/server.ts'
import {
  authorizations,
  draft,
  expiring,
  honest,
  isMemoFor,
  memoFor,
  open,
  sign,
  transaction,
  transfers,
  type Draft,
} from './craft.ts'
import {
  clockAt,
  alphaUsd,
  doubt,
  hex,
  offer,
  pay,
  refusal,
  startProxy,
  Till,
  transferTopic,
  usd,
  type Offer,
  type Proxy,
  type Terms,
} from './harness.ts'

let chain: LocalTempo
let proxy: Proxy
let merchant: Hex
let other: Hex
let third: Hex

beforeAll(async () => {
  chain = await startTempo()
  proxy = await startProxy(chain.url)
  ;[, merchant, other, third] = chain.accounts.map(({ address }) => hex(address)) as [Hex, Hex, Hex, Hex]
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

const sell = (over: object = {}) =>
  sellers.charge({ recipient: merchant, chainId: 1337, rpcUrl: proxy.url, rpcTimeout: 3000, ...over })
const buy = (over: object = {}) => buyers.charge({ account, chainId: 1337, rpcUrl: proxy.url, ...over })
const now = () => Math.floor(Date.now() / 1000)

async function shop(
  terms: Terms = { amount: '0.01' },
  over: object = {},
  options: Parameters<typeof offer>[2] = {},
) {
  const seller = sell(over)
  const till = new Till(seller)
  const made = await offer(seller, terms, options)
  return { seller, till, made }
}

/** Admits a crafted transaction. */
const present = async (till: Till, made: Offer, over: Draft, source?: string) =>
  till.admit(made, { ...transaction(await sign(account, over)), ...(source === undefined ? {} : { source }) })

describe('an honest buyer', () => {
  test('TC-001 TC-067 TC-084 TC-086 pays, and gets a receipt of the mined transaction', async () => {
    const { till, made } = await shop({ amount: '0.01', externalId: 'order 7' })
    const before = await chain.balance(merchant)
    const credential = await pay(buy(), made)
    const { receipt, payer: proven, notes } = await till.admit(made, credential)
    expect(await chain.balance(merchant)).toBe(before + 10_000n)
    expect(proven).toBe(payer)
    expect(receipt).toEqual({
      status: 'success',
      method: 'tempo',
      timestamp: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/),
      reference: expect.stringMatching(/^0x[0-9a-f]{64}$/),
      challengeId: made.challenge.id,
      externalId: 'order 7',
    })
    const mined = await chain.rpc('eth_getTransactionReceipt', [receipt.reference])
    expect(mined.status).toBe('0x1')
    expect(Math.floor(Date.parse(receipt.timestamp) / 1000)).toBe(Number(mined.logs[0].blockTimestamp))
    expect(JSON.parse(notes[0]!).hashes).toEqual([receipt.reference])
  })

  test('TC-062 the server sends the bytes of the credential, unchanged', async () => {
    const { till, made } = await shop()
    const credential = await pay(buy(), made)
    const { receipt } = await till.admit(made, credential)
    const bytes = Buffer.from((credential.payload['signature'] as string).slice(2), 'hex')
    expect(receipt.reference).toBe(`0x${Buffer.from(keccak256(bytes)).toString('hex')}`)
  })

  test('costs one call of the server and at most one of the buyer, none the second time', async () => {
    const { till, made } = await shop()
    const buyer = buy()
    const first = await pay(buyer, made)
    expect(proxy.calls).toEqual(['eth_simulateV1'])
    await till.admit(made, first)
    expect(proxy.calls).toEqual(['eth_simulateV1', 'eth_sendRawTransactionSync'])
    proxy.calls.length = 0
    const again = await offer(till.seller, { amount: '0.01' })
    await till.admit(again, await pay(buyer, again))
    expect(proxy.calls).toEqual(['eth_sendRawTransactionSync'])
  })

  test('TC-012 TC-036 TC-039 TC-044 TC-046 signs the transfers in order, each memo on its own leg', async () => {
    const memo = hex(`0x${'ab'.repeat(32)}`)
    const splits = [
      { amount: '0.001', recipient: other, memo },
      { amount: '0.002', recipient: third },
    ]
    const { till, made } = await shop({ amount: '0.01', splits })
    const credential = await pay(buy({ clientId: 'me' }), made)
    const envelope = open(credential.payload['signature'] as string)
    expect(envelope.signature).toBeDefined()
    expect(envelope.calls).toEqual(
      transfers([
        { recipient: merchant, amount: 7_000n, memo: memoFor(made, 'me') },
        { recipient: other, amount: 1_000n, memo },
        { recipient: third, amount: 2_000n },
      ]),
    )
    const before = await Promise.all([merchant, other, third].map((address) => chain.balance(address)))
    await till.admit(made, credential)
    const after = await Promise.all([merchant, other, third].map((address) => chain.balance(address)))
    expect(after.map((balance, i) => balance - before[i]!)).toEqual([7_000n, 1_000n, 2_000n])
  })

  test('TC-012 TC-076 writes the memo that the seller prescribes, and pays twice in one second with it', async () => {
    const memo = hex(`0x${'cd'.repeat(32)}`)
    const { till, made } = await shop({ amount: '0.01', memo })
    const again = await offer(till.seller, { amount: '0.01', memo })
    const buyer = buy()
    const [first, second] = [await pay(buyer, made), await pay(buyer, again)]
    expect(open(first.payload['signature'] as string).calls).toEqual(transfers([honest(made, { memo })]))
    const { receipt } = await till.admit(made, first)
    expect((await till.admit(again, second)).receipt.reference).not.toBe(receipt.reference)
  })

  test('TC-020 TC-023 TC-024 signs for a short time, under an expiring nonce, with fee token and fee', async () => {
    const { made } = await shop()
    const envelope = open((await pay(buy(), made)).payload['signature'] as string)
    expect(envelope.nonceKey).toBe(expiring)
    expect(envelope.nonce).toBe(0n)
    expect(envelope.validBefore! - now()).toBeLessThanOrEqual(25)
    expect(envelope.feeToken).toBe(usd)
    expect(envelope.feePayerSignature).toBeUndefined()
    expect(envelope.gas).toBe(400_000n)
    await chain.fund(payer, 1_000_000n, alphaUsd)
    const chosen = open(
      (await pay(buy({ feeToken: alphaUsd, gas: 500_000n }), made)).payload['signature'] as string,
    )
    expect(chosen).toMatchObject({ feeToken: alphaUsd, gas: 500_000n })
  })

  test('TC-020 signs for no longer than the challenge lives', async () => {
    const { made } = await shop({ amount: '0.01' }, {}, { lifetime: 10 })
    const envelope = open((await pay(buy(), made)).payload['signature'] as string)
    expect(envelope.validBefore).toBe(made.issued + 10)
    const late = await shop({ amount: '0.01' }, {}, { lifetime: 2 })
    expect((await refusal(pay(buy(), late.made))).code).toBe('payment-expired')
  })

  test('TC-021 TC-041 may use another nonce lane, and another order', async () => {
    const splits = [{ amount: '0.001', recipient: other }]
    const { till, made } = await shop({ amount: '0.01', splits })
    const legs = [{ recipient: other, amount: 1_000n }, honest(made, { amount: 9_000n })]
    await present(till, made, { calls: transfers(legs), nonceKey: 7n, nonce: 0n })
  })

  test('TC-010 TC-028 TC-043 names itself, in any spelling of its address', async () => {
    const { till, made } = await shop()
    const credential = await pay(buy(), made)
    expect(credential.source).toBe(`did:pkh:eip155:1337:${account.address}`)
    await till.admit(made, { ...credential, source: `did:pkh:eip155:1337:${payer}` })
  })

  test('does not need the memo, if its transaction is younger than the challenge', async () => {
    const { till, made } = await shop()
    await present(till, made, { calls: transfers([{ recipient: merchant, amount: 10_000n }]) })
  })

  test('does not need a fee token: the chain knows the one of its account', async () => {
    const { till, made } = await shop()
    await chain.fund(payer, 1_000_000n, alphaUsd)
    const calls = transfers([honest(made)])
    await present(till, made, { calls, feeToken: undefined })
  })

  test('may carry memos of its own on splits that ask for none', async () => {
    const { till, made } = await shop({ amount: '0.01', splits: [{ amount: '0.001', recipient: other }] })
    const legs = [
      honest(made, { amount: 9_000n }),
      { recipient: other, amount: 1_000n, memo: hex(`0x${'01'.repeat(32)}`) },
    ]
    await present(till, made, { calls: transfers(legs) })
  })
})

describe('an honest buyer does not pay', () => {
  const ask = async (details: object, request: object = {}) => {
    const { made } = await shop(
      { amount: '0.01' },
      {},
      { request: (it) => ({ ...it, ...request, methodDetails: { chainId: 1337, ...details } }) },
    )
    return made
  }
  const split = { amount: '1', recipient: '0x1111111111111111111111111111111111111111' }

  test.each([
    ['TC-014 without modes', { supportedModes: [] }],
    ['TC-014 strange modes', { supportedModes: ['x'] }],
    ['TC-030 splits of everything', { splits: [{ ...split, amount: '10000' }] }],
    ['TC-031 no splits', { splits: [] }],
    ['TC-025 split amounts that are no numbers', { splits: [{ ...split, amount: '1e3' }] }],
    ['TC-026 splits of nothing', { splits: [{ ...split, amount: '0' }] }],
    ['TC-013 memos that are too short', { memo: '0x01' }],
    ['on another chain', { chainId: 4217 }],
    ['TC-068 pushed what is sponsored', { feePayer: true, supportedModes: ['push'] }],
  ])('%s', async (_, details) => {
    const made = await ask(details)
    const buyer = buy()
    expect(buyer.supports!(made.challenge, made.request)).toBe(false)
    expect(() => buyer.cost(made.challenge, made.request)).not.toThrow(TypeError)
    expect((await refusal(pay(buyer, made))).code).toBe('invalid-challenge')
    expect(proxy.calls).toEqual([])
  })

  test('TC-087 TC-088 TC-089 shows all that leaves the wallet, and everybody who is paid', async () => {
    const splits = [
      { amount: '0.001', recipient: other },
      { amount: '0.002', recipient: third },
      { amount: '0.003', recipient: other },
    ]
    const { made } = await shop({ amount: '0.01', splits })
    // 1,300,000 gas at no more than 50e9 each.
    expect(buy().cost(made.challenge, made.request)).toEqual({
      most: { amount: 10_000n + 65_000n, decimals: 6, currency: usd },
      recipients: [merchant, other, third],
      network: 'eip155:1337',
    })
    // A fee in another token is no way around a limit.
    expect(buy({ feeToken: alphaUsd }).cost(made.challenge, made.request).most.amount).toBe(75_000n)
  })

  test('TC-061 what the account does not have, nor fees in what is no dollar', async () => {
    const { made } = await shop({ amount: '11' })
    expect((await refusal(pay(buy(), made))).code).toBe('tempo/insufficient-funds')
    // Enough for the price, not for the fee.
    const { made: most } = await shop({ amount: '10' })
    expect((await refusal(pay(buy(), most))).code).toBe('tempo/insufficient-funds')
    const { made: cheap } = await shop()
    expect((await refusal(pay(buy({ feeToken: alphaUsd }), cheap))).code).toBe('tempo/insufficient-funds')
    proxy.fault = (method) =>
      method === 'eth_simulateV1'
        ? { result: [{ number: '0x1', baseFeePerGas: '0x4a817c800', calls: [euros, euros, euros] }] }
        : 'pass'
    expect((await refusal(pay(buy({ feeToken: alphaUsd }), cheap))).code).toBe('tempo/fee-token')
  })

  test('when the chain asks more per gas than it is allowed', async () => {
    const { made } = await shop()
    expect((await refusal(pay(buy({ maxFeePerGas: 1_000_000_001n }), made))).code).toBe('tempo/fee-too-high')
  })

  test('TC-061 twice out of the same money, without asking again', async () => {
    const buyer = buy()
    const { made } = await shop({ amount: '6' })
    await pay(buyer, made)
    expect((await shop({ amount: '3' })).made).toBeDefined()
    await pay(buyer, (await shop({ amount: '3' })).made)
    expect(proxy.calls).toHaveLength(1)
    // Six, three and the fees: what is left is too little, as far as is known; the chain is asked, and has not been paid yet.
    await pay(buyer, (await shop({ amount: '3' })).made)
    expect(proxy.calls).toHaveLength(2)
  })

  test('asks a node that cannot simulate for the fee only', async () => {
    proxy.fault = (method) =>
      method === 'eth_simulateV1' ? { error: { code: -32601, message: 'Method not found' } } : 'pass'
    const { till, made } = await shop()
    await till.admit(made, await pay(buy(), made))
    expect(proxy.calls).toEqual(['eth_simulateV1', 'eth_feeHistory', 'eth_sendRawTransactionSync'])
  })
})

/** currency() → "EUR", read as a balance: a lot. */
const euros = {
  status: '0x1',
  returnData: `0x${(32n << 200n).toString(16).padStart(64, '0')}${'3'.padStart(64, '0')}${'455552'.padEnd(64, '0')}`,
}

describe('turns away', () => {
  /** Nothing is sent, and the merchant gets nothing. */
  async function refused(
    make: (made: Offer) => Draft | Promise<Draft>,
    terms: Terms = { amount: '0.01' },
    source?: string,
  ): Promise<string> {
    const { till, made } = await shop(terms)
    const before = await chain.balance(merchant)
    const { code, detail } = await refusal(present(till, made, await make(made), source))
    expect(code).toBe('verification-failed')
    expect(proxy.calls.filter((method) => method.startsWith('eth_send'))).toEqual([])
    expect(await chain.balance(merchant)).toBe(before)
    return detail
  }
  const splits = () => [
    { amount: '0.001', recipient: other },
    { amount: '0.002', recipient: third },
  ]
  const split = { amount: '0.01', splits: [] as ReturnType<typeof splits> }
  beforeEach(() => {
    split.splits = splits()
  })

  test.each([-1n, 1n, 10n ** 30n, -10_000n])('A-01 TC-045 TC-074 %s units too many', async (more) => {
    await refused((made) => ({ calls: transfers([honest(made, { amount: 10_000n + more })]) }))
  })

  test('A-02 TC-075 another recipient', async () => {
    await refused((made) => ({ calls: transfers([honest(made, { recipient: other })]) }))
  })

  test('A-03 TC-034 TC-073 another token', async () => {
    await refused((made) => ({ calls: transfers([honest(made)], alphaUsd) }))
    await refused((made) => ({ calls: transfers([honest(made)], other) }))
    await refused(
      (made) => ({
        calls: [
          ...transfers([honest(made, { amount: 7_000n })]),
          ...transfers([{ recipient: other, amount: 1_000n }], alphaUsd),
          ...transfers([{ recipient: third, amount: 2_000n }]),
        ],
      }),
      split,
    )
  })

  test('A-04 another chain', async () => {
    expect(await refused((made) => ({ calls: transfers([honest(made)]), chainId: 4217 }))).toMatch(
      /another chain/,
    )
  })

  test('A-11 TC-076 a memo that was not asked for, and none where one was', async () => {
    const memo = hex(`0x${'cd'.repeat(32)}`)
    await refused((made) => ({ calls: transfers([honest(made)]) }), { amount: '0.01', memo })
    await refused(() => ({ calls: transfers([{ recipient: merchant, amount: 10_000n }]) }), {
      amount: '0.01',
      memo,
    })
    await refused((made) => ({ calls: transfers([honest(made, { memo })]) }))
  })

  test('A-06 A-11 the memo of another challenge, and of another realm', async () => {
    const another = (await shop()).made
    await refused((made) => ({ calls: transfers([honest(made, { memo: memoFor(another) })]) }))
    const elsewhere = (made: Offer) => ({ ...made, challenge: { ...made.challenge, realm: 'evil.example' } })
    await refused((made) => ({ calls: transfers([honest(made, { memo: memoFor(elsewhere(made)) })]) }))
  })

  test('A-11 TC-027 TC-040 a memo on another leg', async () => {
    const memo = hex(`0x${'cd'.repeat(32)}`)
    const rest = [{ recipient: third, amount: 2_000n }]
    await refused(
      (made) => ({
        calls: transfers([
          honest(made, { amount: 7_000n, memo }),
          { recipient: other, amount: 1_000n },
          ...rest,
        ]),
      }),
      {
        amount: '0.01',
        splits: [{ amount: '0.001', recipient: other, memo }, splits()[1]!],
      },
    )
    await refused(
      (made) => ({
        calls: transfers([
          { recipient: merchant, amount: 7_000n },
          { recipient: other, amount: 1_000n, memo: memoFor(made) },
          ...rest,
        ]),
      }),
      split,
    )
  })

  test('A-12 TC-037 TC-046 TC-077 splits that are merged, short, swapped or missing', async () => {
    const legs = (made: Offer) => [
      honest(made, { amount: 7_000n }),
      { recipient: other, amount: 1_000n },
      { recipient: third, amount: 2_000n },
    ]
    const change = (edit: (legs: ReturnType<typeof honest>[]) => ReturnType<typeof honest>[]) =>
      refused((made) => ({ calls: transfers(edit(legs(made))) }), split)
    await change((it) => it.slice(0, 2))
    await change((it) => it.slice(1))
    await change(([a, b]) => [a!, { ...b!, amount: 3_000n }])
    await change(([a, b, c]) => [a!, { ...b!, amount: 2_000n }, { ...c!, amount: 1_000n }])
    await change(([a, b, c]) => [a!, { ...b!, recipient: payer }, c!])
    await change(([a]) => [{ ...a!, amount: 10_000n }])
  })

  test('TC-079 transfers beyond those asked for', async () => {
    await refused((made) => ({ calls: transfers([honest(made), { recipient: other, amount: 1n }]) }))
  })

  test('calls that do something else, or carry value', async () => {
    const call = (made: Offer) => transfers([honest(made)])[0]!
    await refused((made) => ({ calls: [{ ...call(made), data: hex(`${call(made).data}00`) }] }))
    await refused((made) => ({ calls: [{ ...call(made), value: 1n }] }))
    await refused((made) => ({ calls: [{ data: call(made).data }] }))
    await refused(() => ({ calls: [{ to: usd }] }))
  })

  test('A-18 A-19 side payloads', async () => {
    const accessList = [{ address: hex(other), storageKeys: [] }]
    expect(await refused((made) => ({ calls: transfers([honest(made)]), accessList }))).toMatch(
      /more than pay/,
    )
    const authorizationList = await authorizations(account, other)
    expect(await refused((made) => ({ calls: transfers([honest(made)]), authorizationList }))).toMatch(
      /more than pay/,
    )
  })

  test('A-13 TC-020 windows that end after the challenge, have ended, or have not begun', async () => {
    const window = (over: Draft) => refused((made) => ({ calls: transfers([honest(made)]), ...over }))
    const lane = { nonceKey: 3n, nonce: 0n }
    expect(await window({ ...lane, validBefore: now() + 301 })).toMatch(/when the challenge expires/)
    expect(await window({ ...lane, validBefore: undefined })).toMatch(/when the challenge expires/)
    expect(await window({ validBefore: now() + 60 })).toMatch(/30 seconds/)
    expect(await window({ nonce: 1n })).toMatch(/30 seconds/)
    expect(await window({ validAfter: now() + 16 })).toMatch(/not valid yet/)
  })

  test('A-13 windows that have ended, once the chain says so too', async () => {
    const { till, made } = await shop()
    const signed = await sign(account, { calls: transfers([honest(made)]), validBefore: now() - 1 })
    expect((await doubt(till.verify(made, transaction(signed)))).message).toMatch(/not certain/)
    till.now = () => Date.now() + 60_000
    expect((await doubt(till.verify(made, transaction(signed)))).message).toMatch(/not certain/)
    proxy.fault = clockAt(now() + 60)
    expect((await refusal(till.verify(made, transaction(signed)))).detail).toMatch(/no longer valid/)
  })

  test('A-14 TC-043 a source that did not sign', async () => {
    await refused((made) => ({ calls: transfers([honest(made)]) }), undefined, `did:pkh:eip155:1337:${other}`)
    await refused((made) => ({ calls: transfers([honest(made)]) }), undefined, `did:pkh:eip155:4217:${payer}`)
    await refused((made) => ({ calls: transfers([honest(made)]) }), undefined, payer)
  })

  test('TC-023 TC-066 a transaction that waits for a sponsor who was not promised', async () => {
    expect(await refused((made) => ({ calls: transfers([honest(made)]), feePayerSignature: null }))).toMatch(
      /pay its own fee/,
    )
  })

  test('A-11 a transaction without memo that is older than the challenge', async () => {
    const { till, made } = await shop({ amount: '0.01' }, {}, { issued: now() + 30 })
    const calls = transfers([{ recipient: merchant, amount: 10_000n }])
    expect((await refusal(present(till, made, { calls }))).detail).toMatch(/older/)
    // With the memo of the challenge it cannot be older.
    await present(till, made, { calls: transfers([honest(made)]) })
  })
})

describe('cannot be read', () => {
  const broken = async (edit: (signed: string) => unknown) => {
    const { till, made } = await shop()
    const signed = await sign(account, { calls: transfers([honest(made)]) })
    expect(
      (
        await refusal(
          till.admit(made, { payload: { type: 'transaction', signature: edit(signed) as string } }),
        )
      ).code,
    ).toBe('malformed-credential')
    expect(proxy.calls).toEqual([])
  }

  test('TC-044 TC-072 anything but a whole Tempo transaction', async () => {
    await broken((signed) => signed.slice(0, -2))
    await broken((signed) => signed.slice(0, 40))
    await broken((signed) => `0x02${signed.slice(4)}`)
    await broken((signed) => `0x78${signed.slice(4)}`)
    await broken((signed) => signed.slice(2))
    await broken(() => '0x')
    await broken(() => '0x76')
    await broken(() => `0x76${'c0'.repeat(5000)}`)
    await broken(() => `0x76${'f8'.repeat(40_000)}`)
    await broken(() => 7)
    await broken(() => undefined)
    await broken(() => null)
    await broken(() => ['0x76'])
  })

  test('A-07 the same transaction in another spelling', async () => {
    await broken((signed) => `${signed}00`)
    await broken((signed) => signed.slice(0, 2) + signed.slice(2).toUpperCase())
  })

  test('an unsigned transaction', async () => {
    const { Envelope } = await (await import('../src/lib/heavy.ts')).heavy()
    const { till, made } = await shop()
    const unsigned = Envelope.serialize(draft({ calls: transfers([honest(made)]) }))
    expect((await refusal(till.admit(made, transaction(unsigned)))).code).toBe('malformed-credential')
  })

  test('payloads of no known type', async () => {
    const { till, made } = await shop()
    for (const payload of [{}, { type: 'voucher' }, { type: 7 }, { signature: '0x76' }]) {
      expect((await refusal(till.admit(made, { payload: payload as never }))).code).toBe(
        'malformed-credential',
      )
    }
  })
})

describe('the kind first', () => {
  const kind = async (terms: Terms, payload: object) => {
    const { till, made } = await shop(terms)
    return refusal(till.admit(made, { payload: payload as never }))
  }

  test('A-27 TC-049 a proof pays nothing', async () => {
    expect((await kind({ amount: '1' }, { type: 'proof', signature: '0x' })).code).toBe('verification-failed')
  })

  test('A-27 TC-048 nothing is paid where a proof is asked for', async () => {
    // Not even nothing itself, transferred in due form.
    const { till, made } = await shop({ amount: '0' })
    const { detail } = await refusal(present(till, made, { calls: transfers([honest(made)]) }))
    expect(detail).toMatch(/asks for a proof/)
    expect((await kind({ amount: '0' }, { type: 'transaction', signature: '0x76' })).code).toBe(
      'verification-failed',
    )
    expect((await kind({ amount: '0' }, { type: 'hash', hash: `0x${'00'.repeat(32)}` })).code).toBe(
      'verification-failed',
    )
  })

  test('A-27 TC-070 TC-071 TC-078 TC-082 modes that were not offered', async () => {
    // Good but for that.
    const { till: pushed, made } = await shop({ amount: '0.01', modes: ['push'] })
    const signed = transaction(await sign(account, { calls: transfers([honest(made)]) }))
    expect((await refusal(pushed.admit(made, signed))).detail).toMatch(/hashes only/)
    const { till: pulled, made: other } = await shop({ amount: '0.01', modes: ['pull'] })
    const { transactionHash: hash } = await chain.rpc('eth_sendRawTransactionSync', [
      await sign(account, { calls: transfers([honest(other)]) }),
    ])
    const sent = { payload: { type: 'hash', hash } }
    expect((await refusal(pulled.admit(other, sent))).detail).toMatch(/signed transactions only/)
    expect(
      (await kind({ amount: '1', modes: ['push'] }, { type: 'transaction', signature: '0x76' })).code,
    ).toBe('verification-failed')
    expect(
      (await kind({ amount: '1', modes: ['pull'] }, { type: 'hash', hash: `0x${'00'.repeat(32)}` })).code,
    ).toBe('verification-failed')
  })

  test('TC-015 the buyer takes the mode that is offered', async () => {
    const { made } = await shop({ amount: '0.01', modes: ['pull'] })
    expect((await pay(buy(), made)).payload['type']).toBe('transaction')
    expect((await refusal(pay(buy({ mode: 'push' }), made))).code).toBe('invalid-challenge')
  })

  test('a challenge for another chain, or one that cannot be read, is nobody’s', async () => {
    const { till, made } = await shop(
      { amount: '0.01' },
      {},
      { request: (it) => ({ ...it, methodDetails: { chainId: 4217 } }) },
    )
    const signed = await sign(account, { chainId: 4217, calls: transfers([honest(made)]) })
    expect((await refusal(till.admit(made, transaction(signed)))).code).toBe('invalid-challenge')
  })
})

describe('a payment without the memo of its challenge', () => {
  test('A-06 pays, unless that is refused; the one with the memo pays always', async () => {
    const bare = async () =>
      transaction(await sign(account, { calls: transfers([{ recipient: merchant, amount: 10_000n }]) }))
    const open = await shop()
    await open.till.admit(open.made, await bare())
    const strict = await shop({ amount: '0.01' }, { unbound: 'refuse' })
    expect((await refusal(strict.till.admit(strict.made, await bare()))).detail).toMatch(
      /memo of this challenge/,
    )
    await strict.till.admit(strict.made, await pay(buy(), strict.made))
  })
})

describe('pays once', () => {
  const paid = async (till: Till, made: Offer) => {
    const { logs } = await chain.rpc('eth_getTransactionReceipt', [
      (await till.admit(made, await pay(buy(), made))).receipt.reference,
    ])
    return logs.filter((log: { topics: string[] }) => log.topics[0] === transferTopic)
  }

  test('A-05 TC-095 TC-097 the same credential fifty times at once', async () => {
    const { till, made } = await shop()
    const credential = await pay(buy(), made)
    const before = await chain.balance(merchant)
    const results = await Promise.allSettled(Array.from({ length: 50 }, () => till.admit(made, credential)))
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
    expect(await chain.balance(merchant)).toBe(before + 10_000n)
    expect(await paid(till, await offer(till.seller, { amount: '0.01' }))).toHaveLength(2)
  })

  test('A-05 settling again gives the same receipt, and moves nothing', async () => {
    const { till, made } = await shop()
    const { parsed, receipt } = await till.admit(made, await pay(buy(), made))
    const before = await chain.balance(merchant)
    expect(await till.seller.settle(parsed, till.noted(made, []))).toEqual(receipt)
    expect(await chain.balance(merchant)).toBe(before)
  })

  test('A-06 a transaction without memo under another challenge of the same price', async () => {
    const { till, made } = await shop()
    const signed = transaction(
      await sign(account, { calls: transfers([{ recipient: merchant, amount: 10_000n }]) }),
    )
    await till.admit(made, signed)
    const again = await offer(till.seller, { amount: '0.01' })
    expect((await refusal(till.admit(again, signed))).detail).toMatch(/claimed/)
  })

  test('A-06 pulled without memo, it cannot be pushed; with one, only for its own challenge', async () => {
    const { till, made } = await shop()
    const { receipt } = await till.admit(
      made,
      transaction(await sign(account, { calls: transfers([{ recipient: merchant, amount: 10_000n }]) })),
    )
    const push = { payload: { type: 'hash', hash: receipt.reference } }
    const again = await offer(till.seller, { amount: '0.01' })
    expect((await refusal(till.admit(again, push))).detail).toMatch(/memo of this challenge/)
    // The same way round with memo.
    const marked = await till.admit(again, await pay(buy(), again))
    const pushed = { payload: { type: 'hash', hash: marked.receipt.reference } }
    const last = await offer(till.seller, { amount: '0.01' })
    expect((await refusal(till.admit(last, pushed))).detail).toMatch(/transfers that were asked for/)
    expect((await refusal(till.admit(again, pushed))).detail).toMatch(/claimed/)
  })

  test('A-07 every spelling of a transaction has the same key', async () => {
    const { till, made } = await shop()
    const over = {
      calls: transfers([honest(made)]),
      feePayerSignature: null,
      validBefore: now() + 20,
    } as const
    const sponsored = await shop(
      { amount: '0.01' },
      { feePayer: { account: privateKeyToAccount(chain.accounts[2]!.privateKey as Hex) } },
    )
    const whole = open(await sign(account, over))
    const { Envelope } = await (await import('../src/lib/heavy.ts')).heavy()
    const spellings = [
      Envelope.serialize(whole),
      Envelope.serialize(whole, { format: 'feePayer', sender: payer }),
    ]
    expect(spellings.map((it) => it.slice(0, 4))).toEqual(['0x76', '0x78'])
    const keys = await Promise.all(
      spellings.map(async (it) => (await till.parse(sponsored.made, transaction(it).payload)).key),
    )
    expect(new Set(keys).size).toBe(1)
    expect(keys[0]).toMatch(/^tx:0x[0-9a-f]{64}$/)
    // Somebody else who signs the same has another one.
    account = privateKeyToAccount(generatePrivateKey())
    expect((await till.parse(sponsored.made, transaction(await sign(account, over)).payload)).key).not.toBe(
      keys[0],
    )
  })

  test('A-07 the mirror image of a signature is no signature', async () => {
    const { till, made } = await shop()
    const { Envelope } = await (await import('../src/lib/heavy.ts')).heavy()
    const { signature, ...rest } = open(await sign(account, { calls: transfers([honest(made)]) }))
    const { r, s, yParity } = signature!.signature as { r: bigint; s: bigint; yParity: number }
    const order = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n
    const mirrored = Envelope.serialize(rest, {
      signature: { type: 'secp256k1', signature: { r, s: order - s, yParity: 1 - yParity } },
    })
    expect((await refusal(till.admit(made, transaction(mirrored)))).code).toBe('verification-failed')
  })

  test('A-08 the payer sends it itself, then submits it', async () => {
    const { till, made } = await shop()
    const credential = await pay(buy(), made)
    await chain.rpc('eth_sendRawTransactionSync', [credential.payload['signature']])
    const before = await chain.balance(merchant)
    const { receipt } = await till.admit(made, credential)
    expect(await chain.balance(merchant)).toBe(before)
    expect((await chain.rpc('eth_getTransactionReceipt', [receipt.reference])).status).toBe('0x1')
  })

  test('A-08 the payer sends it itself, and the node refuses it the second time', async () => {
    const { till, made } = await shop()
    const credential = await pay(buy(), made)
    await chain.rpc('eth_sendRawTransactionSync', [credential.payload['signature']])
    proxy.fault = (method) =>
      method === 'eth_sendRawTransactionSync' ? { error: { code: -32000, message: 'already known' } } : 'pass'
    const { receipt } = await till.admit(made, credential)
    expect((await chain.rpc('eth_getTransactionReceipt', [receipt.reference])).status).toBe('0x1')
  })

  test('A-08 the payer sends it itself, and submits it when its window is over', async () => {
    const { till, made } = await shop()
    const credential = await pay(buy(), made)
    await chain.rpc('eth_sendRawTransactionSync', [credential.payload['signature']])
    till.now = () => Date.now() + 26_000
    proxy.calls.length = 0
    const { receipt } = await till.admit(made, credential)
    expect(receipt.status).toBe('success')
    expect(proxy.calls).toEqual(['eth_getTransactionReceipt'])
  })

  test('A-08 an old transaction of another lane is not taken for a payment', async () => {
    const lane = { nonceKey: 9n, nonce: 0n, validBefore: now() + 290 }
    const signed = await sign(account, {
      calls: transfers([{ recipient: merchant, amount: 10_000n }]),
      ...lane,
    })
    await chain.rpc('eth_sendRawTransactionSync', [signed])
    // Valid until after the challenge was made, yet mined long before it.
    const { till, made } = await shop({ amount: '0.01' }, {}, { issued: now() + 120 })
    till.now = () => Date.now() + 120_000
    expect((await refusal(till.admit(made, transaction(signed)))).detail).toMatch(/older/)
  })

  test('A-10 a transaction that is reverted', async () => {
    const { till, made } = await shop({ amount: '100' })
    const signed = transaction(await sign(account, { calls: transfers([honest(made)]) }))
    expect((await refusal(till.admit(made, signed))).detail).toMatch(/reverted/)
    const parsed = await till.parse(made, signed.payload)
    expect(await till.seller.find(parsed.note!, till.context(made))).toBe('not-moved')
    expect(isMemoFor(made)(memoFor(made))).toBe(true)
  })
})
