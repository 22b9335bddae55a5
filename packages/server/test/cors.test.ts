import { memoryStore } from '@mppkit/server'
import { toyMethod } from '@mppkit/testing/toy'
import { describe, expect, test } from 'vitest'
import { buy, drive, PRICE, seller, type Reply, type SellerOptions } from './lib/harness.ts'

async function open(options: SellerOptions = {}) {
  const shop = seller({ store: memoryStore(), ...options })
  await shop.fund()
  return { shop, gate: shop.charge(PRICE) }
}

function never(): never {
  throw new Error('no handler may run')
}

describe('P13: scripts of other origins', () => {
  const APP = 'https://app.example.com'
  const cors = (answer: Reply) =>
    answer.headers
      .filter(([name]) => name.startsWith('access-control-allow-'))
      .map(([name]) => name.slice(21))
      .toSorted()

  test('CORE-155: what a script may read is exposed on every 402, with or without `cors`', async () => {
    const { gate } = await open()
    const answer = await drive(gate)
    expect(answer.header('access-control-expose-headers')).toBe(
      'WWW-Authenticate, Payment-Receipt, Retry-After',
    )
    expect(answer.header('cache-control')).toBe('no-store')
    expect(cors(answer)).toEqual([])
  })

  test('without `cors` a preflight gets nothing but 204', async () => {
    const { gate } = await open()
    const answer = await drive(gate, {
      method: 'OPTIONS',
      headers: { origin: APP, 'access-control-request-method': 'GET' },
    })
    expect([answer.status, cors(answer)]).toEqual([204, []])
  })

  test.each([
    ['*', APP, ['origin']],
    [[APP], APP, ['credentials', 'origin']],
    [[APP], 'https://evil.example.com', []],
    [[APP], undefined, []],
  ] as const)('cors %j, origin %s: %j', async (allowed, origin, expected) => {
    for (const amount of ['1.00', () => '1.00']) {
      const { shop } = await open({ cors: allowed })
      const gate = shop.charge({ amount })
      const headers: Record<string, string> = origin === undefined ? {} : { origin }
      const unpaid = await drive(gate, { headers })
      const ask = await buy(shop, gate, { headers })
      const failed = await drive(gate, ask, () => ({ status: 500 }))
      const served = await drive(gate, ask)
      const spent = await drive(gate, ask, never)
      const broken = await drive(gate, { target: '/..', headers })
      expect([unpaid, failed, served, spent, broken].map((answer) => [answer.status, cors(answer)])).toEqual(
        [402, 500, 200, 402, 400].map((status) => [status, expected]),
      )
      if (expected.length > 0)
        expect(served.header('access-control-allow-origin')).toBe(allowed === '*' ? '*' : APP)
      if (allowed !== '*') expect(unpaid.header('vary')).toContain('Origin')
    }
  })

  test('a preflight is told what may be sent', async () => {
    const { gate } = await open({ cors: [APP] })
    const answer = await drive(
      gate,
      { method: 'OPTIONS', headers: { origin: APP, 'access-control-request-method': 'PUT' } },
      never,
    )
    expect([
      answer.status,
      answer.header('access-control-allow-methods'),
      answer.header('access-control-allow-origin'),
    ]).toEqual([204, 'PUT', APP])
    for (const name of ['Authorization', 'Payment-Authorization', 'Accept-Payment', 'Idempotency-Key'])
      expect(answer.header('access-control-allow-headers')).toContain(name)
    const stranger = await drive(gate, {
      method: 'OPTIONS',
      headers: { origin: 'https://evil.example.com', 'access-control-request-method': 'PUT' },
    })
    expect([stranger.status, cors(stranger)]).toEqual([204, []])
  })
})

describe('the 402', () => {
  test('CORE-105 CORE-106 CORE-107 CORE-165: problem+json that names the fresh challenge; one quote for all offers', async () => {
    const shop = seller()
    const two = seller({ more: [toyMethod({ ledger: shop.ledger, name: 'coin', recipient: 'shop' })] })
    const answer = await drive(two.charge(PRICE))
    expect(answer.header('content-type')).toBe('application/problem+json')
    expect(answer.problem).toMatchObject({ status: 402, challengeId: answer.challenges[0]!.id })
    expect(answer.problem.type).toMatch(/^https:\/\/paymentauth\.org\/problems\//)
    const quotes = answer.challenges.map(
      ({ opaque }) => (JSON.parse(Buffer.from(opaque!, 'base64url').toString()) as { _n: string })._n,
    )
    expect(quotes[0]).toBe(quotes[1])
    expect((await drive(two.charge(PRICE))).challenges[0]!.id).not.toBe(answer.challenges[0]!.id)
  })

  test('Accept-Payment orders the offers, and a stranger to all of them is offered all', async () => {
    const shop = seller()
    const two = seller({ more: [toyMethod({ ledger: shop.ledger, name: 'coin', recipient: 'shop' })] })
    const gate = two.charge(PRICE)
    const offered = async (accept: string): Promise<string[]> =>
      (await drive(gate, { headers: { 'accept-payment': accept } })).challenges.map(({ method }) => method)
    expect(await offered('coin/charge')).toEqual(['coin'])
    expect(await offered('toy/charge;q=0.1, coin/charge')).toEqual(['coin', 'toy'])
    expect(await offered('stripe/charge')).toEqual(['toy', 'coin'])
    expect(await offered('!!')).toEqual(['toy', 'coin'])
  })

  test('CORE-156: the receipt travels on 2xx only, and is private', async () => {
    const { shop, gate } = await open()
    const served = await drive(gate, await buy(shop, gate))
    expect(served.receipt).toMatchObject({ status: 'success', method: 'toy' })
    expect(served.header('cache-control')).toBe('private')
  })
})
