import { expect } from 'vitest'
import type { Reply } from './adapter-app.ts'
import type { Got } from './buyer.ts'
import { expectPaid, expectRefusal, pause, withCredential, type Bench } from './test-adapter-bench.ts'
import { toyWallet } from './toy-wallet.ts'

const many: [string, string][] = [
  ['set-cookie', 'a=1; Path=/'],
  ['set-cookie', 'b=2; HttpOnly'],
  ['link', '</a>; rel=next'],
  ['link', '</b>; rel=prev'],
  ['x-own', 'yes'],
  ['date', 'Thu, 01 Jan 1970 00:00:00 GMT'],
]

/** What two answers must have in common: fields in any order, without those of the moment and of the connection. */
function linesOf({ headers, get, all }: Got): unknown[] {
  const passing = ['date', 'connection', 'keep-alive', 'transfer-encoding', 'content-length']
  const names = new Set(headers.map(([name]) => name.toLowerCase()).filter((name) => !passing.includes(name)))
  return [...names].toSorted().map((name) => [name, name === 'set-cookie' ? all(name) : get(name)])
}

/** Answers that are kept for retries. */
export function keyQuestions({
  ask,
  credential,
  insist,
  ledger,
  open,
  quote,
  route,
  send,
  store,
  toyGates,
}: Bench): void {
  const options = { with: toyGates, verb: 'post' as const }
  const keyed = route('/once/keyed', { kind: 'cookies' }, options)
  const plain = route('/once/keyed-payment', { kind: 'payment' }, options)
  const withKey = (target: string, key: string, body = '{"a":1}') => ({
    target,
    method: 'POST',
    headers: [['Idempotency-Key', key]] as [string, string][],
    body,
  })

  ask(
    'kept',
    ['CORE-141', 'CORE-142'],
    'a retry with the same Idempotency-Key gets the first answer again, byte for byte',
    async () => {
      for (const asked of [keyed, plain]) {
        const starts = asked.starts
        const raw = withKey(asked.target, 'key-1')
        const paid = await credential(raw)
        const first = await send(withCredential(raw, paid))
        expectPaid(first)
        const moved = (await ledger.transfers()).length
        for (let again = 0; again < 3; again += 1) {
          const got = await insist(withCredential(raw, paid))
          expect(got.status).toBe(first.status)
          expect(got.text).toBe(first.text)
          for (const name of ['payment-receipt', 'content-type', 'cache-control'])
            expect([name, got.get(name)]).toEqual([name, first.get(name)])
          expect(got.all('set-cookie')).toEqual(first.all('set-cookie'))
        }
        expect([asked.starts, (await ledger.transfers()).length]).toEqual([starts + 1, moved])
      }
    },
  )

  const answers: [name: string, reply: Reply][] = [
    ['created', { kind: 'json', body: { é: '✓' }, status: 201, headers: many }],
    ['text', { kind: 'text', body: 'héllo', headers: many }],
    ['bytes', { kind: 'bytes', body: new Uint8Array([0, 255, 254, 13, 10, 128]) }],
    ['empty', { kind: 'empty', status: 204 }],
    ['see-other', { kind: 'redirect', to: '/elsewhere?x=1', status: 303 }],
    ['largest', { kind: 'bytes', body: new Uint8Array(65_536).map((_, index) => index % 251) }],
  ]
  const whole = answers.map(([name, reply]) => [name, route(`/key/${name}`, reply, options)] as const)
  ask(
    'kept-whole',
    ['CORE-142', 'CORE-143'],
    'whatever is kept is kept whole: status, every line of every field, and every byte',
    async () => {
      for (const [name, asked] of whole) {
        const raw = withKey(asked.target, `whole-${name}`)
        const paid = await credential(raw)
        const first = await send(withCredential(raw, paid))
        const again = await insist(withCredential(raw, paid))
        expect([name, again.status]).toEqual([name, first.status])
        expect([name, ...linesOf(again)]).toEqual([name, ...linesOf(first)])
        expect([name, Buffer.compare(again.bytes, first.bytes), asked.starts]).toEqual([name, 0, 1])
        // When it was sent is no part of it.
        expect([name, again.get('date')]).not.toEqual([name, 'Thu, 01 Jan 1970 00:00:00 GMT'])
      }
    },
  )

  const larger = route('/key/larger', { kind: 'bytes', body: new Uint8Array(65_537).fill(7) }, options)
  ask('large-not-kept', ['CORE-142'], 'what is larger than 64 KB is not kept, but comes whole', async () => {
    const raw = withKey(larger.target, 'larger')
    const paid = await credential(raw)
    const got = await send(withCredential(raw, paid))
    expectPaid(got)
    expect([got.bytes.length, got.bytes.every((byte) => byte === 7), got.complete]).toEqual([
      65_537,
      true,
      true,
    ])
    expectRefusal(await insist(withCredential(raw, paid)), 'invalid-challenge')
    expect(larger.starts).toBe(1)
  })

  const secret = 'what-was-sold-and-nobody-else-may-read'
  const sold = route(
    '/key/sold',
    { kind: 'text', body: secret, headers: [['x-sold', `${secret}-too`]] },
    options,
  )
  ask(
    'kept-sealed',
    ['CORE-151', 'CORE-132'],
    'a kept answer is not written in clear, nor is its credential, nor its receipt',
    async () => {
      const from = store.written.length
      const raw = withKey(sold.target, 'sold')
      const paid = await credential(raw)
      const got = await send(withCredential(raw, paid))
      expectPaid(got)
      expect((await insist(withCredential(raw, paid))).text).toBe(secret)
      const written = store.written.slice(from).join('\n')
      expect(written.length).toBeGreaterThan(0)
      for (const mark of [
        secret,
        Buffer.from(secret).toString('base64url').slice(0, 40),
        paid.slice(8),
        got.get('payment-receipt')!,
      ])
        expect(written).not.toContain(mark)
    },
  )

  const flaky = route('/key/flaky', { kind: 'payment' }, options)
  ask(
    'failure-not-kept',
    ['CORE-142', 'CORE-080'],
    'a failure is not kept: the retry gets the content',
    async () => {
      const raw = withKey(flaky.target, 'flaky')
      const paid = await credential(raw)
      flaky.onStart = () => {
        throw new Error('not yet')
      }
      expect((await send(withCredential(raw, paid))).status).toBe(500)
      flaky.onStart = undefined
      const got = await insist(withCredential(raw, paid))
      expectPaid(got)
      expect(got.json().attempt).toBe(2)
      expect((await insist(withCredential(raw, paid))).text).toBe(got.text)
      expect(flaky.starts).toBe(2)
    },
  )

  ask(
    'key-crowd',
    ['CORE-142', 'CORE-143'],
    'thirty copies with one key at once: one start, and in the end the same answer for everyone',
    async () => {
      const raw = withKey(flaky.target, 'crowd')
      const paid = await credential(raw)
      const starts = flaky.starts
      flaky.onStart = () => pause(50)
      const copies = Array.from({ length: 30 }, () => withCredential(raw, paid))
      const first = await Promise.all(copies.map((copy) => send(copy)))
      flaky.onStart = undefined
      expect(first.filter(({ status }) => ![200, 409].includes(status))).toEqual([])
      const last = await Promise.all(copies.map((copy) => insist(copy)))
      const texts = new Set([...first.filter(({ status }) => status === 200), ...last].map((got) => got.text))
      expect([texts.size, flaky.starts]).toEqual([1, starts + 1])
      for (const got of last) expectPaid(got)
    },
  )

  ask(
    'key-unusable',
    ['CORE-141', 'CORE-139'],
    'a key that cannot be used is refused before anybody pays, and takes no payment',
    async () => {
      const raw = (key: string) => withKey(plain.target, key)
      const paid = await credential(raw('y'.repeat(255)))
      const writes = store.written.length
      for (const key of ['', 'x'.repeat(256)]) {
        for (const one of [raw(key), withCredential(raw(key), paid)]) {
          const got = await send(one)
          expect([got.status, got.get('www-authenticate'), got.get('payment-receipt')]).toEqual([
            400,
            null,
            null,
          ])
        }
      }
      expect(store.written.length).toBe(writes)
      expectPaid(await send(withCredential(raw('y'.repeat(255)), paid)))
    },
  )

  ask(
    'kept-for-others',
    ['CORE-142', 'CHG-037'],
    'without the key, with another, or on another request, there is no kept answer',
    async () => {
      const raw = withKey(plain.target, 'key-2')
      const paid = await credential(raw)
      expectPaid(await send(withCredential(raw, paid)))
      for (const other of [{ ...raw, headers: [] }, withKey(plain.target, 'key-3')]) {
        expectRefusal(await insist(withCredential(other, paid)), 'invalid-challenge')
      }
      expectRefusal(await insist(withCredential(withKey(keyed.target, 'key-2'), paid)), 'invalid-challenge')
      expectRefusal(
        await insist(withCredential(withKey(plain.target, 'key-2', '{"a":2}'), paid)),
        'verification-failed',
        'invalid-challenge',
      )
    },
  )

  ask(
    'key-reused',
    ['CORE-142'],
    'another payment of the same payer under a used key is not made',
    async () => {
      const raw = withKey(plain.target, 'key-4')
      expectPaid(await send(withCredential(raw, await credential(raw))))
      const moved = (await ledger.transfers()).length
      const got = await insist(withCredential(raw, await credential(raw)))
      expect([402, 409]).toContain(got.status)
      expect((await ledger.transfers()).length).toBe(moved)
      const bob = toyWallet({ ledger, account: 'bob' })
      await ledger.fund('bob', 1000n)
      const [challenge] = await quote(raw)
      expectPaid(await send(withCredential(raw, await bob.pay(challenge!))))
    },
  )

  ask(
    'key-raced',
    ['CORE-142', 'CORE-143'],
    'two payments of one payer under one key at once: one is made',
    async () => {
      const raw = withKey(plain.target, 'key-5')
      const two = [await credential(raw), await credential(raw)]
      const moved = (await ledger.transfers()).length
      const both = await Promise.all(two.map((paid) => send(withCredential(raw, paid))))
      expect(both.filter(({ status }) => status === 200)).toHaveLength(1)
      expect((await ledger.transfers()).length).toBe(moved + 1)
    },
  )

  ask(
    'kept-lost',
    ['CORE-142', 'CORE-143'],
    'an answer that got lost on its way is had with the same key, and is not made again',
    async () => {
      const raw = withKey(plain.target, 'key-6')
      const paid = await credential(raw)
      const starts = plain.starts
      plain.onStart = () => pause(50)
      const exchange = open(withCredential(raw, paid))
      await pause(25)
      exchange.reset()
      const got = await insist(withCredential(raw, paid))
      plain.onStart = undefined
      expectPaid(got)
      expect(plain.starts - starts).toBeLessThanOrEqual(2)
      expect((await send(withCredential(raw, paid))).text).toBe(got.text)
    },
  )

  const streamed = route(
    '/once/keyed-stream',
    {
      kind: 'stream',
      async *chunks() {
        yield new TextEncoder().encode('abc')
      },
    },
    options,
  )
  ask('stream-not-kept', ['CORE-142'], 'a stream is delivered once, key or not', async () => {
    const raw = withKey(streamed.target, 'key-7')
    const paid = await credential(raw)
    const got = await send(withCredential(raw, paid))
    expectPaid(got)
    expect(got.text).toBe('abc')
    const again = await insist(withCredential(raw, paid))
    expect(again.status === 402 || again.text === 'abc').toBe(true)
  })
}
