import { decodeRequest } from '@mppkit/core'
import type { Answer } from '@mppkit/server'
import { expect } from 'vitest'
import { expectPaid, expectRefusal, withCredential, type Bench } from './test-adapter-bench.ts'
import { toyMethod } from './toy-method.ts'

/** Prices that depend on the request, and overrides per route. */
export function priceQuestions({
  alice,
  ask,
  credential,
  gates,
  insist,
  ledger,
  pay,
  quote,
  route,
  send,
  store,
  toyGates,
}: Bench): void {
  const options = { with: toyGates }
  const amountOf = async (target: string, headers: [string, string][] = []): Promise<unknown> =>
    decodeRequest((await quote({ target, headers }))[0]!.request).amount

  const free = route(
    '/price/free',
    { kind: 'text', body: 'free' },
    { ...options, price: { amount: () => null } },
  )
  ask('amount-null', ['CORE-014'], 'a price of null asks for nothing', async () => {
    const writes = store.written.length
    const got = await send(free)
    expect([got.status, got.text, got.get('payment-receipt'), got.get('www-authenticate')]).toEqual([
      200,
      'free',
      null,
      null,
    ])
    expect(store.written.length).toBe(writes)
  })

  const some = route(
    '/price/some',
    { kind: 'text', body: 'some' },
    {
      ...options,
      verb: 'all',
      price: { amount: ({ method }) => (method === 'POST' ? '1' : null) },
    },
  )
  ask('amount-some', ['CORE-014'], 'some methods of a resource may be free', async () => {
    expect((await send(some)).status).toBe(200)
    expect((await send({ target: some.target, method: 'POST' })).status).toBe(402)
    expectPaid(await pay({ target: some.target, method: 'POST' }))
  })

  const identity = route('/price/identity', { kind: 'payment' }, { ...options, price: { amount: '0' } })
  ask(
    'amount-zero',
    ['CORE-007', 'CHG-009'],
    'a price of zero asks for a proof of identity and moves nothing',
    async () => {
      const moved = (await ledger.transfers()).length
      expect(await amountOf(identity.target)).toBe('0')
      const paid = await credential(identity)
      const got = await send(withCredential(identity, paid))
      expectPaid(got)
      expect(got.json().payer).toBe('alice')
      expectRefusal(await insist(withCredential(identity, paid)), 'invalid-challenge')
      expect((await ledger.transfers()).length).toBe(moved)
    },
  )

  const refusing = route(
    '/price/refusing',
    { kind: 'text', body: 'never' },
    {
      ...options,
      price: {
        amount({ target }): string | Answer {
          // Some frameworks spell it `?401=`.
          const status = parseInt(target.split('?')[1] ?? '0', 10)
          return status === 0 ? '1' : { status, headers: [['x-own', 'yes']], body: `nö ${status} ✗` }
        },
      },
    },
  )
  ask(
    'amount-refuses',
    ['CORE-008', 'CORE-011', 'CORE-015', 'CORE-016', 'CORE-017', 'CORE-018', 'CORE-020'],
    'a price function may refuse before money is asked for',
    async () => {
      for (const status of [401, 403, 404, 409, 422]) {
        const got = await send({ target: `${refusing.target}?${status}` })
        expect([got.status, got.get('x-own'), got.text]).toEqual([status, 'yes', `nö ${status} ✗`])
        expect([got.get('www-authenticate'), got.get('payment-receipt')]).toEqual([null, null])
      }
      expect((await send(refusing)).status).toBe(402)
      expect(refusing.starts).toBe(0)
    },
  )

  let rate = '1'
  const floating = route(
    '/price/floating',
    { kind: 'text', body: 'content' },
    { ...options, price: { amount: () => rate } },
  )
  ask(
    'amount-computed',
    ['CHG-029', 'CORE-059'],
    'a computed amount is honoured as it was quoted',
    async () => {
      rate = '1.00'
      const [challenge] = await quote(floating)
      rate = '2.00'
      const before = await ledger.balance('shop')
      expectPaid(await send(withCredential(floating, await alice.pay(challenge!))))
      expect((await ledger.balance('shop')) - before).toBe(100n)
      expect(await amountOf(floating.target)).toBe('200')
    },
  )

  let stock: string | null | Answer = '1'
  const limited = route(
    '/price/limited',
    { kind: 'text', body: 'content' },
    { ...options, price: { amount: () => stock } },
  )
  ask(
    'amount-gone',
    ['CHG-037', 'CHG-029'],
    'what was paid is delivered, even if the price function would now refuse or ask for nothing',
    async () => {
      for (const later of [{ status: 404, headers: [], body: 'sold out' } satisfies Answer, null, '7']) {
        stock = '1'
        const paid = await credential(limited)
        limited.onStart = () => {
          throw new Error('not yet')
        }
        expect((await send(withCredential(limited, paid))).status).toBe(500)
        limited.onStart = undefined
        stock = later
        expectPaid(await insist(withCredential(limited, paid)))
      }
      stock = '1'
      const unpaid = await credential(limited)
      stock = { status: 404, headers: [], body: 'sold out' }
      const moved = (await ledger.transfers()).length
      expect((await send(withCredential(limited, unpaid))).status).toBe(404)
      stock = null
      const free = await send(withCredential(limited, unpaid))
      expect([free.status, free.text, free.get('payment-receipt')]).toEqual([200, 'content', null])
      expect((await ledger.transfers()).length).toBe(moved)
      stock = '1'
      expectPaid(await send(withCredential(limited, unpaid)))
    },
  )

  const tiered = route(
    '/price/tiered',
    { kind: 'text', body: 'content' },
    {
      ...options,
      price: { amount: (request) => (request.header('x-tier') === 'gold' ? '1' : '5') },
    },
  )
  ask(
    'amount-header',
    ['CORE-059'],
    'a header that the price depends on is bound, and named in Vary',
    async () => {
      const gold: [string, string][] = [['X-Tier', 'gold']]
      expect([await amountOf(tiered.target), await amountOf(tiered.target, gold)]).toEqual(['500', '100'])
      const asked = await send({ target: tiered.target, headers: gold })
      expect(asked.get('vary')?.toLowerCase()).toContain('x-tier')
      const paid = await credential({ target: tiered.target, headers: gold })
      for (const headers of [[], [['X-Tier', 'lead']]] as [string, string][][]) {
        expectRefusal(
          await send(withCredential({ target: tiered.target, headers }, paid)),
          'invalid-challenge',
        )
      }
      expectPaid(await send(withCredential({ target: tiered.target, headers: gold }, paid)))
    },
  )

  const weighed = route(
    '/price/weighed',
    { kind: 'echo' },
    {
      ...options,
      verb: 'post',
      price: { amount: async (request) => ((await request.body()).length > 10 ? '5' : '1') },
    },
  )
  ask(
    'amount-body',
    ['CORE-064', 'CHG-029'],
    'a price may depend on the body, which the handler still reads',
    async () => {
      const raw = (body: string) => ({ target: weighed.target, method: 'POST', body })
      const [light] = await quote(raw('{"a":1}'))
      const [heavy] = await quote(raw('{"a":"0123456789"}'))
      expect([light, heavy].map((challenge) => decodeRequest(challenge!.request).amount)).toEqual([
        '100',
        '500',
      ])
      expectRefusal(await send(withCredential(raw('{"a":"0123456789"}'), await alice.pay(light!))))
      // The same bytes are another order for another parser.
      for (const changed of [
        ['content-type', 'application/x-www-form-urlencoded'],
        ['content-encoding', 'identity'],
      ] as const) {
        const [challenge] = await quote(raw('{"a":1}'))
        const other = { ...raw('{"a":1}'), headers: [changed] }
        expectRefusal(await send(withCredential(other, await alice.pay(challenge!))))
      }
      const got = await send(withCredential(raw('{"a":"0123456789"}'), await alice.pay(heavy!)))
      expectPaid(got)
      expect(got.json()).toEqual({ body: '{"a":"0123456789"}' })
    },
  )

  const terms = {
    amount: '1',
    currency: 'eur',
    recipient: 'eu-shop',
    description: 'A "photo" \\ é',
    externalId: 'order-9',
  }
  const override = route('/price/override', { kind: 'text', body: 'content' }, { ...options, price: terms })
  ask(
    'overrides',
    ['CHG-010', 'CHG-011', 'CHG-013', 'CORE-121'],
    'a route may ask for another currency and recipient',
    async () => {
      const { amount: _, ...asked } = terms
      const [challenge] = await quote(override)
      expect(decodeRequest(challenge!.request)).toEqual({ ...asked, amount: '100' })
      const before = await ledger.balance('eu-shop')
      expectPaid(await pay(override))
      expect((await ledger.balance('eu-shop')) - before).toBe(100n)
    },
  )

  const coin = toyMethod({ ledger, name: 'coin', recipient: 'shop' })
  const two = gates({ methods: [toyMethod({ ledger, recipient: 'shop' }), coin] })
  const named = route(
    '/price/named',
    { kind: 'text', body: 'content' },
    { with: two, price: { amount: '1', coin: { currency: 'eur' } } },
  )
  const withheld = route(
    '/price/withheld',
    { kind: 'text', body: 'content' },
    { with: two, price: { amount: '1', coin: false } },
  )
  ask(
    'overrides-named',
    ['CHG-010', 'CORE-161'],
    'an override keyed by the rail concerns that rail; false withholds it',
    async () => {
      const currencies = (await quote(named)).map(({ method, request }) => [
        method,
        decodeRequest(request).currency,
      ])
      expect(currencies).toEqual([
        ['toy', 'usd'],
        ['coin', 'eur'],
      ])
      expect((await quote(withheld)).map(({ method }) => method)).toEqual(['toy'])
    },
  )

  ask(
    'overrides-apart',
    ['CHG-029', 'CHG-030', 'CORE-059'],
    'a credential for one route’s terms buys nothing under another’s',
    async () => {
      const paid = await credential(override)
      expectRefusal(await send(withCredential(floating, paid)), 'invalid-challenge')
      expectRefusal(await send(withCredential(identity, paid)), 'invalid-challenge')
    },
  )
}
