import { expect } from 'vitest'
import type { App, Serve } from './adapter-app.ts'
import { createBuyer } from './buyer.ts'
import { challengesOf, expectPaid, expectRefusal, withCredential, type Bench } from './test-adapter-bench.ts'

/** Mistakes of the programmer, which must be loud. */
export function mistakeQuestions(
  { alice, ask, errors, insist, ledger, pay, quote, route, send, toyGates }: Bench,
  serve: Serve,
): void {
  const unguarded = route('/mistakes/unguarded', { kind: 'payment' }, { gates: [] })
  ask(
    'payment-unguarded',
    [],
    'payment() on a route without a gate is a TypeError that says so',
    async () => {
      const before = errors.length
      const got = await send(unguarded)
      expect([got.status, got.text]).toEqual([500, 'handled'])
      expect(errors.slice(before)).toEqual([expect.any(TypeError)])
      expect(String(errors[before])).toMatch(/gate|charge/)
    },
  )

  ask(
    'two-gates',
    [],
    'two gates on one request are an error before the handler, which names the remedy',
    async () => {
      const seen: unknown[] = []
      let starts = 0
      const path = '/mistakes/two'
      const app: App = {
        routes: [
          {
            verb: 'get',
            path,
            gates: [toyGates.charge({ amount: '1' }), toyGates.charge({ amount: '2' })],
            reply: { kind: 'text', body: 'never' },
            started: () => void (starts += 1),
          },
        ],
        onError: (error) => void seen.push(error),
      }
      let served: Awaited<ReturnType<Serve>>
      try {
        served = await serve(app)
      } catch (error) {
        // Where routes can be listed, the clash is found at the start.
        expect(error).toBeInstanceOf(TypeError)
        expect(String(error)).toMatch(/amount: \(request\)/)
        return
      }
      try {
        const buyer = createBuyer(served.url)
        const moved = (await ledger.transfers()).length
        const asked = await buyer.send({ target: path })
        const paid =
          asked.status === 402
            ? withCredential({ target: path }, await alice.pay(challengesOf(asked)[0]!))
            : { target: path }
        const got = asked.status === 402 ? await buyer.send(paid) : asked
        expect([got.status, got.text]).toEqual([500, 'handled'])
        expect(got.get('payment-receipt')).toBeNull()
        expect(seen).toEqual([expect.any(TypeError)])
        expect(String(seen[0])).toMatch(/amount: \(request\)/)
        expect(starts).toBe(0)
        // What was paid is known as paid: no second payment is invited, and none is made.
        const again = await buyer.send(paid)
        expect([500, 409]).toContain(again.status)
        expect((await ledger.transfers()).length - moved).toBeLessThanOrEqual(1)
      } finally {
        await served.close()
      }
    },
  )

  ask(
    'two-gates-free',
    ['CHG-009'],
    'of two gates the one that asks for nothing takes nothing off the other: it charges, or that is an error',
    async () => {
      const free = toyGates.charge({ amount: () => null })
      const charging = toyGates.charge({ amount: '1' })
      for (const gates of [
        [free, charging],
        [charging, free],
      ]) {
        const seen: unknown[] = []
        let starts = 0
        const path = '/mistakes/two-free'
        const reply = { kind: 'text', body: 'content' } as const
        const route = { verb: 'get', path, gates, reply, started: () => void (starts += 1) } as const
        let served: Awaited<ReturnType<Serve>>
        try {
          served = await serve({ routes: [route], onError: (error) => void seen.push(error) })
        } catch (error) {
          expect(error).toBeInstanceOf(TypeError)
          expect(String(error)).toMatch(/amount: \(request\)/)
          continue
        }
        try {
          const buyer = createBuyer(served.url)
          const asked = await buyer.send({ target: path })
          expect([402, 500]).toContain(asked.status)
          if (asked.status === 402) {
            const credential = await alice.pay(challengesOf(asked)[0]!)
            const got = await buyer.send(withCredential({ target: path }, credential))
            if (got.status !== 500) expectPaid(got)
          }
          if (starts === 0) expect(String(seen[0])).toMatch(/amount: \(request\)/)
          else expect([starts, seen]).toEqual([1, []])
        } finally {
          await served.close()
        }
      }
    },
  )

  priceMistakes()

  const ordinary = route('/mistakes/none', { kind: 'text', body: 'fine' })
  ask('still-fine', ['CORE-007'], 'mistakes elsewhere harm nobody', async () => {
    expectPaid(await pay(ordinary))
  })

  function priceMistakes(): void {
    let amount: () => unknown = () => '1'
    const priced = route(
      '/mistakes/price',
      { kind: 'text', body: 'never for nothing' },
      { with: toyGates, verb: 'all', price: { amount: () => amount() as string } },
    )
    const wrong: [name: string, amount: () => unknown][] = [
      ['throws', thrown],
      ['rejects', () => Promise.reject(new Error('the price is not known'))],
      ...[
        '-1',
        '',
        ' 1',
        '1 ',
        '1e3',
        '0x1',
        '1,00',
        '1.',
        '.5',
        '+1',
        'NaN',
        'Infinity',
        '0.001',
        '٣',
        'free',
      ].map((said): [string, () => unknown] => [JSON.stringify(said), () => said]),
      ['a number', () => 1],
      ['zero', () => 0],
      ['NaN', () => Number.NaN],
      ['a big integer', () => 1n],
      ['undefined', () => undefined],
      ['false', () => false],
      ['true', () => true],
      ['an empty object', () => ({})],
      ['a list', () => ['1']],
      ['a function', () => () => '1'],
      ['200', () => ({ status: 200, headers: [], body: 'free' })],
      ['402', () => ({ status: 402, headers: [], body: 'pay' })],
      ['500', () => ({ status: 500, headers: [], body: 'oops' })],
      ['a Response', () => new Response('no', { status: 404 })],
    ]
    ask(
      'amount-mistakes',
      ['CORE-018', 'CHG-009'],
      'a price function that fails, or says what is no price, is an error, and never lets anyone in for nothing',
      async () => {
        for (const [name, said] of wrong) {
          amount = said
          for (const method of ['GET', 'POST', 'HEAD']) {
            const before = errors.length
            const got = await send({ target: priced.target, method, ...(method === 'POST' && { body: 'x' }) })
            expect([name, got.status]).toEqual([name, 500])
            if (method !== 'HEAD') expect([name, got.text]).toEqual([name, 'handled'])
            expect([name, got.get('www-authenticate'), got.get('payment-receipt')]).toEqual([
              name,
              null,
              null,
            ])
            expect([name, errors.length - before]).toEqual([name, 1])
          }
        }
        expect(priced.starts).toBe(0)
      },
    )

    ask(
      'amount-throws-anything',
      ['CORE-018'],
      'whatever it throws, be it nothing at all or a word that the router knows, lets nobody in',
      async () => {
        for (const value of [undefined, null, false, 0, '', 'route', 'router', 'next', {}]) {
          amount = () => {
            throw value
          }
          // Not every framework takes such a value for an error that it should handle.
          const got = await send(priced).catch(() => undefined)
          expect([value, got?.status ?? 500]).toEqual([value, 500])
          expect([value, got?.get('payment-receipt') ?? null, priced.starts]).toEqual([value, null, 0])
        }
      },
    )

    ask(
      'amount-fails-later',
      ['CHG-029', 'CHG-037'],
      'when the price function breaks between quote and payment, no money moves; once paid, it is not asked again',
      async () => {
        amount = () => '1'
        const [challenge] = await quote(priced)
        const paid = await alice.pay(challenge!)
        const moved = (await ledger.transfers()).length
        amount = thrown
        const got = await send(withCredential(priced, paid))
        expect([got.status, got.text, got.get('payment-receipt')]).toEqual([500, 'handled', null])
        expect([priced.starts, (await ledger.transfers()).length]).toEqual([0, moved])
        amount = () => '1'
        priced.onStart = thrown
        expect((await insist(withCredential(priced, paid))).status).toBe(500)
        priced.onStart = undefined
        amount = thrown
        expectPaid(await insist(withCredential(priced, paid)))
        amount = () => '1'
        expectRefusal(await insist(withCredential(priced, paid)), 'invalid-challenge')
        expect((await ledger.transfers()).length).toBe(moved + 1)
      },
    )
  }
}

function thrown(): never {
  throw new Error('the price is not known')
}
