import fc from 'fast-check'
import { encodeFunctionData, hashTypedData, keccak256 as viemKeccak, toHex } from 'viem'
import { Abis } from 'viem/tempo'
import { describe, expect, test } from 'vitest'
import { readCalls, transferCall, withoutSwap } from '../src/lib/calls.ts'
import { createFailures } from '../src/lib/failures.ts'
import { feeOf } from '../src/lib/fees.ts'
import { heavy } from '../src/lib/heavy.ts'
import { readKey } from '../src/lib/keys.ts'
import { keccak256 } from '../src/lib/keccak.ts'
import { formatMemo, isTagged, memoOf } from '../src/lib/memo.ts'
import { proofHash } from '../src/lib/proof.ts'
import { Sealed } from '../src/lib/sealed.ts'
import {
  matchLegs,
  memoTopic,
  readTransfers,
  total,
  type Leg,
  type Log,
  type Transfer,
} from '../src/lib/transfers.ts'
import { legsOf, readRequest, readSource } from '../src/lib/charge/wire.ts'
import { hashText } from './craft.ts'
import { alphaUsd, hex, transferTopic, usd } from './harness.ts'
import { inspect } from 'node:util'

const [A, B, C] = ['a', 'b', 'c'].map((letter) => hex(`0x${letter.repeat(40)}`)) as [
  `0x${string}`,
  `0x${string}`,
  `0x${string}`,
]
const memo = (n: number) => hex(`0x${n.toString(16).padStart(64, '0')}`)

describe('keccak', () => {
  test('agrees with the fast one at every length around a block', () => {
    for (let length = 0; length < 300; length++) {
      const data = Uint8Array.from({ length }, (_, i) => (i * 31 + length) & 255)
      expect(toHex(keccak256(data))).toBe(viemKeccak(data))
    }
  })
})

describe('memo', () => {
  const bound = { realm: 'api.example.com', challengeId: 'kM9xPqWvT2nJrHsY4aDfEb' }

  test('is what deployed software writes and reads', () => {
    // Taken from a transaction of mppx 0.11.0 for this realm and id.
    expect(formatMemo(bound, hashText)).toBe(
      '0xef1ed712011ece072f76bd8b82350e000000000000000000001128fb265e760d',
    )
    // keccak256("me") begins with these ten bytes.
    expect(formatMemo({ ...bound, clientId: 'me' }, hashText).slice(32, 52)).toBe(
      viemKeccak(toHex('me')).slice(2, 22),
    )
  })

  test('is recognised for its challenge and realm only, whatever the client calls itself', () => {
    const own = memoOf(bound, hashText)
    expect(own(formatMemo(bound, hashText))).toBe(true)
    expect(own(formatMemo({ ...bound, clientId: 'me' }, hashText))).toBe(true)
    expect(own(formatMemo({ ...bound, challengeId: 'another' }, hashText))).toBe(false)
    expect(own(formatMemo({ ...bound, realm: 'evil.example' }, hashText))).toBe(false)
    expect(own(memo(7))).toBe(false)
    expect(isTagged(formatMemo(bound, hashText))).toBe(true)
    expect(isTagged(memo(7))).toBe(false)
  })
})

describe('proof', () => {
  const identity = {
    chainId: 1337,
    account: A,
    challengeId: 'kM9xPqWvT2nJrHsY4aDfEb',
    realm: 'api.example.com',
  }

  test('TC-052 the typed data of the draft', async () => {
    const typed = {
      domain: { name: 'MPP', version: '1', chainId: 1337 },
      types: { Proof: [{ name: 'challengeId', type: 'string' }] },
      primaryType: 'Proof',
      message: { challengeId: identity.challengeId },
    } as const
    expect(proofHash('draft', identity, await heavy())).toBe(hashTypedData(typed))
    const withContract = { ...typed, domain: { ...typed.domain, verifyingContract: B } } as const
    expect(proofHash('draft', identity, await heavy())).not.toBe(hashTypedData(withContract))
  })

  test('TC-052 the typed data of deployed software', async () => {
    const typed = {
      domain: { name: 'MPP', version: '3', chainId: 1337 },
      types: {
        Proof: [
          { name: 'account', type: 'address' },
          { name: 'challengeId', type: 'string' },
          { name: 'realm', type: 'string' },
        ],
      },
      primaryType: 'Proof',
      message: { account: A, challengeId: identity.challengeId, realm: identity.realm },
    } as const
    expect(proofHash('v3', identity, await heavy())).toBe(hashTypedData(typed))
  })
})

describe('calls', () => {
  test('TC-012 TC-039 are what an ABI encoder makes', () => {
    expect(transferCall(usd, { recipient: B, amount: 7n })).toEqual({
      to: usd,
      data: encodeFunctionData({ abi: Abis.tip20, functionName: 'transfer', args: [B, 7n] }),
    })
    expect(transferCall(usd, { recipient: B, amount: 7n, memo: memo(9) })).toEqual({
      to: usd,
      data: encodeFunctionData({ abi: Abis.tip20, functionName: 'transferWithMemo', args: [B, 7n, memo(9)] }),
    })
  })

  test('come back as they went in', () => {
    const legs: Leg[] = [
      { recipient: B, amount: 7n },
      { recipient: C, amount: (1n << 256n) - 1n, memo: memo(1) },
    ]
    expect(
      readCalls(
        legs.map((leg) => transferCall(usd, leg)),
        usd,
      ),
    ).toEqual(legs)
  })

  const good = transferCall(usd, { recipient: B, amount: 7n }).data
  test.each([
    ['Q-41 trailing bytes', { to: usd, data: `${good}deadbeef` }],
    ['trailing bytes that make a memo of it', { to: usd, data: good + '0'.repeat(64) }],
    ['a dirty address word', { to: usd, data: good.replace('0'.repeat(24), 'f'.repeat(24)) }],
    ['upper case', { to: usd, data: good.toUpperCase().replace('0X', '0x') }],
    ['no data', { to: usd }],
    ['no target', { data: good }],
    ['another token', { to: alphaUsd, data: good }],
    ['value', { to: usd, data: good, value: 1n }],
    ['approve', { to: usd, data: good.replace('a9059cbb', '095ea7b3') }],
    ['too short', { to: usd, data: good.slice(0, -2) }],
  ])('nothing else passes: %s', (_, call) => {
    expect(readCalls([call], usd)).toBeUndefined()
  })

  describe('the purchase of the currency', () => {
    const exchange = '0xdec0000000000000000000000000000000000000'
    const swap = (
      over: {
        token?: string
        spender?: string
        approved?: bigint
        bought?: bigint
        most?: bigint
        out?: string
        at?: string
      } = {},
    ) => [
      {
        to: over.token ?? alphaUsd,
        data: encodeFunctionData({
          abi: Abis.tip20,
          functionName: 'approve',
          args: [hex(over.spender ?? exchange), over.approved ?? 12n],
        }),
      },
      {
        to: over.at ?? exchange,
        data: encodeFunctionData({
          abi: Abis.stablecoinDex,
          functionName: 'swapExactAmountOut',
          args: [hex(alphaUsd), hex(over.out ?? usd), over.bought ?? 10n, over.most ?? 12n],
        }),
      },
    ]
    const pay = transferCall(usd, { recipient: B, amount: 10n })

    test('may come first', () => {
      expect(withoutSwap([...swap(), pay], usd, 10n)).toEqual([pay])
      expect(withoutSwap([pay], usd, 10n)).toEqual([pay])
    })

    test.each([
      ['of another amount', { bought: 11n }],
      ['of another token', { out: '0x20c0000000000000000000000000000000000002' }],
      ['with a larger approval', { approved: 13n }],
      ['with an approval of somebody else', { spender: C }],
      ['with an approval of another token', { token: '0x20c0000000000000000000000000000000000002' }],
      ['elsewhere', { at: C }],
    ])('is not overlooked when it is one %s', (_, over) => {
      const calls = [...swap(over), pay]
      expect(withoutSwap(calls, usd, 10n)).toBe(calls)
    })
  })
})

const log = (
  topic: string,
  from: string,
  to: string,
  amount: bigint,
  token: string = usd,
  note?: string,
): Log => ({
  address: token,
  topics: [
    topic,
    `0x${from.slice(2).padStart(64, '0')}`,
    `0x${to.slice(2).padStart(64, '0')}`,
    ...(note ? [note] : []),
  ],
  data: `0x${amount.toString(16).padStart(64, '0')}`,
})
const plain = (amount: bigint, to = B, token = usd) => [log(transferTopic, A, to, amount, token)]
const marked = (amount: bigint, note: string, to = B, token = usd) => [
  ...plain(amount, to, token),
  log(memoTopic, A, to, amount, token, note),
]

describe('events', () => {
  test('A-11 a transfer with memo is one payment, though it is told twice', () => {
    expect(readTransfers(marked(5n, memo(1)), usd)).toEqual([
      { from: A, recipient: B, amount: 5n, memo: memo(1) },
    ])
    expect(readTransfers([...plain(5n), ...marked(5n, memo(1))], usd)).toHaveLength(2)
    expect(readTransfers([...marked(5n, memo(1)), ...plain(5n)], usd).map((it) => it.memo)).toEqual([
      memo(1),
      undefined,
    ])
    expect(readTransfers([...marked(5n, memo(1)), ...marked(5n, memo(2))], usd).map((it) => it.memo)).toEqual(
      [memo(1), memo(2)],
    )
  })

  test('a memo without its transfer is no payment, nor is one told of another transfer', () => {
    expect(readTransfers([log(memoTopic, A, B, 5n, usd, memo(1))], usd)).toEqual([])
    expect(readTransfers([...plain(5n), log(memoTopic, A, B, 6n, usd, memo(1))], usd)).toEqual([
      { from: A, recipient: B, amount: 5n },
    ])
    expect(
      readTransfers(
        [...plain(5n), ...plain(1n, B, alphaUsd), log(memoTopic, A, B, 5n, usd, memo(1))],
        usd,
      )[0]!.memo,
    ).toBeUndefined()
  })

  test('A-03 TC-081 other tokens do not count', () => {
    expect(readTransfers([...plain(5n, B, alphaUsd), ...marked(5n, memo(1), B, alphaUsd)], usd)).toEqual([])
  })
})

describe('legs', () => {
  const own = (it: string) => it === memo(42)
  const leg = (recipient: string, amount: bigint, note?: string): Leg => ({
    recipient: hex(recipient),
    amount,
    ...(note && { memo: hex(note) }),
  })
  const match = (found: Transfer[], ...legs: [Leg, ...Leg[]]) => matchLegs(found, legs, own)

  test('TC-035 TC-037 in any order, each from a transfer of its own', () => {
    const legs: [Leg, ...Leg[]] = [leg(A, 5n), leg(B, 3n), leg(C, 2n, memo(1))]
    const found = [leg(C, 2n, memo(1)), leg(B, 3n), leg(A, 5n)]
    expect(match(found, ...legs)?.spare).toEqual([])
    expect(match(found.slice(1), ...legs)).toBeUndefined()
    expect(match([...found, leg(A, 5n)], ...legs)?.spare).toEqual([leg(A, 5n)])
  })

  test('A-12 Q-13 equal legs need as many transfers', () => {
    expect(match([leg(A, 5n), leg(A, 5n)], leg(A, 5n), leg(A, 5n))).toBeDefined()
    expect(match([leg(A, 5n)], leg(A, 5n), leg(A, 5n))).toBeUndefined()
    expect(match([leg(A, 10n)], leg(A, 5n), leg(A, 5n))).toBeUndefined()
  })

  test('A-01 Q-04 to the unit', () => {
    for (const amount of [4n, 6n, 0n, 1n << 200n]) expect(match([leg(A, amount)], leg(A, 5n))).toBeUndefined()
  })

  test('A-11 TC-040 a prescribed memo is found on its own leg only', () => {
    expect(match([leg(A, 5n, memo(1)), leg(B, 3n)], leg(A, 5n, memo(1)), leg(B, 3n))).toBeDefined()
    expect(match([leg(A, 5n), leg(B, 3n, memo(1))], leg(A, 5n, memo(1)), leg(B, 3n))).toBeUndefined()
    expect(match([leg(A, 5n, memo(2))], leg(A, 5n, memo(1)))).toBeUndefined()
    // The leg that takes anything leaves the marked transfer to the one that needs it.
    expect(match([leg(A, 5n, memo(1)), leg(A, 5n)], leg(A, 5n), leg(A, 5n, memo(1)))).toBeDefined()
  })

  test('the first leg takes the memo of its challenge or none', () => {
    expect(match([leg(A, 5n), leg(A, 5n, memo(42))], leg(A, 5n), leg(A, 5n))?.first.memo).toBe(memo(42))
    expect(match([leg(A, 5n)], leg(A, 5n))?.first.memo).toBeUndefined()
    expect(match([leg(A, 5n, memo(7))], leg(A, 5n))).toBeUndefined()
  })

  test('other legs take any memo but one that binds a payment to some challenge', () => {
    const tagged = hex(`0xef1ed71201${'00'.repeat(27)}`)
    expect(match([leg(A, 5n), leg(B, 3n, memo(7))], leg(A, 5n), leg(B, 3n))).toBeDefined()
    expect(match([leg(A, 5n), leg(B, 3n, tagged)], leg(A, 5n), leg(B, 3n))).toBeUndefined()
  })

  test('TC-024 TC-038 the first leg is what the splits leave', () => {
    const units = fc.bigInt({ min: 1n, max: 1n << 64n })
    fc.assert(
      fc.property(fc.array(units, { minLength: 1, maxLength: 10 }), units, (amounts, rest) => {
        const splits = amounts.map((amount) => ({ amount: String(amount), recipient: B }))
        const sum = amounts.reduce((all, amount) => all + amount, 0n)
        const request = readRequest({
          amount: String(sum + rest),
          currency: usd,
          recipient: A,
          methodDetails: { splits },
        })
        const legs = legsOf(request)
        expect(legs[0].amount).toBe(rest)
        expect(total(legs)).toBe(request.amount)
      }),
    )
  })
})

describe('reading a request', () => {
  const request = { amount: '10', currency: usd, recipient: A }
  const details = (methodDetails: object) => ({ ...request, methodDetails }) as never

  test('TC-010 TC-011 TC-016 fills in what the draft says', () => {
    expect(readRequest(request)).toEqual({
      amount: 10n,
      currency: usd,
      recipient: A,
      chainId: 42431,
      sponsored: false,
      splits: [],
      modes: ['pull', 'push'],
    })
  })

  test('TC-028 addresses are compared as bytes', () => {
    expect(readRequest({ ...request, recipient: A.toUpperCase().replace('0X', '0x') }).recipient).toBe(A)
  })

  test.each([
    ['TC-005 a decimal amount', { ...request, amount: '1.0' }],
    ['TC-005 a negative amount', { ...request, amount: '-1' }],
    ['TC-005 an exponent', { ...request, amount: '1e6' }],
    ['TC-005 a space', { ...request, amount: ' 1' }],
    ['TC-005 a number', { ...request, amount: 1 }],
    ['TC-005 hex', { ...request, amount: '0x1' }],
    ['TC-005 more than the token can count', { ...request, amount: '9'.repeat(78) }],
    ['TC-006 no currency', { amount: '1', recipient: A }],
    ['TC-006 a currency that is no token', { ...request, currency: B }],
    ['TC-007 no recipient', { amount: '1', currency: usd }],
    ['TC-007 a short recipient', { ...request, recipient: '0x12' }],
    ['TC-013 a memo of 31 bytes', details({ memo: `0x${'00'.repeat(31)}` })],
    ['TC-013 a memo of 33 bytes', details({ memo: `0x${'00'.repeat(33)}` })],
    ['TC-013 a memo without 0x', details({ memo: '00'.repeat(32) })],
    ['TC-014 no modes', details({ supportedModes: [] })],
    ['TC-014 a strange mode', details({ supportedModes: ['x'] })],
    ['TC-014 modes that are no list', details({ supportedModes: 'pull' })],
    ['TC-025 a split amount with a sign', details({ splits: [{ amount: '+1', recipient: B }] })],
    ['TC-025 a split amount with a dot', details({ splits: [{ amount: '1.0', recipient: B }] })],
    ['TC-026 a split of zero', details({ splits: [{ amount: '0', recipient: B }] })],
    ['TC-030 splits of the whole amount', details({ splits: [{ amount: '10', recipient: B }] })],
    [
      'TC-030 splits of more',
      details({
        splits: [
          { amount: '9', recipient: B },
          { amount: '2', recipient: B },
        ],
      }),
    ],
    ['TC-031 no splits', details({ splits: [] })],
    [
      'too many splits',
      details({ splits: Array.from({ length: 11 }, () => ({ amount: '1', recipient: B })) }),
    ],
    ['a split to nobody', details({ splits: [{ amount: '1' }] })],
    ['a split with a short memo', details({ splits: [{ amount: '1', recipient: B, memo: '0x00' }] })],
    ['a chain that is text', details({ chainId: '1337' })],
    ['a fee payer that is an address', details({ feePayer: A })],
    ['details that are a list', { ...request, methodDetails: [] }],
    [
      'Q-11 zero with splits',
      { ...request, amount: '0', methodDetails: { splits: [{ amount: '1', recipient: B }] } },
    ],
    ['Q-11 zero with a memo', { ...request, amount: '0', methodDetails: { memo: memo(1) } }],
  ])('refuses %s', (_, broken) => {
    expect(() => readRequest(broken as never)).toThrow(expect.objectContaining({ code: 'invalid-challenge' }))
  })

  test('TC-043 sources are did:pkh', () => {
    expect(readSource(`did:pkh:eip155:1337:${A}`)).toEqual({ chainId: 1337, address: A })
    for (const source of [
      A,
      `did:pkh:eip155:${A}`,
      `did:pkh:solana:1:${A}`,
      `did:pkh:eip155:01:${A}`,
      `did:pkh:eip155:1:${A}0`,
      '',
    ]) {
      expect(readSource(source)).toBeUndefined()
    }
  })
})

describe('what must not be printed', () => {
  test('shows itself to nothing', () => {
    const sealed = new Sealed('0xsecret')
    for (const text of [
      JSON.stringify({ sealed }),
      inspect({ sealed }),
      String(sealed),
      inspect(sealed, { showHidden: true }),
    ]) {
      expect(text).not.toContain('secret')
    }
    expect(sealed.reveal()).toBe('0xsecret')
  })
})

test('A-14 what the registry says of an access key', () => {
  const says = (key: string, expiry: number, revoked: number) =>
    `0x${[0n, BigInt(key), BigInt(expiry), 0n, BigInt(revoked)].map((n) => n.toString(16).padStart(64, '0')).join('')}`
  expect(readKey(says(A, 1001, 0), A, 1000)).toBe(true)
  expect(readKey(says(B, 1001, 0), A, 1000)).toBe(false)
  expect(readKey(says(A, 1000, 0), A, 1000)).toBe(false)
  expect(readKey(says(A, 1001, 1), A, 1000)).toBe(false)
  expect(() => readKey('0x', A, 1000)).toThrow(/did not tell/)
})

describe('failures', () => {
  test('A-22 count per sender for ten minutes', () => {
    const failures = createFailures(2, 100n)
    failures.add(A, 1000, 1n)
    expect(failures.tooMany(A, 1000)).toBe(false)
    failures.add(A, 1001, 1n)
    expect(failures.tooMany(A, 1001)).toBe(true)
    expect(failures.tooMany(B, 1001)).toBe(false)
    expect(failures.tooMany(A, 1601)).toBe(false)
  })

  test('A-22 limit what one sender has under way', () => {
    const failures = createFailures(3, 100n)
    const open = Array.from({ length: 3 }, () => failures.begin(A, 1000)!)
    expect(failures.begin(A, 1000)).toBeUndefined()
    expect(failures.begin(B, 1000)).toBeDefined()
    for (const close of open) close()
    // Those that failed leave less.
    failures.add(A, 1000, 1n)
    expect(failures.begin(A, 1000)).toBeDefined()
    expect(failures.begin(A, 1000)).toBeDefined()
    expect(failures.begin(A, 1000)).toBeUndefined()
    expect(failures.begin(A, 1600)).toBeDefined()
  })

  test('A-22 limit what all senders together may cost in an hour', () => {
    const failures = createFailures(2, 100n)
    failures.add(A, 6000, 60n)
    expect(failures.isSpent(6000)).toBe(false)
    failures.add(B, 7000, 40n)
    expect(failures.isSpent(7000)).toBe(true)
    expect(failures.isSpent(9599)).toBe(true)
    expect(failures.isSpent(9600)).toBe(false)
    failures.add(A, 20_000, 99n)
    expect(failures.isSpent(20_000)).toBe(false)
  })

  test('remember a bounded number of senders', () => {
    const failures = createFailures(1, 1n)
    for (let i = 0; i < 10_001; i++) failures.add(hex(`0x${i}`), 1000, 1n)
    expect(failures.tooMany(hex('0x0'), 1000)).toBe(false)
    expect(failures.tooMany(hex('0x10000'), 1000)).toBe(true)
  })
})

test('fees are counted in units of six decimals, rounded up', () => {
  expect(feeOf(59_558n, 20_000_000_000n)).toBe(1192n)
  expect(feeOf(1n, 1n)).toBe(1n)
})
