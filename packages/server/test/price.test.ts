import type { Answer, PriceRequest } from '@mppkit/server'
import { decodeRequest, parseCredential } from '@mppkit/core'
import { describe, expect, test } from 'vitest'
import { buy, drive, PRICE, seller, type Ask } from './lib/harness.ts'
import { counting } from './lib/stores.ts'
import { memoryStore } from '@mppkit/server'

type Said = string | null | Answer

/** A shop whose price is what `says.now` says, and which counts how often it was asked. */
async function computed(options: Parameters<typeof seller>[0] = {}) {
  const shop = seller(options)
  await shop.fund()
  const says: { now: Said | ((request: PriceRequest) => Said | Promise<Said>); calls: number } = {
    now: '1.00',
    calls: 0,
  }
  const gate = shop.charge({
    amount: (request) => {
      says.calls++
      return typeof says.now === 'function' ? says.now(request) : says.now
    },
  })
  return { shop, gate, says }
}

function refusing(status: number): Answer {
  return { status, headers: [['content-type', 'text/plain']], body: 'no such thing' }
}

function amountOf(ask: Ask): unknown {
  return decodeRequest(
    parseCredential(ask.headers!['authorization']!.slice('Payment '.length)).challenge.request,
  )['amount']
}

describe('C3 C26: a price that depends on the request', () => {
  test('it sees method, raw target, headers and body', async () => {
    const { gate, says } = await computed()
    const seen: unknown[] = []
    says.now = async (request) => {
      seen.push(
        request.method,
        request.target,
        request.header('X-Tier'),
        new TextDecoder().decode(await request.body()),
      )
      return '1.00'
    }
    await drive(gate, { method: 'POST', target: '/a%20b?q=1', headers: { 'x-tier': 'gold' }, body: 'letter' })
    await drive(gate, { method: 'HEAD', target: '/a' })
    expect(seen).toEqual(['POST', '/a%20b?q=1', 'gold', 'letter', 'GET', '/a', null, ''])
  })

  test('a computed amount is never computed again: the quote is paid as it was made', async () => {
    const { shop, gate, says } = await computed()
    const ask = await buy(shop, gate)
    says.now = '7.00'
    expect((await drive(gate, ask)).status).toBe(200)
    expect(await shop.ledger.balance('shop')).toBe(100n)
    expect(amountOf(await buy(shop, gate))).toBe('700')
  })

  test('constant terms of a computed price still hold: another recipient is refused', async () => {
    const { shop, gate } = await computed()
    const ask = await buy(shop, gate)
    const other = seller({
      store: shop.store,
      ledger: shop.ledger,
      now: shop.clock.now,
      toy: { recipient: 'heir' },
    })
    const moved = other.charge({ amount: () => '1.00' })
    expect((await drive(moved, ask, never)).problem.type).toMatch(/invalid-challenge$/)
  })

  test.each([401, 403, 404, 409, 422])(
    '%i refuses before money is asked for, and before a credential is taken',
    async (status) => {
      const store = counting(memoryStore())
      const { shop, gate, says } = await computed({ store })
      const ask = await buy(shop, gate)
      says.now = refusing(status)
      for (const given of [{}, ask]) {
        const answer = await drive(gate, given, never)
        expect([
          answer.status,
          answer.body,
          answer.header('cache-control'),
          answer.challenges.length,
        ]).toEqual([status, 'no such thing', 'no-store', 0])
      }
      expect([store.calls.swap, shop.toy.calls.settle]).toEqual([0, 0])
      says.now = '1.00'
      expect((await drive(gate, ask)).status).toBe(200)
    },
  )

  test('null asks for nothing, also of a request that carries a credential, which stays unspent', async () => {
    const store = counting(memoryStore())
    const { shop, gate, says } = await computed({ store })
    const ask = await buy(shop, gate)
    says.now = null
    for (const given of [{}, ask, { headers: { authorization: 'Payment nonsense' } }]) {
      const answer = await drive(gate, given)
      expect([answer.status, answer.passed, answer.receipt]).toEqual([200, true, undefined])
    }
    expect(store.calls.swap).toBe(0)
    says.now = '1.00'
    expect((await drive(gate, ask)).status).toBe(200)
  })

  test('null, and a credential that was spent: it passes or is told so, and never pays again', async () => {
    const { shop, gate, says } = await computed()
    const ask = await buy(shop, gate)
    await drive(gate, ask)
    says.now = null
    const answer = await drive(gate, ask)
    expect(answer.passed === true || answer.status === 409).toBe(true)
    expect((await shop.ledger.transfers()).length).toBe(1)
  })

  test('a promise is awaited; a price of "0" asks for a proof of identity', async () => {
    const { shop, gate, says } = await computed()
    says.now = async () => '0'
    const ask = await buy(shop, gate)
    expect(amountOf(ask)).toBe('0')
    const answer = await drive(gate, ask, (grant) => {
      expect(grant!.payment.payer).toBe('alice')
      return {}
    })
    expect(answer.status).toBe(200)
    expect(await shop.ledger.balance('shop')).toBe(0n)
  })
})

describe('rule "Price": headers that a price depends on', () => {
  const byTier = (request: PriceRequest): string => (request.header('x-tier') === 'gold' ? '0.50' : '2.00')

  test('the header joins the scope: with another value, or without, the credential is refused', async () => {
    const { shop, gate, says } = await computed()
    says.now = byTier
    const cheap = await buy(shop, gate, { headers: { 'x-tier': 'gold' } })
    const authorization = cheap.headers!['authorization']!
    for (const headers of [
      { authorization },
      { authorization, 'x-tier': 'tin' },
      { authorization, 'x-tier': '' },
    ]) {
      const answer = await drive(gate, { headers }, never)
      expect([answer.status, answer.problem.type]).toEqual([402, expect.stringMatching(/invalid-challenge$/)])
    }
    expect((await drive(gate, cheap)).status).toBe(200)
    expect(await shop.ledger.balance('shop')).toBe(50n)
  })

  test('an absent header is bound as absent', async () => {
    const { shop, gate, says } = await computed()
    says.now = byTier
    const dear = await buy(shop, gate)
    expect((await drive(gate, { headers: { ...dear.headers, 'x-tier': 'gold' } }, never)).status).toBe(402)
    expect((await drive(gate, dear)).status).toBe(200)
  })

  test('`Vary` names them, opaque lists names and hashes, never the value', async () => {
    const { gate, says } = await computed()
    says.now = (request) => {
      request.header('X-Tier')
      request.header('accept-language')
      return '1.00'
    }
    const answer = await drive(gate, { headers: { 'x-tier': 'secret-tier' } })
    expect(answer.header('vary')?.toLowerCase()).toContain('accept-language')
    expect(answer.header('vary')?.toLowerCase()).toContain('x-tier')
    const opaque = Buffer.from(answer.challenges[0]!.opaque!, 'base64url').toString()
    expect(opaque).toContain('x-tier')
    expect(opaque).not.toContain('secret-tier')
  })

  test('the host is bound to every computed price: one server may have several', async () => {
    const { shop, gate, says } = await computed()
    says.now = (request) => (request.header('host') === 'cheap.example.com' ? '0.50' : '2.00')
    const ask = await buy(shop, gate, { headers: { host: 'cheap.example.com' } })
    expect((await drive(gate, { headers: { ...ask.headers, host: 'dear.example.com' } }, never)).status).toBe(
      402,
    )
    expect((await drive(gate, ask)).status).toBe(200)
  })

  test('a header that the price did not read is free to change', async () => {
    const { shop, gate, says } = await computed()
    says.now = byTier
    const ask = await buy(shop, gate, { headers: { 'x-tier': 'gold', 'user-agent': 'a' } })
    expect((await drive(gate, { headers: { ...ask.headers, 'user-agent': 'b' } })).status).toBe(200)
  })

  test('rule 2: a header-bound payment is redeemed with the same header only', async () => {
    const { shop, gate, says } = await computed()
    says.now = byTier
    const ask = await buy(shop, gate, { headers: { 'x-tier': 'gold' } })
    await drive(gate, ask, () => ({ status: 500 }))
    says.now = null
    expect(
      (await drive(gate, { headers: { authorization: ask.headers!['authorization']! } })).receipt,
    ).toBeUndefined()
    expect((await drive(gate, ask)).receipt?.method).toBe('toy')
  })
})

describe('two computed prices that answer one target', () => {
  // As where a header chooses the route, or where mounted apps see less of the path than the client asked for.
  const cheap = { amount: () => '0.01' }
  const dear = { amount: () => '500.00' }
  const priceOf = (amount: string) => ({ amount: () => amount })

  test.each<[string, Record<string, unknown>, Record<string, unknown>, number]>([
    ['of other code', cheap, dear, 402],
    [
      'of one factory, with other meta',
      { ...priceOf('0.01'), meta: { of: 'cheap' } },
      { ...priceOf('500.00'), meta: { of: 'dear' } },
      402,
    ],
    ['that are the same', cheap, cheap, 200],
  ])('%s: what the first has quoted is %i at the second', async (_how, quoting, paying, expected) => {
    const shop = seller()
    await shop.fund()
    const ask = await buy(shop, shop.charge(quoting as never))
    const got = await drive(shop.charge(paying as never), ask)
    expect(got.status).toBe(expected)
    // What was quoted stays good where it was quoted.
    if (expected === 402) expect((await drive(shop.charge(quoting as never), ask)).status).toBe(200)
  })

  test('A7: a paid request that failed is honoured after the code of its price has changed', async () => {
    const shop = seller()
    await shop.fund()
    const ask = await buy(shop, shop.charge(cheap))
    expect((await drive(shop.charge(cheap), ask, () => ({ status: 500 }))).status).toBe(500)
    expect((await drive(shop.charge(dear), ask)).status).toBe(200)
  })
})

describe('the terms of a constant price', () => {
  const same = async (change: Record<string, unknown>): Promise<number> => {
    const shop = seller()
    await shop.fund()
    const ask = await buy(shop, shop.charge({ ...PRICE, description: 'a photo' }))
    return (await drive(shop.charge({ ...PRICE, description: 'a photo', ...change }), ask)).status
  }

  test.each<[string, Record<string, unknown>, number]>([
    ['nothing', {}, 200],
    ['the description', { description: 'a picture' }, 200],
    ['the lifetime', { lifetime: 60 }, 200],
    ['the spelling of the amount', { amount: '1.0' }, 200],
    ['to a function', { amount: () => '1.00' }, 402],
    ['the amount', { amount: '1.01' }, 402],
    ['the amount, down', { amount: '0.99' }, 402],
    ['the currency', { currency: 'eur' }, 402],
    ['the recipient', { recipient: 'heir' }, 402],
  ])('C26: a change of %s: %s %i', async (_name, change, expected) => {
    expect(await same(change)).toBe(expected)
  })

  test('C26, promise 4: a challenge of another realm under the same secret is refused', async () => {
    const shop = seller()
    await shop.fund()
    const staging = seller({
      store: shop.store,
      ledger: shop.ledger,
      now: shop.clock.now,
      realm: 'staging.example.com',
    })
    const ask = await buy(shop, staging.charge(PRICE))
    expect((await drive(shop.charge(PRICE), ask, never)).problem.type).toMatch(/invalid-challenge$/)
  })

  test('`meta` is bound, visible and beside ours, whatever its names', async () => {
    const shop = seller()
    await shop.fund()
    const meta = { A: '1', order: 'ü "quoted"', zebra: '\\' }
    const gate = shop.charge({ ...PRICE, meta })
    const answer = await drive(gate)
    const opaque = JSON.parse(Buffer.from(answer.challenges[0]!.opaque!, 'base64url').toString()) as Record<
      string,
      string
    >
    expect(opaque).toMatchObject(meta)
    expect(Object.keys(opaque)).toEqual(Object.keys(opaque).toSorted())
    expect((await drive(gate, await buy(shop, gate))).status).toBe(200)
  })
})

function never(): never {
  throw new Error('no handler may run')
}
