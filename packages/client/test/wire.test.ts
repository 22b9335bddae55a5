import { encodeBase64url, formatChallenge, type Challenge, type ClientMethod } from '@mppkit/core'
import { expect, test } from 'vitest'
import { paymentOf, reasonFor, receiptOf } from '../src/index.ts'
import { ask, buyer, challenge, deliver, honest, serve, toy } from './seller.ts'

test('pays a 402 once and returns the delivery with its receipt', async () => {
  const seller = await serve(honest())
  const { fetch, events } = buyer()
  const response = await fetch(seller.url)
  expect(response.status).toBe(200)
  expect(await response.text()).toBe('the photo')
  expect(receiptOf(response)?.reference).toBe(`ref-${seller.settled[0]}`)
  expect(seller.settled).toHaveLength(1)
  expect(events).toMatchObject([
    {
      type: 'paid',
      origin: seller.origin,
      status: 200,
      offer: { amount: '0.1', currency: 'usd' },
      receipt: { status: 'success' },
    },
  ])
  expect(JSON.stringify(events)).not.toContain('secret-')
  expect(paymentOf(response)).toMatchObject({
    origin: seller.origin,
    data: { proof: `secret-${seller.settled[0]}` },
  })
})

test('a free answer comes back as it is, and receiptOf finds nothing', async () => {
  const seller = await serve(
    (_, response) => void response.writeHead(201, { 'Payment-Receipt': '%' }).end('free'),
  )
  const { fetch, events } = buyer()
  const response = await fetch(seller.url)
  expect([response.status, await response.text(), receiptOf(response), paymentOf(response)]).toEqual([
    201,
    'free',
    undefined,
    undefined,
  ])
  expect(events).toEqual([])
})

test.each([200, 401, 403, 500])('CORE-012: a Payment challenge on %i is informational', async (status) => {
  const seller = await serve(
    (_, response) =>
      void response.writeHead(status, { 'WWW-Authenticate': formatChallenge(challenge()) }).end(),
  )
  const { fetch, method } = buyer()
  expect((await fetch(seller.url)).status).toBe(status)
  expect(method.prepared).toEqual([])
  expect(seller.seen).toHaveLength(1)
})

test('CORE-036 CORE-054 CORE-067 CORE-071: all members are echoed as the strings received', async () => {
  const sent: Challenge = {
    id: 'Odd-._~+/=id:;<>',
    realm: 'a "quoted" realm \\ back',
    method: 'toy',
    intent: 'charge',
    // Not canonical, with spaces: must not be re-encoded.
    request: encodeBase64url('{ "recipient":"shop", "currency":"usd",  "amount":"10" }'),
    expires: '2999-01-01T00:00:00.5+02:00',
    digest: 'sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:',
    opaque: encodeBase64url('{ "b":"1", "a":"2" }'),
    description: 'Zwölf Bilder',
    header: 'Authorization',
  }
  const seller = await serve((seen, response) =>
    seen.credential ? deliver(response, seen) : ask(response, sent),
  )
  const { fetch } = buyer()
  expect((await fetch(seller.url)).status).toBe(200)
  const { credential } = seller.seen[1]!
  expect(credential!.challenge).toEqual(sent)
  expect(credential!.payload).toEqual({ proof: `secret-${sent.id}` })
  expect(credential!.source).toBe('did:toy:me')
})

test('CORE-163: exactly one Authorization and one Idempotency-Key; the key is on the paid request only', async () => {
  const seller = await serve(honest())
  await buyer().fetch(seller.url, { headers: { 'X-Mine': '1' } })
  const names = (index: number) =>
    seller.seen[index]!.rawHeaders.filter((_, i) => i % 2 === 0).map((name) => name.toLowerCase())
  expect(names(0)).not.toContain('idempotency-key')
  expect(names(1).filter((name) => name === 'authorization')).toHaveLength(1)
  expect(names(1).filter((name) => name === 'idempotency-key')).toHaveLength(1)
  expect(seller.seen[1]!.headers['x-mine']).toBe('1')
  expect(seller.seen[1]!.headers['idempotency-key']).toMatch(/^[\w-]{22}$/)
})

test('the caller keeps the Idempotency-Key and Accept-Payment that he set', async () => {
  const seller = await serve(honest())
  await buyer().fetch(seller.url, { headers: { 'Idempotency-Key': 'mine', 'Accept-Payment': 'toy/*' } })
  for (const seen of seller.seen)
    expect([seen.headers['idempotency-key'], seen.headers['accept-payment']]).toEqual(['mine', 'toy/*'])
})

test('CORE-089: Accept-Payment lists the methods by preference', async () => {
  const seller = await serve(honest())
  const methods = [
    toy(),
    toy({ name: 'gold' }),
    toy({ name: 'gold' }),
    toy({ name: 'shell', intent: 'barter' }),
  ]
  await buyer({}, { methods }).fetch(seller.url)
  expect(seller.seen.map((seen) => seen.headers['accept-payment'])).toEqual(
    Array(2).fill('toy/charge, gold/charge;q=0.667, shell/barter;q=0.333'),
  )
  await buyer({}, { methods, preferences: ['shell', 'gold/charge'] }).fetch(seller.url)
  expect(seller.seen[2]!.headers['accept-payment']).toBe(
    'shell/barter, gold/charge;q=0.667, toy/charge;q=0.333',
  )
})

test('C30: in a browser, a call to another origin gets no extra header before it is paid', async () => {
  const seller = await serve(honest())
  const scope = globalThis as { location?: unknown }
  scope.location = { origin: 'https://shop.example' }
  try {
    await buyer().fetch(seller.url)
    scope.location = { origin: seller.origin }
    await buyer().fetch(seller.url)
  } finally {
    delete scope.location
  }
  expect(seller.seen.map((seen) => seen.headers['accept-payment'])).toEqual([
    undefined,
    'toy/charge',
    'toy/charge',
    'toy/charge',
  ])
})

test('AMB-31: the credential goes to Payment-Authorization if the challenge says so, beside a login', async () => {
  const seller = await serve(honest({ header: 'Payment-Authorization' }), 'payment-authorization')
  const response = await buyer().fetch(seller.url, { headers: { Authorization: 'Bearer me' } })
  expect(response.status).toBe(200)
  expect(seller.seen[1]!.headers.authorization).toBe('Bearer me')
})

test.each([
  ['another header', { header: 'X-Api-Key' }, {}],
  ['a header that holds a login', {}, { headers: { Authorization: 'Bearer me' } }],
])('a credential is not sent in %s', async (_, over, init) => {
  const seller = await serve(honest(over))
  const response = await buyer().fetch(seller.url, init)
  expect([response.status, reasonFor(response)?.code, seller.seen.length]).toEqual([402, 'header', 1])
})

test('a call that carries its own credential is left alone', async () => {
  const seller = await serve((_, response) => ask(response, challenge()))
  const { fetch, quote, method } = buyer()
  for (const headers of [
    { Authorization: 'Payment e30' },
    { authorization: 'Bearer x, payment e30' },
    { 'Payment-Authorization': 'Payment e30' },
  ])
    expect((await fetch(seller.url, { headers })).status).toBe(402)
  expect((await fetch(new Request(seller.url, { headers: { Authorization: 'Payment e30' } }))).status).toBe(
    402,
  )
  await expect(quote(seller.url, { headers: { Authorization: 'Payment e30' } })).rejects.toThrow(TypeError)
  expect([method.prepared.length, seller.seen.length]).toEqual([0, 4])
})

test('CORE-023..031 CORE-034 CORE-153: challenges of any scheme on one line, one bad: the good one is paid', async () => {
  const good = challenge()
  const field = [
    'Basic realm="x, Payment id=y"',
    'Payment realm="no id", method="toy", intent="charge", request="e30"',
    formatChallenge(challenge({ ask: { amount: 10 } })),
    `pAyMeNt ${formatChallenge(good).slice(8)}, unknown="1"`,
  ].join(', ')
  const seller = await serve((seen, response) =>
    seen.credential
      ? deliver(response, seen)
      : void response.writeHead(402, { 'WWW-Authenticate': field }).end(),
  )
  expect((await buyer().fetch(seller.url)).status).toBe(200)
  expect(seller.seen[1]!.credential!.challenge.id).toBe(good.id)
})

test('CORE-119: a challenge of 8 KB is paid', async () => {
  const seller = await serve(honest({ ask: { note: 'n'.repeat(5000) } }))
  expect((await buyer().fetch(seller.url)).status).toBe(200)
  expect(seller.seen[1]!.authorization!.length).toBeGreaterThan(8000)
})

test('CORE-162 CORE-088: own preference first, then price, then the order of the server', async () => {
  const seller = await serve((seen, response) =>
    seen.credential
      ? deliver(response, seen)
      : ask(
          response,
          challenge({ method: 'gold', ask: { amount: '1' } }),
          challenge({ method: 'stone', ask: { amount: '1' } }),
          challenge({ intent: 'session', ask: { amount: '1' } }),
          challenge({ realm: 'dear', ask: { amount: '30' } }),
          challenge({ realm: 'cheap', ask: { amount: '20' } }),
          challenge({ realm: 'cheap too', ask: { amount: '20' } }),
        ),
  )
  const methods = [toy(), toy({ name: 'gold' })]
  const chosen = async (preferences?: string[]) => {
    await buyer({}, { methods, ...(preferences && { preferences }) }).fetch(seller.url)
    const { method, realm } = seller.seen.at(-1)!.credential!.challenge
    return `${method} ${realm}`
  }
  expect(await chosen()).toBe('toy cheap')
  expect(await chosen(['gold'])).toBe('gold Photos')
  expect(await chosen(['stone', 'toy/charge'])).toBe('toy cheap')
})

test('supports: a method that cannot pay this challenge leaves it to its twin', async () => {
  const seller = await serve(honest())
  const never = toy({ supports: () => false })
  const able = toy({ supports: (_, ask) => ask['currency'] === 'usd' })
  expect((await buyer({}, { methods: [never, able] }).fetch(seller.url)).status).toBe(200)
  expect([never.prepared.length, able.prepared.length]).toEqual([0, 1])
  const response = await buyer({}, { methods: [never] }).fetch(seller.url)
  expect(reasonFor(response)?.code).toBe('unsupported')
})

test('CORE-100: unsupported says why, where the method can tell', async () => {
  const seller = await serve(honest({ ask: { methodDetails: { network: 'moon' } } }))
  const detail = async (over: Partial<ClientMethod>) =>
    reasonFor(await buyer({}, { methods: [toy(over)] }).fetch(seller.url))?.detail
  const supports = () => false
  expect(await detail({ name: 'gold' })).toBe('no method can pay this toy/charge')
  expect(await detail({ supports })).toBe('no method can pay this toy/charge on moon')
  const cost = () => {
    throw new Error('it is for moon, not earth')
  }
  expect(await detail({ supports, cost })).toBe(
    'no method can pay this toy/charge: it is for moon, not earth',
  )
})

test('CORE-154: two purchases use two challenges; one that was paid is never paid again', async () => {
  const seller = await serve(honest())
  const { fetch } = buyer()
  await fetch(seller.url)
  await fetch(seller.url)
  expect(new Set(seller.settled).size).toBe(2)

  const stale = challenge()
  const cache = await serve((seen, response) =>
    seen.credential ? deliver(response, seen) : ask(response, stale),
  )
  const { fetch: again, method } = buyer()
  const both = await Promise.all([again(cache.url), again(cache.url)])
  const third = await again(cache.url)
  expect(new Set(both.map((response) => response.status))).toEqual(new Set([200, 402]))
  expect([third.status, reasonFor(third)?.code, method.prepared.length]).toEqual([402, 'spent', 1])
})

test('a challenge that was denied may be asked again', async () => {
  const stale = challenge()
  const cache = await serve((seen, response) =>
    seen.credential ? deliver(response, seen) : ask(response, stale),
  )
  const answers = [false, true]
  const { fetch } = buyer({ approve: () => answers.shift()! })
  expect(reasonFor(await fetch(cache.url))?.code).toBe('denied')
  expect((await fetch(cache.url)).status).toBe(200)
})

test('a 402 of another scheme comes back unread, with the reason', async () => {
  const seller = await serve(
    (_, response) => void response.writeHead(402, { 'WWW-Authenticate': 'L402 x="y"' }).end('other'),
  )
  const { fetch, events } = buyer()
  const response = await fetch(seller.url)
  expect([response.status, reasonFor(response)?.code, await response.text()]).toEqual([
    402,
    'no-challenge',
    'other',
  ])
  expect(events).toMatchObject([{ type: 'refused', reason: { code: 'no-challenge' }, offers: [] }])
})

test('CORE-128: a credential never goes over plain http beyond loopback', async () => {
  const calls: string[] = []
  const fake = async (input: unknown) => {
    calls.push(String(input))
    return new Response('x', { status: 402, headers: { 'WWW-Authenticate': formatChallenge(challenge()) } })
  }
  for (const url of [
    'http://shop.example/',
    'http://10.0.0.1/',
    'http://localhost.evil.example/',
    'http://127.evil.example/',
    'http://[::2]/',
  ]) {
    const { fetch, method } = buyer({}, { fetch: fake as typeof globalThis.fetch })
    const response = await fetch(url)
    expect([url, response.status, reasonFor(response)?.code, method.prepared.length]).toEqual([
      url,
      402,
      'insecure',
      0,
    ])
    expect(await response.text()).toBe('x')
  }
  expect(calls).toHaveLength(5)
  for (const url of ['https://shop.example/', 'http://localhost/', 'http://127.1.2.3/', 'http://[::1]/']) {
    const { fetch, method } = buyer({}, { fetch: fake as typeof globalThis.fetch })
    await fetch(url)
    expect([url, method.prepared.length]).toEqual([url, 1])
  }
})

test('quote tells what a call would cost and pays nothing (CHG-019: also what cannot be paid)', async () => {
  const seller = await serve((_, response) =>
    ask(
      response,
      challenge({ method: 'stone', ask: { methodDetails: { odd: [1, { x: null }] } }, description: 'free!' }),
      challenge({ ask: { amount: '500' } }),
      challenge({ ask: { amount: '25', methodDetails: { splits: ['agent'], network: 'toynet', fee: '5' } } }),
    ),
  )
  const { quote, events, method } = buyer()
  const offers = await quote(seller.url)
  expect(offers).toMatchObject([
    {
      origin: seller.origin,
      realm: 'Photos',
      method: 'toy',
      intent: 'charge',
      amount: '0.3',
      currency: 'usd',
      recipients: ['shop', 'agent'],
      network: 'toynet',
      allowed: true,
    },
    {
      method: 'stone',
      currency: 'usd',
      recipients: ['shop'],
      request: { amount: '10' },
      allowed: false,
      reason: { code: 'unsupported' },
    },
    { amount: '5', allowed: false, reason: { code: 'limit' } },
  ])
  expect(offers[0]!.reason).toBeUndefined()
  expect([events.length, method.prepared.length, seller.seen.length]).toEqual([0, 0, 1])
  const free = await serve((_, response) => void response.end())
  expect(await quote(free.url)).toEqual([])
})

test('quote knows the budget', async () => {
  const seller = await serve(honest())
  const { fetch, quote } = buyer({ limits: { currency: 'usd', perRequest: '1', total: '0.10' } })
  expect(await quote(seller.url)).toMatchObject([{ allowed: true }])
  await fetch(seller.url)
  expect(await quote(seller.url)).toMatchObject([{ allowed: false, reason: { code: 'budget' } }])
})

test('polyfill: nothing is patched without it; restores in any order', async () => {
  const seller = await serve(honest())
  const original = globalThis.fetch
  const [first, second] = [buyer(), buyer()]
  expect(globalThis.fetch).toBe(original)
  const restoreFirst = first.polyfill()
  const patched = globalThis.fetch
  const restoreSecond = second.polyfill()
  try {
    expect((await globalThis.fetch(seller.url)).status).toBe(200)
    expect([first.events.length, second.events.length]).toEqual([0, 1])
    restoreFirst()
    expect((await globalThis.fetch(seller.url)).status).toBe(200)
    expect([first.events.length, second.events.length]).toEqual([0, 2])
    expect((await patched(seller.url)).status).toBe(402)
    // A client that is no patch pays below the patches.
    const third = buyer()
    expect((await third.fetch(seller.url)).status).toBe(200)
    expect([second.events.length, third.events.length]).toEqual([2, 1])
  } finally {
    restoreSecond()
  }
  expect(globalThis.fetch).toBe(original)
  restoreSecond()
  expect(globalThis.fetch).toBe(original)

  const a = first.polyfill()
  const b = second.polyfill()
  b()
  expect((await globalThis.fetch(seller.url)).status).toBe(200)
  expect(first.events).toHaveLength(1)
  a()
  expect(globalThis.fetch).toBe(original)
  expect(seller.settled).toHaveLength(4)
})

test('a foreign wrapper over a patch neither loops nor pays twice', async () => {
  const seller = await serve(honest())
  const original = globalThis.fetch
  const { polyfill, fetch, events } = buyer()
  const restore = polyfill()
  const below = globalThis.fetch
  globalThis.fetch = (input, init) => below(input, init)
  try {
    expect((await globalThis.fetch(seller.url)).status).toBe(200)
    expect((await fetch(seller.url)).status).toBe(200)
  } finally {
    globalThis.fetch = below
    restore()
  }
  expect(globalThis.fetch).toBe(original)
  expect([seller.settled.length, events.length]).toEqual([2, 2])
})

test('Request, URL and init inputs; init overrides', async () => {
  const seller = await serve(honest())
  const { fetch } = buyer()
  await fetch(new URL(`${seller.url}?a=1#part`))
  await fetch(new Request(seller.url, { method: 'PUT', body: 'one', headers: { a: '1' } }))
  await fetch(new Request(seller.url, { method: 'PUT', body: 'one', headers: { a: '1' } }), {
    method: 'post',
    body: 'two',
    headers: { b: '2' },
  })
  const shape = seller.seen.map(({ method, url, body, headers }) => [
    method,
    url,
    body,
    headers['a'],
    headers['b'],
  ])
  expect(shape).toEqual([
    ...Array(2).fill(['GET', '/photo?a=1', '', undefined, undefined]),
    ...Array(2).fill(['PUT', '/photo', 'one', '1', undefined]),
    ...Array(2).fill(['POST', '/photo', 'two', undefined, '2']),
  ])
})

test('a listener that throws does not get between payment and answer', async () => {
  const seller = await serve(honest())
  const faults: unknown[] = []
  const listen = (error: unknown) => faults.push(error)
  const others = process.listeners('unhandledRejection')
  process.removeAllListeners('unhandledRejection')
  process.on('unhandledRejection', listen)
  try {
    const { fetch } = buyer(
      {},
      {
        onPayment: () => {
          throw new Error('mine')
        },
      },
    )
    expect((await fetch(seller.url)).status).toBe(200)
    await new Promise((resolve) => setTimeout(resolve, 20))
  } finally {
    process.off('unhandledRejection', listen)
    for (const other of others) process.on('unhandledRejection', other)
  }
  expect(faults).toMatchObject([{ message: 'mine' }])
})
