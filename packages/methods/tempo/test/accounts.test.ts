import type * as SignatureEnvelope from 'ox/tempo/SignatureEnvelope'
import { generatePrivateKey, privateKeyToAccount } from 'viem/accounts'
import { Account } from 'viem/tempo'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { startTempo, type LocalTempo } from '../../../testing/src/anvil.ts'
import type { SigningAccount } from '../src/lib/account.ts'
import type { Hex } from '../src/lib/address.ts'
import { heavy } from '../src/lib/heavy.ts'
import { tempo as buyers } from '../src/client.ts'
import { tempo as sellers } from '../src/server.ts'
import { honest, open, sign, transaction, transfers, usdCall } from './craft.ts'
import { doubt, hex, offer, pay, refusal, startProxy, Till, usd, type Proxy, type Terms } from './harness.ts'

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
beforeEach(() => {
  proxy.calls.length = 0
  proxy.fault = () => 'pass'
})

const passkey = (options: object = {}) =>
  Account.fromHeadlessWebAuthn(generatePrivateKey(), {
    rpId: 'localhost',
    origin: 'http://localhost',
    ...options,
  })
const roots = {
  secp256k1: () => Account.fromSecp256k1(generatePrivateKey()),
  'P-256': () => Account.fromP256(generatePrivateKey()),
  passkey: () => passkey(),
}
const keys = {
  secp256k1: (access: any) => Account.fromSecp256k1(generatePrivateKey(), { access }),
  'P-256': (access: any) => Account.fromP256(generatePrivateKey(), { access }),
  passkey: (access: any) => passkey({ access }),
}
const now = () => Math.floor(Date.now() / 1000)

async function shop(terms: Terms = { amount: '0.01' }, over: object = {}) {
  const seller = sellers.charge({
    recipient: merchant,
    chainId: 1337,
    rpcUrl: proxy.url,
    rpcTimeout: 3000,
    ...over,
  })
  return { till: new Till(seller), made: await offer(seller, terms) }
}
const buy = (account: SigningAccount, over: object = {}) =>
  buyers.charge({ account, chainId: 1337, rpcUrl: proxy.url, ...over })

/** Makes the key good for 1,000 dollars. */
async function register(root: any, key: any, over: object = {}): Promise<void> {
  const keyAuthorization = await root.signKeyAuthorization(key, {
    chainId: 1337n,
    expiry: now() + 3600,
    limits: [{ token: hex(usd), limit: 1_000_000_000n }],
    ...over,
  })
  const raw = await sign(key, {
    calls: [usdCall(merchant, 1n)],
    keyAuthorization,
    gas: 8_000_000n,
    from: root.address,
  } as never)
  expect((await chain.rpc('eth_sendRawTransactionSync', [raw])).status).toBe('0x1')
}

describe.each(Object.entries(roots))('a %s account', (_, make) => {
  test.each(['pull', 'push'] as const)('TC-055 pays by %s', async (mode) => {
    const account = make()
    await chain.fund(account.address, 10_000_000n)
    const { till, made } = await shop()
    const { payer } = await till.admit(made, await pay(buy(account, { mode }), made))
    expect(payer).toBe(account.address.toLowerCase())
  })

  test('A-14 with a signature over something else pays nothing', async () => {
    const account = make()
    const { till, made } = await shop()
    const wrong = {
      address: account.address,
      sign: () => account.sign({ hash: hex(`0x${'11'.repeat(32)}`) }),
    }
    const signed = await sign(wrong, { calls: transfers([honest(made)]) })
    const source = `did:pkh:eip155:1337:${account.address}`
    expect((await refusal(till.admit(made, { ...transaction(signed), source }))).code).toBe(
      'verification-failed',
    )
    expect(proxy.calls).toEqual([])
  })

  test('A-07 has one key per transaction, whatever the signature', async () => {
    const account = make()
    const { till, made } = await shop()
    const calls = transfers([honest(made)])
    const first = await sign(account, { calls, validBefore: now() + 20 })
    const { Envelope, Signatures } = await heavy()
    const envelope = open(first)
    const again = Envelope.serialize(envelope, {
      signature: Signatures.from(await account.sign({ hash: Envelope.getSignPayload(envelope) })),
    })
    const [one, other] = await Promise.all(
      [first, again].map((it) => till.parse(made, transaction(it).payload)),
    )
    expect(other!.key).toBe(one!.key)
  })
})

describe.each(Object.entries(keys))('a %s access key', (_, make) => {
  test('pays out of the account that allowed it; the server asks the chain whether it did', async () => {
    const root = Account.fromSecp256k1(generatePrivateKey())
    await chain.fund(root.address, 10_000_000n)
    const key = make(root)
    await register(root, key)
    for (const over of [
      {},
      { feePayer: { account: Account.fromSecp256k1(hex(chain.accounts[2]!.privateKey)) } },
    ]) {
      const { till, made } = await shop({ amount: '0.01' }, over)
      proxy.calls.length = 0
      const credential = await pay(buy(key), made)
      expect(credential.source).toBe(`did:pkh:eip155:1337:${root.address}`)
      const { payer } = await till.admit(made, credential)
      expect(payer).toBe(root.address.toLowerCase())
      const server = proxy.calls.slice(1)
      expect(server).toEqual([over.feePayer ? 'eth_simulateV1' : 'eth_call', 'eth_sendRawTransactionSync'])
    }
    // Pushed, the chain has judged it.
    const { till, made } = await shop()
    proxy.calls.length = 0
    expect((await till.admit(made, await pay(buy(key, { mode: 'push' }), made))).payer).toBe(
      root.address.toLowerCase(),
    )
    expect(proxy.calls.slice(2)).toEqual(['eth_getTransactionReceipt'])
  })

  test('A-14 nobody has allowed pays nothing', async () => {
    const victim = Account.fromSecp256k1(generatePrivateKey())
    await chain.fund(victim.address, 10_000_000n)
    for (const over of [
      {},
      { feePayer: { account: Account.fromSecp256k1(hex(chain.accounts[2]!.privateKey)) } },
    ]) {
      const { till, made } = await shop({ amount: '0.01' }, over)
      const credential = await pay(buy(make(victim)), made)
      expect((await refusal(till.admit(made, credential))).detail).toMatch(/may not act/)
      expect(proxy.calls.filter((method) => method.startsWith('eth_send'))).toEqual([])
    }
    expect(await chain.balance(victim.address)).toBe(10_000_000n)
  })

  test('may bring the consent of its account along', async () => {
    const root = Account.fromP256(generatePrivateKey())
    await chain.fund(root.address, 10_000_000n)
    const key = make(root)
    const keyAuthorization = await root.signKeyAuthorization(
      key as never,
      { chainId: 1337n, expiry: now() + 3600, limits: [{ token: hex(usd), limit: 1_000_000_000n }] } as never,
    )
    const { till, made } = await shop()
    const signed = await sign(key, {
      calls: transfers([honest(made)]),
      keyAuthorization,
      gas: 8_000_000n,
    } as never)
    proxy.calls.length = 0
    expect((await till.admit(made, transaction(signed))).payer).toBe(root.address.toLowerCase())
    expect(proxy.calls).toEqual(['eth_sendRawTransactionSync'])
  })
})

test('A-07 the same transaction with two signatures: both are noted, one is mined, and it is found', async () => {
  const privateKey = generatePrivateKey()
  // A passkey counts: it never signs the same way twice.
  const signs = (signCount: number) =>
    Account.fromHeadlessWebAuthn(privateKey, { rpId: 'localhost', origin: 'http://localhost', signCount })
  await chain.fund(signs(1).address, 10_000_000n)
  const { till, made } = await shop()
  const over = { calls: transfers([honest(made)]), validBefore: now() + 20 }
  const parse = async (account: SigningAccount) =>
    till.parse(made, transaction(await sign(account, over)).payload)
  const [first, second] = [await parse(signs(1)), await parse(signs(2))]
  expect(second.key).toBe(first.key)
  expect(second.note).not.toBe(first.note)
  const receipt = await till.seller.settle(first, till.noted(made, [], undefined, first.note))
  const notes: string[] = []
  expect(await till.seller.settle(second, till.noted(made, notes, undefined, first.note))).toEqual(receipt)
  expect(JSON.parse(notes[0]!).hashes).toHaveLength(2)
  // What stands there already is not written again.
  const none: string[] = []
  await till.seller.settle(first, till.noted(made, none, undefined, notes[0]))
  expect(none).toEqual([])
})

describe('an access key is refused', () => {
  test('A-14 with a consent that its account did not give', async () => {
    const victim = Account.fromSecp256k1(generatePrivateKey())
    const thief = Account.fromSecp256k1(generatePrivateKey())
    const key = keys.secp256k1(victim)
    const consent = (root: any, over: object = {}) =>
      root.signKeyAuthorization(key, { chainId: 1337n, expiry: now() + 3600, ...over } as never)
    const { till, made } = await shop()
    const calls = transfers([honest(made)])
    const other = keys.secp256k1(victim)
    for (const keyAuthorization of [
      await consent(thief),
      { ...(await consent(victim)), limits: [{ token: hex(usd), limit: 1n }] },
      await consent(victim, { chainId: 4217n }),
      await consent(victim, { chainId: 0n }),
      await consent(victim, { expiry: now() - 1 }),
      await victim.signKeyAuthorization(other as never, { chainId: 1337n, expiry: now() + 3600 } as never),
    ]) {
      const signed = await sign(key, { calls, keyAuthorization, gas: 8_000_000n } as never)
      expect((await refusal(till.admit(made, transaction(signed)))).code).toBe('verification-failed')
    }
    expect(proxy.calls).toEqual([])
  })

  test('A-14 when it has been revoked or has expired', async () => {
    const root = Account.fromSecp256k1(generatePrivateKey())
    await chain.fund(root.address, 10_000_000n)
    const key = keys.secp256k1(root)
    await register(root, key)
    const { till, made } = await shop()
    till.now = () => Date.now() + 3_700_000
    const later = { ...made, challenge: { ...made.challenge, expires: '2099-01-01T00:00:00Z' } }
    const signed = await sign(key, { calls: transfers([honest(made)]), validBefore: now() + 3_720 })
    expect((await refusal(till.admit(later, transaction(signed)))).detail).toMatch(/may not act/)

    till.now = Date.now
    const word = (key as any).accessKeyAddress.slice(2).padStart(64, '0')
    const revoke = {
      to: hex('0xaaaaaaaa00000000000000000000000000000000'),
      data: hex(`0x5ae7ab32${word}`.toLowerCase()),
    }
    expect(
      (await chain.rpc('eth_sendRawTransactionSync', [await sign(root, { calls: [revoke] })])).status,
    ).toBe('0x1')
    expect((await refusal(till.admit(made, await pay(buy(key), made)))).detail).toMatch(/may not act/)
  })

  test('by nobody while the node is down', async () => {
    const root = Account.fromSecp256k1(generatePrivateKey())
    await chain.fund(root.address, 10_000_000n)
    const { till, made } = await shop()
    const credential = await pay(buy(keys.secp256k1(root)), made)
    proxy.fault = () => 'reset'
    await doubt(till.admit(made, credential))
    proxy.fault = () => ({ result: '0x' })
    await doubt(till.admit(made, credential))
  })

  test('A-14 an account of several owners', async () => {
    const victim = hex(chain.accounts[5]!.address)
    const { till, made } = await shop()
    const { Envelope, Signatures } = await heavy()
    const envelope = open(
      await sign(Account.fromSecp256k1(generatePrivateKey()), { calls: transfers([honest(made)]) }),
    )
    const { signature: _, from: __, ...rest } = envelope
    // Anyone can write down an account, and say that it is owned by oneself now.
    const thief = privateKeyToAccount(generatePrivateKey())
    const approval = await thief.sign({ hash: Envelope.getSignPayload(envelope) })
    const signature = Signatures.from({
      type: 'multisig',
      account: victim,
      config: { version: 1n, threshold: 1, owners: [{ owner: thief.address, weight: 1 }] },
      signatures: [Signatures.from(approval) as SignatureEnvelope.Primitive],
    })
    const signed = Envelope.serialize(rest, { signature })
    expect((await refusal(till.admit(made, transaction(signed)))).detail).toMatch(/Multisig/)
    expect(proxy.calls).toEqual([])
  })

  test('A-14 in the old form, which does not say for which account it signs', async () => {
    const root = Account.fromSecp256k1(generatePrivateKey())
    const key = Account.fromSecp256k1(generatePrivateKey(), { access: root, internal_version: 'v1' })
    const { till, made } = await shop()
    const signed = await sign(key, { calls: transfers([honest(made)]) })
    expect((await refusal(till.admit(made, transaction(signed)))).detail).toMatch(/does not name its account/)
  })

  test('beyond its limit by the chain: nothing is paid, and nothing but the fee is lost', async () => {
    const root = Account.fromSecp256k1(generatePrivateKey())
    await chain.fund(root.address, 10_000_000n)
    const key = keys.secp256k1(root)
    await register(root, key, { limits: [{ token: hex(usd), limit: 1_000_000n }] })
    const { till, made } = await shop({ amount: '5' })
    const before = await chain.balance(merchant)
    expect((await refusal(till.admit(made, await pay(buy(key), made)))).detail).toMatch(/reverted/)
    expect(await chain.balance(merchant)).toBe(before)
  })
})
