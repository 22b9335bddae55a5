import { privateKeyToAccount, generatePrivateKey } from 'viem/accounts'
import { Account } from 'viem/tempo'
import { describe, expect, test } from 'vitest'
import { checksum } from '../src/lib/address.ts'
import { tempo } from '../src/server.ts'
import { alphaUsd, hex, usd } from './harness.ts'

const recipient = '0x1111111111111111111111111111111111111111'
const other = '0x2222222222222222222222222222222222222222'
const word = `0x${'ab'.repeat(32)}`
const base = { recipient, chainId: 1337, rpcUrl: 'http://127.0.0.1:1' }
const make = (over: object = {}) => tempo.charge({ ...base, ...over })
const sponsor = { account: privateKeyToAccount(generatePrivateKey()) }

describe('the request', () => {
  test('TC-005 TC-006 TC-007 TC-011 says in base units what, in which token, to whom, on which chain', () => {
    expect(make().quote({ amount: '0.01' })).toEqual({
      amount: '10000',
      currency: usd,
      recipient,
      methodDetails: { chainId: 1337 },
    })
  })

  test('TC-008 carries description and externalId', () => {
    const request = make().quote({ amount: '1', description: 'a photo', externalId: 'order 7' })
    expect(request).toMatchObject({ description: 'a photo', externalId: 'order 7' })
  })

  test('TC-009 does not repeat the expiry', () => {
    expect(JSON.stringify(make().quote({ amount: '1' }))).not.toMatch(/expir|valid/i)
  })

  test('TC-010 always names the chain, so that no default has to be guessed', () => {
    expect(tempo.charge({ recipient }).quote({ amount: '1' })['methodDetails']).toEqual({ chainId: 4217 })
    expect(tempo.charge({ recipient, testnet: true }).quote({ amount: '1' })['methodDetails']).toEqual({
      chainId: 42431,
    })
  })

  test('TC-003 TC-017 TC-018 names the one mode that is left, and no mode where both work', () => {
    const modes = (over: object, terms: object = {}) =>
      (make(over).quote({ amount: '1', ...terms })['methodDetails'] as Record<string, unknown>)[
        'supportedModes'
      ]
    expect(modes({})).toBeUndefined()
    expect(modes({ modes: ['pull', 'push'] })).toBeUndefined()
    expect(modes({ modes: ['pull'] })).toEqual(['pull'])
    expect(modes({ modes: ['push'] })).toEqual(['push'])
    expect(modes({}, { modes: ['push'] })).toEqual(['push'])
    // A memo that the seller prescribes ties a pushed payment to nothing; a sponsor must sign before the transaction is sent.
    expect(modes({ memo: word })).toEqual(['pull'])
    expect(modes({ feePayer: sponsor })).toEqual(['pull'])
    expect(modes({ feePayer: sponsor }, { feePayer: false })).toBeUndefined()
  })

  test('TC-014 modes cannot be empty or unknown', () => {
    expect(() => make({ modes: [] })).toThrow(TypeError)
    expect(() => make({ modes: ['pull', 'carrier pigeon'] })).toThrow(TypeError)
    expect(() => make().quote({ amount: '1', modes: [] })).toThrow(TypeError)
    expect(() => make({ modes: ['push'], feePayer: sponsor })).toThrow(/feePayer/)
    expect(() => make({ modes: ['push'], memo: word })).toThrow(/memo/)
  })

  test('TC-012 TC-013 a memo is 32 bytes, in lower case on the wire', () => {
    expect(
      make({ memo: word.toUpperCase().replace('0X', '0x') }).quote({ amount: '1' })['methodDetails'],
    ).toMatchObject({ memo: word })
    for (const memo of [
      '0x',
      `0x${'ab'.repeat(31)}`,
      `0x${'ab'.repeat(33)}`,
      'ab'.repeat(32),
      `0x${'zz'.repeat(32)}`,
    ]) {
      expect(() => make({ memo })).toThrow(/32 bytes/)
    }
  })

  test('a sponsored one says so', () => {
    expect(make({ feePayer: sponsor }).quote({ amount: '1' })['methodDetails']).toMatchObject({
      feePayer: true,
    })
    expect(make({ feePayer: sponsor }).quote({ amount: '1', feePayer: false })['methodDetails']).toEqual({
      chainId: 1337,
    })
  })

  test('a price may differ in currency and recipient', () => {
    expect(make().quote({ amount: '1', currency: alphaUsd, recipient: other })).toMatchObject({
      currency: alphaUsd,
      recipient: other,
    })
  })

  test('without an amount checks and writes the rest', () => {
    expect(make({ splits: [{ amount: '0.1', recipient: other }] }).quote({ amount: null })).toEqual({
      currency: usd,
      recipient,
      methodDetails: { chainId: 1337, splits: [{ recipient: other, amount: '100000' }] },
    })
    expect(() => make().quote({ amount: null, recipient: '0x12' })).toThrow(TypeError)
  })

  test('Q-11 an amount of zero asks for a proof: nothing to sponsor, to mark, to split or to send', () => {
    const seller = make({ feePayer: sponsor, memo: word, splits: [{ amount: '0.1', recipient: other }] })
    expect(seller.quote({ amount: '0' })).toEqual({
      amount: '0',
      currency: usd,
      recipient,
      methodDetails: { chainId: 1337 },
    })
    expect(() => make().quote({ amount: '0', memo: word })).toThrow(/moves nothing/)
    expect(() => make().quote({ amount: '0.00', splits: [{ amount: '0.1', recipient: other }] })).toThrow(
      /moves nothing/,
    )
  })
})

describe('splits', () => {
  const split = { amount: '0.1', recipient: other }

  test('TC-024 TC-027 are written in base units, each with its own memo', () => {
    const seller = make({ splits: [split, { ...split, memo: word }] })
    expect((seller.quote({ amount: '1' })['methodDetails'] as { splits: unknown }).splits).toEqual([
      { recipient: other, amount: '100000' },
      { recipient: other, amount: '100000', memo: word },
    ])
  })

  test('TC-029 leave something for the recipient', () => {
    expect(() => make({ splits: [split] }).quote({ amount: '0.1' })).toThrow(/whole amount/)
    expect(() => make({ splits: [split, split] }).quote({ amount: '0.15' })).toThrow(/whole amount/)
    expect(make({ splits: [split] }).quote({ amount: '0.100001' })['amount']).toBe('100001')
  })

  test('TC-025 TC-026 have an amount that is plain and positive', () => {
    for (const amount of ['0', '0.0', '-1', '1e3', '+1', ' 1', '.5', '0x1', '0.0000001']) {
      expect(() => make({ splits: [{ amount, recipient: other }] })).toThrow(TypeError)
    }
  })

  test('TC-031 TC-032 TC-033 TC-091 are one to ten', () => {
    expect(() => make({ splits: [] })).toThrow(/members/)
    const splits = (n: number) => Array.from({ length: n }, () => ({ amount: '0.01', recipient: other }))
    expect(() => make({ splits: splits(11) })).toThrow(/at most 10/)
    expect(() => make({ splits: splits(10) }).quote({ amount: '1' })).not.toThrow()
  })

  test('go to addresses, with memos of 32 bytes', () => {
    expect(() => make({ splits: [{ amount: '0.1', recipient: 'merchant.eth' }] })).toThrow(
      /splits\[0\].recipient/,
    )
    expect(() => make({ splits: [{ ...split, memo: '0x01' }] })).toThrow(/splits\[0\].memo/)
  })
})

describe('options that cannot work stop the boot', () => {
  test('TC-005 amounts are never rounded', () => {
    for (const amount of ['0.0000001', '1.0000001', '-1', '1e6', ' 1', '0x1', '1,5', '']) {
      expect(() => make().quote({ amount })).toThrow(TypeError)
    }
    expect(make({ decimals: 2 }).quote({ amount: '0.01' })['amount']).toBe('1')
    expect(() => make({ decimals: 2 }).quote({ amount: '0.001' })).toThrow(TypeError)
  })

  test('Q-03 addresses may be in one case, or carry a valid checksum', () => {
    const account = privateKeyToAccount(generatePrivateKey()).address
    const lowered = account.toLowerCase()
    const uppered = `0x${account.slice(2).toUpperCase()}`
    for (const recipient of [account, lowered, uppered]) {
      expect(make({ recipient }).quote({ amount: '1' })['recipient']).toBe(lowered)
    }
    const at = account.split('').findIndex((letter, i) => i > 1 && /[a-f]/i.test(letter))
    const letter = account[at]!
    const flipped = letter === letter.toLowerCase() ? letter.toUpperCase() : letter.toLowerCase()
    const wrong = account.slice(0, at) + flipped + account.slice(at + 1)
    expect(() => make({ recipient: wrong })).toThrow(/checksum/)
    // The address of the draft's first example.
    expect(() => make({ recipient: '0x742d35Cc6634C0532925a3b844Bc9e7595f8fE00' })).toThrow(/checksum/)
    expect(checksum(hex(lowered))).toBe(account)
  })

  test.each([
    ['no recipient', { recipient: undefined }, /recipient must be an address/],
    ['a short recipient', { recipient: '0x12' }, /recipient must be an address/],
    [
      'a recipient that tokens refuse',
      { recipient: '0x0000000000000000000000000000000000000000' },
      /cannot receive/,
    ],
    ['a token as recipient', { recipient: usd }, /cannot receive/],
    ['A-03 a currency that is no token', { currency: other }, /no TIP-20 token/],
    ['an unknown chain without a node', { chainId: 5, rpcUrl: undefined }, /set rpcUrl/],
    ['a chain that is none', { chainId: 0 }, /chainId/],
    ['mainnet as testnet', { chainId: 4217, testnet: true }, /not a testnet/],
    ['a node that is no URL', { rpcUrl: 'localhost:8545' }, /http/],
    ['a node that is no URL at all', { rpcUrl: '/rpc' }, /URL/],
    ['odd decimals', { decimals: 1.5 }, /decimals/],
    ['an odd timeout', { rpcTimeout: 0 }, /rpcTimeout/],
    ['a fee payer that is an address', { feePayer: { account: other } }, /feePayer.account/],
    ['a fee payer that cannot sign', { feePayer: { account: { address: other } } }, /cannot sign/],
    [
      'a fee payer with a P-256 key',
      { feePayer: { account: Account.fromP256(generatePrivateKey()) } },
      /secp256k1/,
    ],
    [
      'an access key as fee payer',
      { feePayer: { account: Account.fromSecp256k1(generatePrivateKey(), { access: other }) } },
      /secp256k1/,
    ],
    ['a fee token that is none', { feePayer: { ...sponsor, feeToken: other } }, /TIP-20/],
    ['a limit of nothing', { feePayer: { ...sponsor, maxGas: 0n } }, /maxGas/],
    ['a fee of nothing', { feePayer: { ...sponsor, maxFee: '0' } }, /maxFee/],
    ['no failures at all', { feePayer: { ...sponsor, maxFailures: 0 } }, /maxFailures/],
    ['no loss at all', { feePayer: { ...sponsor, maxLossPerHour: '0' } }, /maxLossPerHour/],
    ['gas that is a number', { feePayer: { ...sponsor, maxGas: 400_000 } }, /maxGas must be a bigint/],
    [
      'a price that is a number',
      { feePayer: { ...sponsor, maxFeePerGas: 5e10 } },
      /maxFeePerGas must be a big/,
    ],
    ['the fee payer’s account itself', { feePayer: sponsor.account }, /feePayer must be \{ account \}/],
    [
      'an option of the fee payer that nobody knows',
      { feePayer: { ...sponsor, maxfee: '1' } },
      /no option maxfee/,
    ],
    ['an option that nobody knows', { recipent: other }, /no option recipent: it has recipient/],
    ['a wish about memos that nobody knows', { unbound: 'reject' }, /unbound/],
    [
      'a memo of its own that must be of the challenge',
      { unbound: 'refuse', memo: `0x${'ab'.repeat(32)}` },
      /memo/,
    ],
  ])('%s', (_, over, message) => {
    const options = Object.fromEntries(
      Object.entries({ ...base, ...over }).filter(([, value]) => value !== undefined),
    )
    expect(() => tempo.charge(options as never)).toThrow(message)
    expect(() => tempo.charge(options as never)).toThrow(TypeError)
  })
})

test('without options says what it needs', () => {
  expect(() => (tempo.charge as (options?: unknown) => unknown)()).toThrow(/recipient: '0x/)
  expect(() => (tempo.charge as (options?: unknown) => unknown)()).toThrow(TypeError)
})

describe('the method', () => {
  test('takes addresses as currency and recipient', () => {
    const seller = make()
    expect(seller.takes('currency', usd)).toBe(true)
    expect(seller.takes('recipient', other)).toBe(true)
    expect(seller.takes('currency', 'usd')).toBe(false)
    expect(seller.takes('recipient', 'acct_1')).toBe(false)
  })

  test('tells real money from play money', () => {
    expect(tempo.charge({ recipient }).mode).toBe('live')
    expect(tempo.charge({ recipient, testnet: true }).mode).toBe('test')
    expect(make().mode).toBe('test')
  })
})
