import { parseTime } from '@mppkit/core'
import { expect } from 'vitest'
import type { Reply } from './adapter-app.ts'
import {
  barrier,
  expectPaid,
  expectRefusal,
  pause,
  REALM,
  until,
  withCredential,
  type Bench,
} from './test-adapter-bench.ts'
import { toyMethod } from './toy.ts'

const text = (value: string): Uint8Array => new TextEncoder().encode(value)

/** What reaches the buyer, and in which headers. */
export function deliveryQuestions(bench: Bench): void {
  const { ask, credential, errors, insist, ledger, open, pay, route, send, toyGates } = bench
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
  ask(
    'payment',
    ['CORE-112', 'CHG-020'],
    'the handler can read what was paid, by whom, and for which time',
    async () => {
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
      expect(REALM).toBeDefined()
    },
  )

  disconnectQuestions(bench)
}

/** What becomes of a payment whose buyer goes away, or whose handler fails. */
function disconnectQuestions({
  ask,
  credential,
  gates,
  insist,
  ledger,
  open,
  route,
  send,
  toy,
  toyGates,
}: Bench): void {
  const options = { with: toyGates }
  const slow = route('/delivery/slow', { kind: 'payment' }, options)
  ask(
    'gone-before',
    ['CORE-143', 'CHG-037'],
    'a buyer who leaves before the first byte gets the content with the same credential, and pays once',
    async () => {
      const paid = await credential(slow)
      const before = toy.calls.settle
      const working = barrier()
      slow.onStart = () => working.opened
      const exchange = open(withCredential(slow, paid))
      await until(() => slow.starts === 1, 'the handler starts')
      exchange.reset()
      slow.onStart = undefined
      await pause(50)
      working.open()
      const got = await insist(withCredential(slow, paid))
      expectPaid(got)
      expect([got.json().attempt, slow.starts, toy.calls.settle - before]).toEqual([2, 2, 1])
    },
  )

  const middle = heldStream('first', 'last')
  const streamed = route('/delivery/gone-middle', middle.reply, options)
  ask(
    'gone-middle',
    ['CORE-143'],
    'a buyer who leaves in the middle gets it again with the same credential',
    async () => {
      const paid = await credential(streamed)
      const exchange = open(withCredential(streamed, paid))
      await exchange.read(5)
      exchange.reset()
      await until(() => middle.ended === 1, 'the stream is told')
      middle.open()
      const got = await insist(withCredential(streamed, paid))
      expectPaid(got)
      expect([got.text, streamed.starts]).toEqual(['firstlast', 2])
      expectRefusal(await insist(withCredential(streamed, paid)), 'invalid-challenge')
    },
  )

  const refunding = gates({ methods: [toyMethod({ ledger, recipient: 'shop', canRefund: true })] })
  const last = heldStream('x'.repeat(999), 'x')
  const nearly = route('/delivery/gone-last', last.reply, { with: refunding })
  ask(
    'gone-last',
    ['CHG-037'],
    'leaving at the last byte, again and again, gets neither more content nor the money back',
    async () => {
      const paid = await credential(nearly)
      const before = (await ledger.transfers()).length
      for (let attempt = 1; attempt <= 3; attempt += 1) {
        const exchange = await begin(nearly.target, paid)
        await exchange.read(999)
        exchange.reset()
        await until(() => last.ended === attempt, 'the stream is told')
      }
      const got = await insist(withCredential(nearly, paid))
      expect([got.status, got.get('retry-after'), nearly.starts]).toEqual([409, null, 3])
      await pause(1500)
      expect((await ledger.transfers()).length - before).toBe(1)
      expect((await send(withCredential(nearly, paid))).status).toBe(409)
    },
    20_000,
  )

  const throwing = route('/delivery/throwing', { kind: 'payment' }, options)
  ask(
    'redeem',
    ['CORE-080', 'CORE-143'],
    'a handler that fails is started again with the same credential, up to three times',
    async () => {
      const paid = await credential(throwing)
      const before = toy.calls.settle
      throwing.onStart = () => {
        if (throwing.starts < 3) throw new Error('not yet')
      }
      const statuses = [
        await insist(withCredential(throwing, paid)),
        await insist(withCredential(throwing, paid)),
      ]
      expect(statuses.map(({ status, text: body }) => [status, body])).toEqual([
        [500, 'handled'],
        [500, 'handled'],
      ])
      const got = await insist(withCredential(throwing, paid))
      expectPaid(got)
      expect([got.json().attempt, throwing.starts, toy.calls.settle - before]).toEqual([3, 3, 1])
      expectRefusal(await insist(withCredential(throwing, paid)), 'invalid-challenge')
    },
  )

  const hopeless = route('/delivery/hopeless', { kind: 'throw' }, options)
  ask(
    'redeem-ends',
    ['CHG-037'],
    'after three failures it is over, and the answer says that the money is known',
    async () => {
      const paid = await credential(hopeless)
      for (let attempt = 1; attempt <= 3; attempt += 1)
        expect((await insist(withCredential(hopeless, paid))).status).toBe(500)
      const got = await insist(withCredential(hopeless, paid))
      expect([got.status, got.get('retry-after'), got.get('www-authenticate'), hopeless.starts]).toEqual([
        409,
        null,
        null,
        3,
      ])
    },
  )

  const returned = route('/delivery/returned', { kind: 'throw' }, { with: refunding })
  ask(
    'refund',
    ['CHG-037'],
    'when nothing was ever handed over, the money goes back by itself',
    async () => {
      const paid = await credential(returned)
      const before = await ledger.balance('alice')
      for (let attempt = 1; attempt <= 3; attempt += 1)
        expect((await insist(withCredential(returned, paid))).status).toBe(500)
      await until(async () => (await ledger.balance('alice')) === before, 'the money is back')
      const got = await insist(withCredential(returned, paid))
      expectRefusal(got)
      expect(returned.starts).toBe(3)
    },
    20_000,
  )

  const broken = route('/delivery/broken', { kind: 'break', first: text('half') }, options)
  ask(
    'broken-stream',
    ['CORE-007'],
    'a stream that fails in the middle is not taken for a delivery',
    async () => {
      const paid = await credential(broken)
      for (let attempt = 1; attempt <= 3; attempt += 1) {
        const got = await begin(broken.target, paid).then(
          (exchange) => exchange.rest(),
          () => undefined,
        )
        expect(got?.complete ?? false).toBe(false)
        expect(broken.starts).toBe(attempt)
      }
      expect((await insist(withCredential(broken, paid))).status).toBe(409)
    },
    20_000,
  )

  /** Opens an exchange, once nobody else holds the payment. */
  async function begin(target: string, paid: string): Promise<ReturnType<typeof open>> {
    for (;;) {
      const exchange = open(withCredential({ target }, paid))
      const status = await exchange.status()
      if (status !== 409) return exchange
      const { get } = await exchange.rest()
      expect(get('retry-after')).not.toBeNull()
      await pause(50)
    }
  }
}

async function* pieces(...values: string[]): AsyncGenerator<Uint8Array> {
  for (const value of values) {
    yield text(value)
    await pause(5)
  }
}

/** A stream that keeps its end back until it is opened, or until the buyer is gone. */
function heldStream(first: string, last: string): { reply: Reply; open: () => void; ended: number } {
  const held = barrier()
  const state = {
    open: held.open,
    ended: 0,
    reply: {
      kind: 'stream',
      async *chunks(signal: AbortSignal) {
        try {
          yield text(first)
          await Promise.race([held.opened, aborted(signal)])
          if (!signal.aborted) yield text(last)
        } finally {
          state.ended += 1
        }
      },
    } satisfies Reply as Reply,
  }
  return state
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
}
