import { expect } from 'vitest'
import type { Raw } from './buyer.ts'
import {
  challengesOf,
  expectPaid,
  expectRefusal,
  token,
  untoken,
  withCredential,
  type Bench,
} from './test-adapter-bench.ts'

/** Methods without content, CORS, the other credential header, proxies. */
export function headerQuestions(bench: Bench): void {
  const { alice, ask, credential, gates, insist, quote, route, send, store, toy } = bench
  const content = route('/headers/content', { kind: 'text', body: 'content' })
  const any = route('/headers/any', { kind: 'text', body: 'content' }, { verb: 'all' })

  ask(
    'head',
    ['CORE-001', 'CORE-155'],
    'HEAD shows what GET would ask, without a body, and its challenge buys the GET',
    async () => {
      const got = await send({ target: content.target, method: 'HEAD' })
      expect([got.status, got.bytes.length]).toEqual([402, 0])
      expect(got.get('cache-control')).toMatch(/no-store/)
      const [challenge] = challengesOf(got)
      const [own] = await quote(content)
      expect(challenge!.request).toBe(own!.request)
      expect(content.starts).toBe(0)
    },
  )

  ask('head-paid', ['CORE-139'], 'HEAD with a credential is 409 and uses nothing up', async () => {
    const paid = await credential(content)
    const writes = store.written.length
    const got = await send(withCredential({ target: content.target, method: 'HEAD' }, paid))
    expect([got.status, got.bytes.length, got.get('payment-receipt')]).toEqual([409, 0, null])
    expect([store.written.length, content.starts]).toEqual([writes, 0])
    expectPaid(await send(withCredential(content, paid)))
  })

  ask('head-then-get', ['CORE-165'], 'the challenge that HEAD showed can be paid with GET', async () => {
    const [challenge] = challengesOf(await send({ target: any.target, method: 'HEAD' }))
    expectPaid(await send(withCredential(any, await bench.sign(challenge!))))
  })

  ask('options', ['CORE-139'], 'OPTIONS never reaches the handler and is never charged', async () => {
    const starts = any.starts
    const paid = await credential(any)
    const writes = store.written.length
    for (const headers of [[], [['Authorization', paid]]] as [string, string][][]) {
      const got = await send({ target: any.target, method: 'OPTIONS', headers })
      expect([got.status, got.text, got.get('www-authenticate'), got.get('payment-receipt')]).toEqual([
        204,
        '',
        null,
        null,
      ])
    }
    expect([any.starts, store.written.length]).toEqual([starts, writes])
  })

  const shared = route(
    '/headers/cors',
    { kind: 'text', body: 'content' },
    { verb: 'all', with: gates({ methods: [toy], cors: '*' }) },
  )
  ask('cors', ['CORE-139'], 'with cors, scripts of other origins can ask, pay and read', async () => {
    const preflight = await send({
      target: shared.target,
      method: 'OPTIONS',
      headers: [
        ['Origin', 'https://shop.example'],
        ['Access-Control-Request-Method', 'GET'],
        ['Access-Control-Request-Headers', 'authorization'],
      ],
    })
    expect([preflight.status, preflight.get('access-control-allow-origin')]).toEqual([204, '*'])
    const allowed = preflight.get('access-control-allow-headers')?.toLowerCase()
    for (const name of ['authorization', 'payment-authorization', 'accept-payment', 'idempotency-key'])
      expect(allowed).toContain(name)
    const raw: Raw = { target: shared.target, headers: [['Origin', 'https://shop.example']] }
    const [challenge] = await quote(raw)
    for (const got of [await send(raw), await send(withCredential(raw, await alice.pay(challenge!)))]) {
      expect(got.get('access-control-allow-origin')).toBe('*')
      for (const name of ['www-authenticate', 'payment-receipt', 'retry-after']) {
        expect(got.get('access-control-expose-headers')?.toLowerCase()).toContain(name)
      }
    }
  })

  const listed = route(
    '/headers/listed',
    { kind: 'text', body: 'content' },
    {
      verb: 'all',
      with: gates({ methods: [toy], cors: ['https://shop.example'], header: 'Payment-Authorization' }),
      price: { amount: (request) => (request.header('x-tier') === 'gold' ? '1' : '5') },
    },
  )
  ask(
    'cors-list',
    ['CORE-139', 'CORE-154'],
    'with a list of origins only these may, whatever is answered; and caches are told all that it depends on',
    async () => {
      const from = (origin: string): Raw => ({ target: listed.target, headers: [['Origin', origin]] })
      const shop = from('https://shop.example')
      const [challenge] = await quote(shop)
      const paid = await alice.pay(challenge!)
      const asked = await send(shop)
      for (const name of ['origin', 'payment-authorization', 'x-tier'])
        expect(asked.get('vary')?.toLowerCase().split(/, */)).toContain(name)
      const two = withCredential(
        withCredential(shop, paid, 'Payment-Authorization'),
        paid,
        'Payment-Authorization',
      )
      for (const [raw, status] of [
        [shop, 402],
        [two, 400],
        [withCredential(shop, paid, 'Payment-Authorization'), 200],
        [withCredential(shop, paid, 'Payment-Authorization'), 402],
      ] as const) {
        const got = await (status === 402 ? insist(raw) : send(raw))
        expect([
          got.status,
          got.all('access-control-allow-origin'),
          got.get('access-control-allow-credentials'),
        ]).toEqual([status, ['https://shop.example'], 'true'])
      }
      for (const raw of [
        from('https://other.example'),
        { ...from('https://other.example'), method: 'OPTIONS' },
      ]) {
        const got = await send(raw)
        expect([got.get('access-control-allow-origin'), got.get('access-control-allow-headers')]).toEqual([
          null,
          null,
        ])
      }
    },
  )

  const other = route(
    '/headers/other',
    { kind: 'text', body: 'content' },
    { with: gates({ methods: [toy], header: 'Payment-Authorization' }) },
  )
  ask(
    'payment-authorization',
    ['CORE-075', 'CORE-116', 'CORE-117'],
    'the other header, where it is asked for, is the only one',
    async () => {
      const asked = await send(other)
      const [challenge] = challengesOf(asked)
      expect(challenge!.header).toBe('Payment-Authorization')
      expect(asked.get('vary')?.toLowerCase()).toContain('payment-authorization')
      const paid = await alice.pay(challenge!)
      const writes = store.written.length
      expect((await send(withCredential(other, paid))).status).toBe(400)
      expect(
        (await send(withCredential(withCredential(other, paid), paid, 'Payment-Authorization'))).status,
      ).toBe(400)
      expect(store.written.length).toBe(writes)
      const login = withCredential(other, 'Bearer abc.def')
      expectPaid(await send(withCredential(login, paid, 'Payment-Authorization')))
      const { challenge: echoed, ...rest } = untoken(await alice.pay((await quote(other))[0]!))
      const { header: _, ...without } = echoed
      expectPaid(
        await send(withCredential(other, token({ ...rest, challenge: without }), 'Payment-Authorization')),
      )
    },
  )

  ask(
    'wrong-header',
    ['CORE-075'],
    'elsewhere a credential in Payment-Authorization is refused with 400',
    async () => {
      const paid = await credential(content)
      expect((await send(withCredential(content, paid, 'Payment-Authorization'))).status).toBe(400)
      expectPaid(await send(withCredential(content, paid)))
    },
  )

  const proxied = gates({
    methods: [toy],
    origin: 'https://api.example.com',
    trustProxy: 1,
    limits: { verify: '3/min' },
    store: lasting(store),
  })
  const behind = route('/headers/behind', { kind: 'text', body: 'content' }, { with: proxied })
  const via = (proto: string, address: string): [string, string][] => [
    ['X-Forwarded-Proto', proto],
    ['X-Forwarded-For', address],
  ]

  ask(
    'plain-http',
    ['CORE-126', 'CORE-127', 'CORE-129'],
    'what came over plain http is refused without a word of payment',
    async () => {
      const paid = await credential({ target: behind.target, headers: via('https', '203.0.113.1') })
      const writes = store.written.length
      for (const raw of [{ target: behind.target }, withCredential(behind, paid)]) {
        const got = await send({
          ...raw,
          headers: [...via('http', '203.0.113.1'), ...('headers' in raw ? raw.headers : [])],
        })
        expect(got.status).toBe(403)
        expect(got.get('content-type')).toMatch(/^application\/problem\+json/)
        expect([got.get('www-authenticate'), got.get('payment-receipt')]).toEqual([null, null])
      }
      expect([behind.starts, store.written.length]).toEqual([0, writes])
      expectPaid(
        await send(withCredential({ target: behind.target, headers: via('https', '203.0.113.1') }, paid)),
      )
    },
  )

  ask(
    'untrusted-hop',
    ['CORE-127'],
    'without a trusted proxy, what a client says about its hop is not believed',
    async () => {
      expect((await send({ target: content.target, headers: via('http', '203.0.113.1') })).status).toBe(402)
    },
  )

  ask('limited', ['CORE-160'], 'whoever keeps sending bad proofs is told to wait', async () => {
    const raw = { target: behind.target, headers: via('https', '203.0.113.77') }
    for (let tries = 1; tries <= 3; tries += 1) {
      const [challenge] = await quote(raw)
      expectRefusal(
        await send(withCredential(raw, await alice.pay(challenge!, { signature: 'A'.repeat(43) }))),
      )
    }
    const [challenge] = await quote(raw)
    const got = await send(withCredential(raw, await alice.pay(challenge!, { signature: 'A'.repeat(43) })))
    expect([got.status, got.get('retry-after')]).toEqual([429, expect.stringMatching(/^\d+$/)])
    const elsewhere = { target: behind.target, headers: via('https', '203.0.113.78') }
    expectPaid(await send(withCredential(elsewhere, await credential(elsewhere))))
  })
}

/** A store that does not admit to forgetting. */
function lasting<T extends { volatile?: unknown }>(store: T): Omit<T, 'volatile'> {
  const { volatile: _, ...rest } = store
  return rest
}
