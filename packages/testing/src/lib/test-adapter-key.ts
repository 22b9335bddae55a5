import { expect } from 'vitest'
import { expectPaid, expectRefusal, pause, withCredential, type Bench } from './test-adapter-bench.ts'
import { toyWallet } from './toy-wallet.ts'

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
