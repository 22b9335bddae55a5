import { formatCredential, parseCredential } from '@mppkit/core'
import { memoryStore } from '@mppkit/server'
import { expect, test } from 'vitest'
import { buy, drive, PRICE, seller, type Ask, type Reply, type Seller } from './lib/harness.ts'
import { counting } from './lib/stores.ts'

const REMOTE: Ask = { transport: 'tls', remote: '203.0.113.7' }

async function forged(shop: Seller, gate: ReturnType<Seller['charge']>, ask: Ask): Promise<Ask> {
  const { challenges } = await drive(gate, ask)
  return { ...ask, headers: { authorization: await shop.wallet.pay(challenges[0]!, { signature: 'AAAA' }) } }
}

function never(): never {
  throw new Error('no handler may run')
}

/** Every way to be refused. */
const REFUSED: [string, (good: string, shop: Seller) => string | Promise<string>][] = [
  ['no base64url', () => 'Payment !!!'],
  ['no JSON', () => `Payment ${Buffer.from('{').toString('base64url')}`],
  ['no challenge', () => `Payment ${Buffer.from('{}').toString('base64url')}`],
  [
    'a challenge of somebody else',
    (good) =>
      changed(good, (credential) => (credential.challenge.id = `x${credential.challenge.id.slice(1)}`)),
  ],
  [
    'a cheaper request',
    (good) =>
      changed(
        good,
        (credential) =>
          (credential.challenge.request = Buffer.from(
            '{"amount":"1","currency":"usd","recipient":"shop"}',
          ).toString('base64url')),
      ),
  ],
  [
    'a later expiry',
    (good) => changed(good, (credential) => (credential.challenge.expires = '2099-01-01T00:00:00Z')),
  ],
  ['no payload', (good) => changed(good, (credential) => (credential.payload = {}))],
  ['a forged signature', (good) => changed(good, (credential) => (credential.payload['signature'] = 'AAAA'))],
  [
    'a signature of another challenge',
    (good) => changed(good, (credential) => (credential.payload['nonce'] = 'other')),
  ],
  ['a payer without money', (good, shop) => shop.wallet.pay(parse(good).challenge, { from: 'pauper' })],
]

function parse(authorization: string) {
  return parseCredential(authorization.slice('Payment '.length))
}

function changed(authorization: string, change: (credential: ReturnType<typeof parse>) => unknown): string {
  const credential = structuredClone(parse(authorization))
  change(credential)
  return formatCredential(credential)
}

test.each(REFUSED)(
  'CORE-139 CORE-140, rules 3 16: %s writes nothing and gets a fresh challenge',
  async (_name, forge) => {
    const store = counting(memoryStore())
    const shop = seller({ store })
    await shop.fund()
    const gate = shop.charge(PRICE)
    const good = await buy(shop, gate)
    expect(store.calls).toEqual({ get: 0, swap: 0, due: 0 })
    const answer = await drive(
      gate,
      {
        headers: {
          authorization: await forge(good.headers!['authorization']!, shop),
          'idempotency-key': 'k',
        },
      },
      never,
    )
    expect([answer.status, answer.challenges.length, answer.header('cache-control')]).toEqual([
      402,
      1,
      'no-store',
    ])
    expect(answer.header('retry-after')).toBeUndefined()
    expect(store.calls.swap).toBe(0)
    expect(shop.toy.calls.settle).toBe(0)
    expect(await shop.ledger.transfers()).toEqual([])
    expect((await drive(gate, good)).status).toBe(200)
  },
)

test('CORE-160, C36, rule 16: the 21st refused credential from one remote is 429; others, and those who pay, go on', async () => {
  const shop = seller({ origin: 'https://api.example.com', store: durable() })
  await shop.fund()
  const gate = shop.charge(PRICE)
  for (let time = 0; time < 20; time++)
    expect((await drive(gate, await forged(shop, gate, REMOTE))).status).toBe(402)
  const calls = shop.toy.calls.verify
  const blocked = await drive(gate, await forged(shop, gate, REMOTE))
  expect(blocked.status).toBe(429)
  expect(Number(blocked.header('retry-after'))).toBeGreaterThan(0)
  expect(Number(blocked.header('retry-after'))).toBeLessThanOrEqual(60)
  expect(blocked.challenges).toEqual([])
  expect(shop.toy.calls.verify).toBe(calls)
  const other = { ...REMOTE, remote: '203.0.113.8' }
  expect((await drive(gate, await forged(shop, gate, other))).status).toBe(402)
  expect((await drive(gate, await buy(shop, gate, other))).status).toBe(200)
  // Asking for the price is not limited.
  expect((await drive(gate, REMOTE)).status).toBe(402)
  shop.clock.advance(60_000)
  expect((await drive(gate, await buy(shop, gate, REMOTE))).status).toBe(200)
})

test.each(['127.0.0.1', '::1', '::ffff:127.0.0.1'])('rule 16: %s is never limited', async (remote) => {
  const shop = seller()
  const gate = shop.charge(PRICE)
  for (let time = 0; time < 30; time++)
    expect((await drive(gate, await forged(shop, gate, { remote }))).status).toBe(402)
})

test('rule 16: rail and store faults, waiting and success are not counted', async () => {
  const shop = seller({ origin: 'https://api.example.com', store: durable() })
  await shop.fund()
  const gate = shop.charge(PRICE)
  const ask = await buy(shop, gate, REMOTE)
  shop.faults.next('verify', 'down', { times: 25 })
  for (let time = 0; time < 25; time++) expect((await drive(gate, ask)).status).toBe(503)
  for (let time = 0; time < 25; time++)
    expect((await drive(gate, await buy(shop, gate, REMOTE))).status).toBe(200)
})

test('rule 16: junk that holds no challenge of ours is not counted: it costs nothing, and a neighbour may have sent it', async () => {
  const shop = seller({ origin: 'https://api.example.com', store: durable() })
  await shop.fund()
  const gate = shop.charge(PRICE)
  for (let time = 0; time < 30; time++)
    expect((await drive(gate, { ...REMOTE, headers: { authorization: 'Payment junk' } })).status).toBe(402)
  expect((await drive(gate, await buy(shop, gate, REMOTE))).status).toBe(200)
})

test('rule 16: the limit can be set, and switched off', async () => {
  for (const [verify, last] of [
    ['2/h', 429],
    [false, 402],
  ] as const) {
    const shop = seller({ origin: 'https://api.example.com', store: durable(), limits: { verify } })
    const gate = shop.charge(PRICE)
    let answer: Reply | undefined
    for (let time = 0; time < 25; time++) answer = await drive(gate, await forged(shop, gate, REMOTE))
    expect(answer?.status).toBe(last)
  }
})

test('rule 13, C10: a memory store at its bound answers 503, forgets nothing, and goes on when room is there', async () => {
  const shop = bounded(20)
  await shop.fund()
  const gate = shop.charge(PRICE)
  const spent: Ask[] = []
  let full: Reply | undefined
  for (let time = 0; time < 30 && !full; time++) {
    const ask = await buy(shop, gate)
    const answer = await drive(gate, ask)
    if (answer.status === 200) spent.push(ask)
    else full = answer
  }
  expect([spent.length, full?.status, full?.header('retry-after')]).toEqual([10, 503, '1'])
  for (const ask of spent) expect((await drive(gate, ask, never)).status).toBe(402)
  expect((await shop.ledger.transfers()).length).toBe(10)
  shop.clock.advance(3_600_000)
  expect((await drive(gate, await buy(shop, gate))).status).toBe(200)
})

test('rule 13: a bound that is met between the claims takes no money, and frees itself', async () => {
  const shop = bounded(21)
  await shop.fund()
  const gate = shop.charge(PRICE)
  for (let time = 0; time < 10; time++) expect((await drive(gate, await buy(shop, gate))).status).toBe(200)
  const half = await buy(shop, gate)
  expect((await drive(gate, half, never)).status).toBe(503)
  expect((await shop.ledger.transfers()).length).toBe(10)
  shop.clock.advance(100_000)
  expect((await drive(gate, half, never)).status).toBe(503)
  shop.clock.advance(3_600_000)
  await shop.recover()
  expect((await drive(gate, await buy(shop, gate))).status).toBe(200)
})

test('A9, rules 8 13: a flood of free payments that hang up fills the store for a quarter of an hour, not for ever', async () => {
  const shop = bounded(40)
  await shop.fund()
  const free = shop.charge({ amount: '0' })
  const dear = shop.charge(PRICE)
  let answer: Reply | undefined
  for (let time = 0; time < 50; time++)
    answer = await drive(free, await buy(shop, free), () => ({ reached: 'some' }))
  expect(answer?.status).toBe(503)
  const waiting = await buy(shop, dear)
  expect((await drive(dear, waiting, never)).status).toBe(503)
  expect(await shop.ledger.transfers()).toEqual([])
  shop.clock.advance(22 * 60_000)
  for (let time = 0; time < 20; time++) expect((await drive(dear, await buy(shop, dear))).status).toBe(200)
})

test('A9, rule 8: amount zero is redeemed like any other, then gone: never `unclaimed`, never refunded', async () => {
  const shop = seller({ toy: { canRefund: true } })
  const gate = shop.charge({ amount: '0' })
  const ask = await buy(shop, gate)
  for (let time = 0; time < 3; time++)
    expect((await drive(gate, ask, () => ({ status: 500 }))).status).toBe(500)
  expect((await drive(gate, ask, never)).status).toBe(402)
  shop.clock.advance(48 * 3_600_000)
  await shop.recover()
  expect(shop.toy.calls.refund).toBe(0)
  expect(await shop.store.due('mppkit:unclaimed', 10)).toEqual([])
  expect((await drive(gate, ask, never)).status).toBe(402)
})

function bounded(max: number): Seller {
  let now = (): number => Date.now()
  const store = memoryStore({ max, now: () => now() })
  const shop = seller({ store })
  now = shop.clock.now
  return shop
}

/** Passes for a store that survives a restart. */
function durable() {
  return counting(memoryStore())
}
