import { formatChallenge, type JsonObject } from '@mppkit/core'
import { describe, expect, test, vi } from 'vitest'
import { createClient, limits, reasonFor, type Offer, type Policy } from '../src/index.ts'
import { ask, buyer, challenge, honest, serve, toy } from './seller.ts'

describe('construction', () => {
  const make = (policy: unknown) => () => createClient({ methods: [toy()], policy: policy as Policy })
  const one = { currency: 'usd', perRequest: '1' }

  test('CORE-159: there is no permissive default: without policy or limits nothing is made', () => {
    for (const policy of [undefined, null, {}, { origins: [] }])
      expect(make(policy)).toThrow(/needs policy.limits: limits\(\{/)
    expect(make({ limits: [] })).toThrow(/needs policy.limits/)
    expect(() => createClient({ methods: [], policy: { limits: one } })).toThrow(/methods/)
    expect(() => createClient({ methods: [toy()], policy: { limits: one }, maxWait: Infinity })).toThrow(
      /maxWait/,
    )
    expect(() => createClient({ methods: [toy()], policy: { limits: one }, maxBody: NaN })).toThrow(/maxBody/)
  })

  test.each([
    [{ limits: one, recipient: ['x'] }, /does not know "recipient".*recipients/],
    [{ limits: { ...one, perWeek: '1' } }, /does not know "perWeek"/],
    [{ limits: [one, { ...one, currency: 'USD' }] }, /usd twice/],
    [{ limits: { perRequest: '1' } }, /needs currency and perRequest/],
    [{ limits: { currency: 'usd' } }, /needs currency and perRequest/],
    [{ limits: [null] }, /needs currency and perRequest/],
    [{ limits: { ...one, perDay: 5 } }, /perDay as a decimal string/],
    [{ limits: { ...one, perRequest: '1e6' } }, /perRequest as a decimal string/],
    [{ limits: { ...one, perRequest: '-1' } }, /perRequest as a decimal string/],
    [{ limits: { ...one, perRequest: '.5' } }, /perRequest as a decimal string/],
    [{ limits: { ...one, decimals: 1.5 } }, /decimals as a whole number/],
    [{ limits: one, origins: 'https://a.example' }, /origins must be an array/],
    [{ limits: one, networks: [4217] }, /networks must be an array of strings/],
    [{ limits: one, origins: ['a.example'] }, /write https:\/\//],
    [{ limits: one, origins: ['https://a.example/path'] }, /write https:\/\//],
    [{ limits: one, approve: true }, /approve must be a function/],
    [{ limits: one, approveTimeout: 0 }, /approveTimeout/],
  ])('%j is refused with the remedy', (policy, message) => {
    expect(make(policy)).toThrow(TypeError)
    expect(make(policy)).toThrow(message)
  })

  test('limits() checks and folds', () => {
    expect(limits({ currency: 'USD', perRequest: '0.10', total: '5', decimals: 2 })).toEqual({
      currency: 'usd',
      perRequest: '0.10',
      total: '5',
      decimals: 2,
    })
  })
})

/** What becomes of one call under a policy. */
async function verdict(policy: Partial<Policy>, over: Parameters<typeof challenge>[0] = {}) {
  const seller = await serve(honest(over))
  const bought = buyer(policy)
  const response = await bought.fetch(seller.url)
  const { code } = reasonFor(response) ?? {}
  // A refusal is the original 402, unread, and nothing was signed.
  const seen = {
    body: await response.text(),
    events: bought.events,
    signed: bought.method.prepared.length,
    requests: seller.seen.length,
  }
  const refused = {
    body: 'pay first',
    events: [{ type: 'refused', origin: seller.origin, reason: { code }, offers: [{ allowed: false }] }],
    signed: 0,
    requests: 1,
  }
  expect(seen).toMatchObject(
    code ? refused : { body: 'the photo', events: [{ type: 'paid' }], signed: 1, requests: 2 },
  )
  return code ?? response.status
}

describe('CORE-146: the policy decides before anything is signed', () => {
  test.each([
    ['CHG-032 amount above perRequest', {}, { ask: { amount: '101' } }, 'limit'],
    ['CHG-032 amount at perRequest', {}, { ask: { amount: '100' } }, 200],
    ['fees count', {}, { ask: { amount: '100', methodDetails: { fee: '1' } } }, 'limit'],
    ['huge amount', {}, { ask: { amount: '9'.repeat(78) } }, 'limit'],
    ['amount beyond all bounds', {}, { ask: { amount: '9'.repeat(79) } }, 'invalid'],
    ['amount as number', {}, { ask: { amount: 10 } }, 'invalid'],
    ['amount 1e6', {}, { ask: { amount: '1e6' } }, 'invalid'],
    ['amount -1', {}, { ask: { amount: '-1' } }, 'invalid'],
    ['amount 1.5', {}, { ask: { amount: '1.5' } }, 'invalid'],
    ['amount with blanks', {}, { ask: { amount: ' 1' } }, 'invalid'],
    ['no amount', {}, { ask: { amount: null } }, 'invalid'],
    ['CHG-040 currency without limit', {}, { ask: { currency: 'eur' } }, 'currency'],
    [
      'CHG-040 same symbol, other token',
      { limits: { currency: '0xAA', perRequest: '1' } },
      { ask: { currency: '0xab' } },
      'currency',
    ],
    [
      'case of a token address',
      { limits: { currency: '0xAA', perRequest: '1' }, currencies: ['0xaA'] },
      { ask: { currency: '0xaa' } },
      200,
    ],
    ['currency not listed', { currencies: ['eur'] }, {}, 'currency'],
    [
      'decimals pinned by the limit',
      { limits: { currency: 'usd', perRequest: '1', decimals: 6 } },
      {},
      'currency',
    ],
    ['CHG-033 recipient not listed', { recipients: ['other'] }, {}, 'recipient'],
    ['recipient listed', { recipients: ['shop'] }, {}, 200],
    [
      'every recipient must be listed',
      { recipients: ['shop'] },
      { ask: { methodDetails: { splits: ['thief'] } } },
      'recipient',
    ],
    ['case of a hex recipient', { recipients: ['0xAb'] }, { ask: { recipient: '0xaB' } }, 200],
    ['case of another recipient', { recipients: ['Ab'] }, { ask: { recipient: 'aB' } }, 'recipient'],
    [
      'network not listed',
      { networks: ['live'] },
      { ask: { methodDetails: { network: 'test' } } },
      'network',
    ],
    ['network not named', { networks: ['live'] }, {}, 'network'],
    ['network listed', { networks: ['live'] }, { ask: { methodDetails: { network: 'live' } } }, 200],
    ['method not listed', { methods: ['gold', 'toy/session'] }, {}, 'method'],
    ['method listed by name', { methods: ['toy'] }, {}, 200],
    ['method listed with intent', { methods: ['toy/charge'] }, {}, 200],
    ['origin not listed', { origins: ['https://shop.example'] }, {}, 'origin'],
    ['empty list', { origins: [] }, {}, 'origin'],
    ['C29 realm not listed', { realms: ['shop.example'] }, {}, 'realm'],
    ['C29 realm listed', { realms: ['Photos'] }, {}, 200],
    ['C29 realm is free text', {}, { realm: 'https://bank.example' }, 200],
    [
      'CORE-052 CORE-147 description lies',
      {},
      { description: 'only 1 cent', ask: { amount: '1000000' } },
      'limit',
    ],
    ['CORE-051 expired', {}, { expires: '2020-01-01T00:00:00Z' }, 'expired'],
    ['CORE-100 no method that was asked for', {}, { method: 'gold' }, 'unsupported'],
    ['CORE-088 unknown intent', {}, { intent: 'barter' }, 'unsupported'],
    [
      'a limit finer than the currency is cut',
      { limits: { currency: 'usd', perRequest: '0.109' } },
      { ask: { amount: '11' } },
      'limit',
    ],
    ['a proof of identity costs nothing', {}, { ask: { amount: '0' } }, 200],
  ])('%s', async (_, policy, over, expected) => {
    expect(await verdict(policy as Partial<Policy>, over as Parameters<typeof challenge>[0])).toBe(expected)
  })

  test('CHG-032: the detail tells price and fee apart, so that the right limit can be set', async () => {
    const detail = async (ask: JsonObject, over = {}) => {
      const seller = await serve(honest({ ask, ...over }))
      const methods = [toy(), toy({ intent: 'session' })]
      return reasonFor(await buyer({}, { methods }).fetch(seller.url))?.detail
    }
    const methodDetails = { fee: '5' }
    expect(await detail({ amount: '101' })).toBe('price 1.01 is above perRequest 1 usd')
    expect(await detail({ amount: '98', methodDetails })).toBe(
      'price 0.98 and up to 0.05 fee is above perRequest 1 usd',
    )
    // What `amount` means there, only the method knows.
    expect(await detail({ amount: '98', methodDetails }, { intent: 'session' })).toBe(
      'price 1.03 is above perRequest 1 usd',
    )
  })

  test('CORE-157: origins holds the origin that answered', async () => {
    const seller = await serve(honest())
    expect((await buyer({ origins: [`${seller.origin}/`] }).fetch(seller.url)).status).toBe(200)
  })

  test('a method that cannot tell the cost is not paid', async () => {
    const seller = await serve(honest())
    for (const most of [
      { amount: -1n, decimals: 2, currency: 'usd' },
      { amount: 1, decimals: 2, currency: 'usd' },
      { amount: 1n, decimals: -2, currency: 'usd' },
    ]) {
      const method = toy({ cost: () => ({ most: most as never, recipients: [] }) })
      const response = await buyer({}, { methods: [method] }).fetch(seller.url)
      expect([reasonFor(response)?.code, method.prepared.length]).toEqual(['invalid', 0])
    }
  })

  test('a price that changed between calls is judged anew', async () => {
    const prices = ['10', '90', '110']
    const seller = await serve((seen, response, self) =>
      honest({ ask: { amount: seen.credential ? '0' : prices.shift()! } })(seen, response, self),
    )
    const { fetch } = buyer({ limits: { currency: 'usd', perRequest: '1', total: '5' } })
    expect([(await fetch(seller.url)).status, (await fetch(seller.url)).status]).toEqual([200, 200])
    expect(reasonFor(await fetch(seller.url))?.code).toBe('limit')
  })
})

describe('what costs nothing is a proof of identity, and good only where it was asked for', () => {
  const free = (realm: string): typeof fetch => {
    const offer = formatChallenge(challenge({ realm, ask: { amount: '0' } }))
    return async (_, init) =>
      new Headers(init?.headers).has('authorization')
        ? new Response('in')
        : new Response('who?', { status: 402, headers: { 'WWW-Authenticate': offer } })
  }
  const evil = 'https://cats.example:8443/'
  test.each([
    ['another realm', evil, 'bank.example', {}, 'realm'],
    ['a realm that begins alike', evil, 'cats.example.bank.example', {}, 'realm'],
    ['a subdomain', 'https://bank.cats.example/', 'cats.example', {}, 'realm'],
    ['another port', evil, 'cats.example:443', {}, 'realm'],
    ['the host', evil, 'Cats.Example', {}, 200],
    ['host and port', evil, 'CATS.example:8443', {}, 200],
    ['the origin is listed', evil, 'bank.example', { origins: ['https://cats.example:8443'] }, 200],
    ['the realm is listed', evil, 'bank.example', { realms: ['bank.example'] }, 200],
    ['another realm is listed', evil, 'bank.example', { realms: ['zoo.example'] }, 'realm'],
    ['another origin is listed', evil, 'bank.example', { origins: ['https://zoo.example'] }, 'origin'],
    ['approved', evil, 'bank.example', { approve: () => true }, 200],
    ['not approved', evil, 'bank.example', { approve: () => false }, 'denied'],
    ['on loopback, for development', 'http://localhost:3000/', 'bank.example', {}, 200],
  ])('%s', async (_, url, realm, policy, expected) => {
    const { fetch, method } = buyer(policy, { fetch: free(realm) })
    const response = await fetch(url)
    const reason = reasonFor(response)
    expect(reason?.code ?? response.status).toBe(expected)
    expect(method.prepared).toHaveLength(expected === 200 ? 1 : 0)
  })

  test('the refusal names the remedies, also in a quote', async () => {
    const { quote } = buyer({}, { fetch: free('bank.example') })
    const [offer] = await quote(evil)
    for (const word of ['bank.example', 'cats.example:8443', 'policy.realms', 'origins', 'approve'])
      expect(offer?.reason?.detail).toContain(word)
  })
})

describe('C45: expires is judged by the clock of the server', () => {
  function dated(date: number, expires: number | undefined): typeof fetch {
    const { expires: _, ...plain } = challenge()
    const offer = expires === undefined ? plain : { ...plain, expires: new Date(expires).toISOString() }
    return async (_input, init) =>
      new Response(null, {
        status: new Headers(init?.headers).has('authorization') ? 200 : 402,
        headers: { Date: new Date(date).toUTCString(), 'WWW-Authenticate': formatChallenge(offer) },
      })
  }
  const noon = Date.parse('2030-01-01T12:00:00Z')
  test.each([
    ['slow server, fresh there', noon, noon - 60_000, noon - 30_000, 200],
    ['slow server, stale there', noon, noon - 60_000, noon - 60_001, 'expired'],
    ['fast server, fresh there', noon, noon + 60_000, noon + 90_000, 200],
    ['fast server, stale there', noon, noon + 60_000, noon + 30_000, 'expired'],
    ['within 5 s the own clock counts', noon, noon - 4000, noon - 2000, 'expired'],
    // A signature made by the clock of a liar would be good long after the offer.
    ['a minute ahead is the most', noon, noon + 61_000, noon + 300_000, 'clock'],
    ['an hour ahead', noon, noon + 3_600_000, noon + 3_900_000, 'clock'],
    ['an hour behind', noon, noon - 3_600_000, noon - 3_300_000, 'clock'],
    ['an hour behind, fresh by both clocks', noon, noon - 3_600_000, noon + 300_000, 'clock'],
    ['an hour ahead, without expires', noon, noon + 3_600_000, undefined, 'clock'],
    ['a minute ahead, without expires', noon, noon + 60_000, undefined, 200],
  ])('%s', async (_, now, date, expires, expected) => {
    const times: number[] = []
    const method = toy()
    const prepare = method.prepare.bind(method)
    method.prepare = (challenge, request, context) => (
      times.push(context.now()),
      prepare(challenge, request, context)
    )
    const response = await buyer(
      {},
      { methods: [method], now: () => now, fetch: dated(date, expires) },
    ).fetch('https://shop.example/')
    const reason = reasonFor(response)
    expect(reason?.code ?? response.status).toBe(expected)
    expect(times).toEqual(reason ? [] : [date])
    if (reason?.code === 'clock') expect(reason.detail).toContain(` ${(date - now) / 1000} s`)
  })

  test('CORE-051: expired while it was approved or signed: no credential', async () => {
    let now = Date.now()
    const expires = new Date(now + 2000).toISOString()
    const seller = await serve(honest({ expires }))
    const late = buyer({ approve: () => !!(now += 2500) }, { now: () => now })
    expect(reasonFor(await late.fetch(seller.url))?.code).toBe('expired')
    expect(late.method.prepared).toHaveLength(0)
    now -= 2500
    const slow = toy()
    const prepare = slow.prepare.bind(slow)
    slow.prepare = (...args) => ((now += 2500), prepare(...args))
    expect(reasonFor(await buyer({}, { now: () => now, methods: [slow] }).fetch(seller.url))?.code).toBe(
      'expired',
    )
    expect(seller.seen.every((seen) => !seen.credential)).toBe(true)
  })
})

describe('CORE-158: approve', () => {
  test('is asked once, with all legs, and its yes pays', async () => {
    const seller = await serve((seen, response, self) =>
      seen.credential
        ? honest()(seen, response, self)
        : ask(
            response,
            challenge({ ask: { amount: '30' } }),
            challenge({
              ask: { amount: '20', methodDetails: { splits: ['agent'], fee: '1', network: 'n' } },
            }),
          ),
    )
    const asked: Offer[] = []
    const { fetch } = buyer({ approve: (offer) => (asked.push(offer), true) })
    expect((await fetch(seller.url)).status).toBe(200)
    expect(asked).toMatchObject([
      { origin: seller.origin, realm: 'Photos', amount: '0.21', recipients: ['shop', 'agent'], network: 'n' },
    ])
  })

  test.each([
    ['no', () => false],
    ['something else than true', () => 'yes' as never],
    [
      'a throw',
      () => {
        throw new Error('x')
      },
    ],
    [
      'a rejection',
      async () => {
        throw new Error('x')
      },
    ],
  ])('%s is a no for the whole call', async (_, answer) => {
    const seller = await serve((_seen, response) =>
      ask(response, challenge(), challenge({ ask: { amount: '20' } })),
    )
    const approve = vi.fn<() => boolean | Promise<boolean>>(answer)
    const { fetch, method, events } = buyer({ approve })
    const response = await fetch(seller.url)
    expect([response.status, reasonFor(response)?.code, method.prepared.length]).toEqual([402, 'denied', 0])
    expect(approve).toHaveBeenCalledOnce()
    expect(events).toMatchObject([
      { type: 'refused', reason: { code: 'denied' }, offers: [{ allowed: false }, { allowed: true }] },
    ])
  })

  test('no answer in time is a no, and the budget is free again', async () => {
    const seller = await serve(honest())
    let stop: AbortSignal | undefined
    let wait = true
    const { fetch, method } = buyer({
      limits: { currency: 'usd', perRequest: '1', total: '0.10' },
      approveTimeout: 0.05,
      approve: (_, { signal }) => ((stop = signal), wait ? new Promise(() => {}) : true),
    })
    const response = await fetch(seller.url)
    expect([reasonFor(response)?.code, reasonFor(response)?.detail]).toEqual(['denied', 'no answer in time'])
    expect([stop!.aborted, method.prepared.length]).toEqual([true, 0])
    wait = false
    expect((await fetch(seller.url)).status).toBe(200)
  })

  test('is not asked for what the policy refuses anyway', async () => {
    const seller = await serve(honest())
    const approve = vi.fn<() => boolean>(() => true)
    await buyer({ approve, recipients: [] }).fetch(seller.url)
    await buyer({ approve, limits: { currency: 'usd', perRequest: '1', total: '0.05' } }).fetch(seller.url)
    expect(approve).not.toHaveBeenCalled()
  })
})

describe('budgets', () => {
  test('50 concurrent calls against a budget of 10: exactly 10 are paid', async () => {
    const seller = await serve(honest())
    const { fetch, method } = buyer({ limits: { currency: 'usd', perRequest: '1', total: '1' } })
    const responses = await Promise.all(Array.from({ length: 50 }, () => fetch(seller.url)))
    const codes = responses.map((response) => reasonFor(response)?.code ?? response.status)
    expect(codes.filter((code) => code === 200)).toHaveLength(10)
    expect(codes.filter((code) => code === 'budget')).toHaveLength(40)
    expect([seller.settled.length, method.prepared.length]).toEqual([10, 10])
  })

  test('hour and day roll', async () => {
    let now = Date.now()
    const seller = await serve((seen, response, self) => {
      response.setHeader('Date', new Date(now).toUTCString())
      return honest({ expires: new Date(now + 300_000).toISOString() })(seen, response, self)
    })
    const { fetch } = buyer(
      { limits: { currency: 'usd', perRequest: '1', perHour: '0.20', perDay: '0.30', total: '0.50' } },
      { now: () => now },
    )
    const run = async (minutes: number) => {
      now += minutes * 60_000
      const response = await fetch(seller.url)
      return reasonFor(response)?.detail ?? response.status
    }
    expect([await run(0), await run(30), await run(29)]).toEqual([200, 200, 'perHour of 0.20 usd is used up'])
    expect([await run(2), await run(60)]).toEqual([200, 'perDay of 0.30 usd is used up'])
    expect([await run(24 * 60), await run(0), await run(120)]).toEqual([
      200,
      200,
      'total of 0.50 usd is used up',
    ])
  })

  test('a full budget leaves the offer in another currency', async () => {
    const seller = await serve((seen, response, self) =>
      seen.credential
        ? honest()(seen, response, self)
        : ask(response, challenge(), challenge({ ask: { currency: 'eur' } })),
    )
    const { fetch } = buyer({
      limits: [
        { currency: 'usd', perRequest: '1', total: '0.1' },
        { currency: 'eur', perRequest: '1' },
      ],
    })
    expect([(await fetch(seller.url)).status, (await fetch(seller.url)).status]).toEqual([200, 200])
    expect(
      seller.seen
        .filter((seen) => seen.credential)
        .map((seen) => JSON.parse(atob(seen.credential!.challenge.request)).currency),
    ).toEqual(['usd', 'eur'])
  })

  test('decimals that change would change what a limit means', async () => {
    const seller = await serve(honest())
    let decimals = 2
    const method = toy({
      cost: () => ({ most: { amount: 10n, decimals, currency: 'usd' }, recipients: ['shop'] }),
    })
    const { fetch } = buyer({}, { methods: [method] })
    expect((await fetch(seller.url)).status).toBe(200)
    decimals = 6
    expect(reasonFor(await fetch(seller.url))?.code).toBe('currency')
  })

  test('what was never sent is given back: a wallet that cannot sign', async () => {
    const seller = await serve(honest())
    let broken = true
    const method = toy()
    const prepare = method.prepare.bind(method)
    method.prepare = async (...args) => {
      if (broken) throw new Error('no funds')
      return await prepare(...args)
    }
    const { fetch, events } = buyer(
      { limits: { currency: 'usd', perRequest: '1', total: '0.10' } },
      { methods: [method] },
    )
    const response = await fetch(seller.url)
    expect([response.status, await response.text()]).toEqual([402, 'pay first'])
    expect(reasonFor(response)).toMatchObject({
      code: 'failed',
      detail: 'toy could not sign: no funds',
      cause: { message: 'no funds' },
    })
    expect(events).toMatchObject([{ type: 'refused' }])
    broken = false
    expect((await fetch(seller.url)).status).toBe(200)
  })
})
