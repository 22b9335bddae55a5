import { parseTime, type Receipt } from '@mppkit/core'
import { expect } from 'vitest'
import type { Reply } from './adapter-app.ts'
import {
  aborted,
  barrier,
  expectPaid,
  expectRefusal,
  pause,
  text,
  withCredential,
  type Bench,
} from './test-adapter-bench.ts'
import type { ToyMethod } from './toy-method.ts'

/** What reaches the buyer, and in which headers. */
export function deliveryQuestions(bench: Bench): void {
  const { alice, ask, credential, errors, gates, insist, ledger, open, pay, quote, route, send } = bench
  const { toy, toyGates } = bench
  const large = new Uint8Array(5_000_000).map((_, index) => index % 251)

  const answers: [name: string, reply: Reply, status: number, body: string | Uint8Array | undefined][] = [
    ['json', { kind: 'json', body: { paid: true } }, 200, '{"paid":true}'],
    ['created', { kind: 'json', body: { id: 1 }, status: 201 }, 201, '{"id":1}'],
    ['text', { kind: 'text', body: 'héllo' }, 200, 'héllo'],
    [
      'bytes',
      { kind: 'bytes', body: new Uint8Array([0, 255, 13, 10, 128]) },
      200,
      new Uint8Array([0, 255, 13, 10, 128]),
    ],
    ['large', { kind: 'bytes', body: large }, 200, large],
    ['empty', { kind: 'empty', status: 204 }, 204, ''],
    ['stream', { kind: 'stream', chunks: () => pieces('a', 'b', 'c') }, 200, 'abc'],
    ['echo', { kind: 'echo' }, 200, undefined],
    ['payment', { kind: 'payment' }, 200, undefined],
    ['cookies', { kind: 'cookies' }, 200, '{}'],
  ]
  const good = answers.map((answer) => [...answer, route(`/delivery/${answer[0]}`, answer[1])] as const)

  ask(
    'receipt',
    ['CORE-007', 'CORE-076', 'CORE-077', 'CORE-078', 'CORE-079', 'CORE-156', 'CHG-004', 'CHG-013'],
    'every 2xx answer is whole, carries a receipt, and is private',
    async () => {
      for (const [name, , status, body, asked] of good) {
        const got = await pay(asked)
        const receipt = expectPaid(got)
        expect([name, got.status, got.complete]).toEqual([name, status, true])
        if (typeof body === 'string') expect(got.text).toBe(body)
        if (body instanceof Uint8Array) expect(Buffer.compare(got.bytes, body)).toBe(0)
        expect(receipt).toMatchObject({
          status: 'success',
          method: expect.stringMatching(/^[a-z]+$/),
          reference: expect.stringMatching(/./),
        })
        expect(Math.abs(parseTime(receipt.timestamp)! - Date.now())).toBeLessThan(180_000)
        expect(got.all('payment-receipt')).toHaveLength(1)
        expect(got.get('payment-receipt')).toMatch(/^[A-Za-z0-9_-]+$/)
        expect(got.get('cache-control')).toMatch(/(^|,\s*)private(\s*,|$)/)
        expect(got.get('cache-control')).not.toMatch(/public|s-maxage/)
        expect(got.get('www-authenticate')).toBeNull()
      }
    },
  )

  const mute = gates({ methods: [muteAboutChallenges(toy)] })
  const named = route('/delivery/named', { kind: 'text', body: 'named' }, { with: mute })
  ask(
    'receipt-names',
    ['CORE-077'],
    'a receipt says for which challenge it is, though the rail does not',
    async () => {
      const [challenge] = await quote(named)
      const receipt = expectPaid(await send(withCredential(named, await alice.pay(challenge!))))
      expect(receipt.challengeId).toBe(challenge!.id)
    },
  )

  const bad: [name: string, reply: Reply, status: number][] = [
    ['redirect', { kind: 'redirect', to: '/elsewhere', status: 302 }, 302],
    ['see-other', { kind: 'redirect', to: '/elsewhere', status: 303 }, 303],
    ['not-modified', { kind: 'empty', status: 304 }, 304],
    ['bad-request', { kind: 'json', body: { error: 'bad' }, status: 400 }, 400],
    ['forbidden', { kind: 'json', body: { error: 'no' }, status: 403 }, 403],
    ['not-found', { kind: 'json', body: { error: 'none' }, status: 404 }, 404],
    ['own-error', { kind: 'json', body: { error: 'oops' }, status: 500 }, 500],
    ['throw', { kind: 'throw' }, 500],
  ]
  const failing = bad.map((answer) => [...answer, route(`/delivery/${answer[0]}`, answer[1])] as const)

  ask('no-receipt', ['CORE-008', 'CORE-080', 'CORE-081'], 'nothing but a 2xx carries a receipt', async () => {
    for (const [name, , status, asked] of failing) {
      const got = await pay(asked)
      expect([name, got.status]).toEqual([name, status])
      expect([name, got.get('payment-receipt'), got.get('www-authenticate')]).toEqual([name, null, null])
      expect([name, got.get('cache-control')]).toEqual([name, expect.stringMatching(/no-store/)])
      expect(asked.starts).toBe(1)
    }
  })

  ask('redirect-delivers', ['CORE-005'], 'a redirect is a delivery: the credential is spent', async () => {
    const [, , , asked] = failing.find(([name]) => name === 'see-other')!
    const paid = await credential(asked)
    const first = await send(withCredential(asked, paid))
    expect([first.status, first.get('location')]).toEqual([303, '/elsewhere'])
    expectRefusal(await insist(withCredential(asked, paid)), 'invalid-challenge')
  })

  ask(
    'error-reaches-handler',
    ['CORE-081'],
    'what the handler throws reaches the framework’s error handler',
    async () => {
      const [, , , asked] = failing.find(([name]) => name === 'throw')!
      const before = errors.length
      const got = await pay(asked)
      expect([got.status, got.text]).toEqual([500, 'handled'])
      expect(errors.length).toBe(before + 1)
    },
  )

  ask('cookies', ['CORE-156'], 'cookies survive, each on its own line, and "public" does not', async () => {
    const [, , , , asked] = good.find(([name]) => name === 'cookies')!
    const got = await pay(asked)
    expect(got.all('set-cookie').map((cookie) => cookie.split(';')[0])).toEqual(['a=1', 'b=2'])
    expect(got.all('cache-control')).toEqual(['private'])
  })

  const handle = route('/delivery/own-headers', {
    kind: 'json',
    body: {},
    headers: [
      ['x-own', '1'],
      ['cache-control', 'public, s-maxage=60'],
    ],
  })
  ask('own-headers', ['CORE-156'], 'other headers of the handler survive', async () => {
    const got = await pay(handle)
    expect([got.get('x-own'), got.get('cache-control')]).toEqual(['1', 'private'])
  })

  let held = barrier()
  const streamed = route('/delivery/held', {
    kind: 'stream',
    async *chunks(signal) {
      yield text('first')
      await Promise.race([held.opened, aborted(signal)])
      yield text('last')
    },
  })
  ask('stream', ['CORE-007', 'CORE-076'], 'a stream is passed on as it comes, receipt first', async () => {
    held = barrier()
    const exchange = open(withCredential(streamed, await credential(streamed)))
    await exchange.read(5)
    held.open()
    const got = await exchange.rest()
    expectPaid(got)
    expect([got.text, got.complete]).toEqual(['firstlast', true])
  })

  const described = route(
    '/delivery/described',
    { kind: 'payment' },
    { with: toyGates, price: { amount: '1.50', externalId: 'order-7' } },
  )
  ask('payment', ['CHG-020'], 'the handler can read what was paid, by whom, and for which time', async () => {
    const before = await ledger.balance('shop')
    const got = await pay(described)
    const receipt = expectPaid(got)
    expect(got.json()).toEqual({
      id: expect.stringMatching(/^.{16,}$/),
      attempt: 1,
      method: 'toy',
      intent: 'charge',
      payer: 'alice',
      reference: receipt.reference,
      request: { amount: '150', currency: 'usd', recipient: 'shop', externalId: 'order-7' },
    })
    expect(receipt.externalId).toBe('order-7')
    expect((await ledger.balance('shop')) - before).toBe(150n)
    expect((await pay(described)).json().id).not.toBe(got.json().id)
  })
}

/** A rail that knows no challenges, as most do not. */
function muteAboutChallenges(toy: ToyMethod): ToyMethod {
  return {
    ...toy,
    async settle(...settling) {
      const { challengeId: _, ...receipt } = await toy.settle(...settling)
      return receipt as Receipt
    },
  }
}

async function* pieces(...values: string[]): AsyncGenerator<Uint8Array> {
  for (const value of values) {
    yield text(value)
    await pause(5)
  }
}
