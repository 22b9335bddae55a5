import { tempo as mppx } from 'mppx/client'
import { Mppx, tempo as mppxSeller } from 'mppx/server'
import { createClient, http } from 'viem'
import { generatePrivateKey, privateKeyToAccount } from 'viem/accounts'
import { tempoLocalnet } from 'viem/chains'
import { Account } from 'viem/tempo'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { decodeOpaque, decodeRequest, formatCredential, parseChallenges, parseReceipt } from '@mppkit/core'
import { startTempo, type LocalTempo } from '../../../testing/src/anvil.ts'
import { tempo as buyers } from '../src/client.ts'
import { tempo as sellers } from '../src/server.ts'
import { buyerContext, offer, Till, type Credential, type Offer } from './harness.ts'

let chain: LocalTempo
beforeAll(async () => {
  chain = await startTempo()
})
afterAll(() => chain?.stop())

const kinds = {
  'viem account': () => privateKeyToAccount(generatePrivateKey()),
  'secp256k1 of viem/tempo': () => Account.fromSecp256k1(generatePrivateKey()),
  P256: () => Account.fromP256(generatePrivateKey()),
  passkey: () =>
    Account.fromHeadlessWebAuthn(generatePrivateKey(), { rpId: 'localhost', origin: 'http://localhost' }),
}

async function answer(
  made: Offer,
  account: ReturnType<(typeof kinds)[keyof typeof kinds]>,
  mode?: 'pull' | 'push',
): Promise<Credential> {
  const local = { ...tempoLocalnet, rpcUrls: { default: { http: [chain.url] } } }
  const getClient = () =>
    createClient({ account, chain: local, transport: http(chain.url), pollingInterval: 50 })
  const method = mppx.charge({ account, getClient, ...(mode && { mode }) } as never)
  const challenge = { ...made.challenge, request: made.request, opaque: decodeOpaque(made.challenge.opaque!) }
  const header = (await method.createCredential({ challenge, context: {} } as never)) as string
  return JSON.parse(Buffer.from(header.slice('Payment '.length), 'base64url').toString())
}

describe.each(Object.entries(kinds))('the mppx client with a %s pays', (_, make) => {
  test.each([
    ['pull', {}, 'pull'],
    ['pull, sponsored', { sponsored: true }, undefined],
    ['pull, splits', { splits: true }, 'pull'],
    ['push', {}, 'push'],
  ] as const)(
    '%s',
    async (_name, { sponsored = false, splits = false }: { sponsored?: boolean; splits?: boolean }, mode) => {
      const account = make()
      await chain.fund(account.address, 10_000_000n)
      const merchant = chain.accounts[1]!.address
      const seller = sellers.charge({
        recipient: merchant,
        chainId: 1337,
        rpcUrl: chain.url,
        ...(sponsored && {
          feePayer: { account: privateKeyToAccount(chain.accounts[2]!.privateKey as `0x${string}`) },
        }),
        ...(splits && { splits: [{ amount: '0.001', recipient: chain.accounts[3]!.address }] }),
      })
      const till = new Till(seller)
      const made = await offer(seller, { amount: '0.01' })
      const before = await chain.balance(merchant)
      const { receipt, payer } = await till.admit(made, await answer(made, account, mode))
      expect(await chain.balance(merchant)).toBe(before + (splits ? 9_000n : 10_000n))
      expect(payer).toBe(account.address.toLowerCase())
      expect(receipt.reference).toMatch(/^0x[0-9a-f]{64}$/)
      const spent = 10_000_000n - (await chain.balance(account.address))
      expect(spent === 10_000n).toBe(sponsored)
    },
  )

  test('nothing, and proves its identity', async () => {
    const account = make()
    const seller = sellers.charge({ recipient: chain.accounts[1]!.address, chainId: 1337, rpcUrl: chain.url })
    const made = await offer(seller, { amount: '0' })
    const { receipt, payer } = await new Till(seller).admit(made, await answer(made, account))
    expect(payer).toBe(account.address.toLowerCase())
    expect(receipt.reference).toBe(made.challenge.id)
  })
})

describe.each(Object.entries(kinds))('an mppx server is paid by a %s', (_, make) => {
  test.each([
    ['pull', { amount: '0.01' }, 'pull'],
    ['pull, sponsored', { amount: '0.01', sponsored: true }, undefined],
    ['pull, splits', { amount: '0.01', splits: true }, undefined],
    ['push', { amount: '0.01' }, 'push'],
    ['proof', { amount: '0' }, undefined],
  ] as const)('%s', async (_name, terms: { amount: string; sponsored?: boolean; splits?: boolean }, mode) => {
    const account = make()
    await chain.fund(account.address, 10_000_000n)
    const merchant = chain.accounts[1]!.address
    const local = { ...tempoLocalnet, rpcUrls: { default: { http: [chain.url] } } }
    const server = Mppx.create({
      realm: 'shop.example.com',
      secretKey: 'a secret of at least thirty-two bytes',
      methods: [
        mppxSeller.charge({
          currency: '0x20c0000000000000000000000000000000000000',
          recipient: merchant,
          getClient: () => createClient({ chain: local, transport: http(chain.url), pollingInterval: 50 }),
          ...(terms.sponsored && {
            feePayer: privateKeyToAccount(chain.accounts[2]!.privateKey as `0x${string}`),
          }),
          ...(terms.splits && { splits: [{ amount: '0.001', recipient: chain.accounts[3]!.address }] }),
        } as never),
      ],
    })
    const ask = async (authorization?: string) =>
      (server as any).charge({ amount: terms.amount })(
        new Request(
          'http://shop.example.com/photo',
          authorization === undefined ? {} : { headers: { authorization } },
        ),
      )
    const first = await ask()
    const [challenge] = parseChallenges(first.challenge.headers.get('www-authenticate')).challenges
    const request = decodeRequest(challenge!.request)
    // mppx lets the node try out the whole transaction, which anvil takes for the creation of a contract: ours is too little gas for that.
    const buyer = buyers.charge({
      account,
      chainId: 1337,
      rpcUrl: chain.url,
      clientId: 'mppkit',
      gas: 1_000_000n,
      ...(mode && { mode }),
    })
    expect(buyer.supports!(challenge!, request)).toBe(true)
    const prepared = await buyer.prepare(challenge!, request, buyerContext())
    await buyer.send!(prepared, buyerContext())
    const second = await ask(
      formatCredential({ challenge: challenge!, payload: buyer.payload(prepared), source: prepared.source! }),
    )
    expect(second.status).toBe(200)
    const receipt = parseReceipt(second.withReceipt(new Response('')).headers.get('payment-receipt'))
    expect(receipt.method).toBe('tempo')
    expect(await buyer.find!(prepared, buyerContext())).toBe(terms.amount === '0' ? 'not-moved' : 'moved')
  })
})
