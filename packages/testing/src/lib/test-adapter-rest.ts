import { expect } from 'vitest'
import type { App, Serve } from './adapter-app.ts'
import { createBuyer } from './buyer.ts'
import {
  challengesOf,
  expectPaid,
  OLD_SECRET,
  SECRET,
  untoken,
  withCredential,
  type Bench,
} from './test-adapter-bench.ts'

/** Mistakes of the programmer, which must be loud. */
export function mistakeQuestions(
  { alice, ask, errors, pay, route, send, toyGates }: Bench,
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
        const asked = await buyer.send({ target: path })
        const got =
          asked.status === 402
            ? await buyer.send(withCredential({ target: path }, await alice.pay(challengesOf(asked)[0]!)))
            : asked
        expect([got.status, got.text]).toEqual([500, 'handled'])
        expect(got.get('payment-receipt')).toBeNull()
        expect(seen).toEqual([expect.any(TypeError)])
        expect(String(seen[0])).toMatch(/amount: \(request\)/)
        expect(starts).toBe(0)
      } finally {
        await served.close()
      }
    },
  )

  const ordinary = route('/mistakes/none', { kind: 'text', body: 'fine' })
  ask('still-fine', ['CORE-007'], 'mistakes elsewhere harm nobody', async () => {
    expectPaid(await pay(ordinary))
  })
}

/** What must hold of every answer that was given so far. */
export function lastQuestions({ ask, buyer, errors }: Bench): void {
  ask(
    'every-402',
    ['CORE-009', 'CORE-019', 'CORE-022', 'CORE-118', 'CORE-155'],
    'every 402 had a challenge that can be read, below 8 KB, and was not to be stored',
    async () => {
      const all = buyer().seen.filter(({ got }) => got.status === 402)
      expect(all.length).toBeGreaterThan(100)
      for (const { got } of all) {
        expect(challengesOf(got).length).toBeGreaterThan(0)
        expect(got.get('cache-control')).toMatch(/no-store/)
        for (const line of got.all('www-authenticate'))
          expect(line.split(', Payment ')[0]!.length).toBeLessThan(8192)
      }
    },
  )

  ask(
    'every-receipt',
    ['CORE-080', 'CORE-081', 'CORE-156'],
    'every receipt came with a 2xx, in private',
    async () => {
      const all = buyer().seen.filter(({ got }) => got.get('payment-receipt') !== null)
      expect(all.length).toBeGreaterThan(50)
      for (const { got } of all) {
        expect(got.status).toBeGreaterThanOrEqual(200)
        expect(got.status).toBeLessThan(300)
        expect(got.get('cache-control')).toMatch(/private/)
      }
    },
  )

  ask(
    'no-401',
    ['CORE-011'],
    'no credential was ever answered with 401, and nothing but planned failures with 500',
    async () => {
      for (const { got, raw } of buyer().seen) {
        if (got.status === 401) expect(raw.target).toContain('/price/refusing')
        if (got.status === 500) expect(raw.target).toMatch(/\/(delivery|once|mistakes|body|price)\//)
      }
      expect(buyer().seen.length).toBeGreaterThan(500)
    },
  )

  ask(
    'secrets',
    ['CORE-130', 'CORE-133', 'CORE-134'],
    'no answer and no error held the secret, a credential, or a proof',
    async () => {
      const marks = new Set([SECRET, OLD_SECRET])
      for (const { raw } of buyer().seen) {
        for (const [, value] of raw.headers ?? []) {
          if (!value.startsWith('Payment ey') || value.includes(',') || value.length > 20_000) continue
          marks.add(value.slice('Payment '.length))
          const { signature } = untokenOrNothing(value)
          if (typeof signature === 'string' && signature.length > 20) marks.add(signature)
        }
      }
      expect(marks.size).toBeGreaterThan(100)
      const answers = buyer()
        .seen.filter(({ got }) => got.bytes.length < 100_000)
        .map(({ got }) => `${JSON.stringify(got.headers)}\n${got.text}`)
      const everything = [
        ...answers,
        ...errors.map((error) => `${String(error)} ${JSON.stringify(error)}`),
      ].join('\n')
      expect([...marks].filter((mark) => everything.includes(mark))).toEqual([])
    },
  )
}

function untokenOrNothing(value: string): Record<string, unknown> {
  try {
    return untoken(value).payload ?? {}
  } catch {
    return {}
  }
}
