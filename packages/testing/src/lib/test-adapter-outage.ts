import { memoryStore } from '@mppkit/server'
import { expect } from 'vitest'
import { brief, expectPaid, withCredential, type Bench } from './test-adapter-bench.ts'

/** The store fails at each step of a payment, or is full. */
export function outageQuestions({ alice, ask, gates, insist, ledger, quote, route, send, toy }: Bench): void {
  let offset = 0
  let inner = memoryStore({ now: () => Date.now() + offset })
  let calls = 0
  let fault: { at: number; when: 'before' | 'after' } | undefined

  /** Counts, and fails where it is told to: before something is written, or after, so that only the answer is lost. */
  async function step<T>(work: () => Promise<T>): Promise<T> {
    calls += 1
    const now = calls === fault?.at ? fault.when : undefined
    if (now === 'before') throw new Error('the store is down')
    const result = await work()
    if (now === 'after') throw new Error('the connection to the store is lost')
    return result
  }

  const shaky = gates({
    methods: [toy],
    store: {
      get: (key) => step(() => inner.get(key)),
      swap: (...write) => step(() => inner.swap(...write)),
      due: (...page) => inner.due(...page),
    },
  })
  const content = route('/outage/content', { kind: 'text', body: 'content' }, { with: shaky, verb: 'all' })

  for (const when of ['before', 'after'] as const) {
    ask(
      `store-${when}`,
      ['CORE-143', 'CORE-144', 'CORE-145'],
      `whichever call of the store fails, ${when} it is carried out: one payment, one answer, and never a 402 before it`,
      async () => {
        for (const key of [undefined, 'outage']) {
          let steps = Infinity
          for (let at = 1; at <= steps; at += 1) {
            const headers: [string, string][] = key
              ? [['Idempotency-Key', `${key}-${when}-${String(at)}`]]
              : []
            const raw = { target: content.target, method: 'POST', headers, body: 'x' }
            const [challenge] = await quote(raw)
            const paid = withCredential(raw, await alice.pay(challenge!))
            const before = { starts: content.starts, moved: (await ledger.transfers()).length }
            calls = 0
            fault = { at, when }
            const first = await send(paid)
            fault = undefined
            // Once no call is left to fail, all of them have been tried.
            if (calls < at) steps = at
            expect([at, brief(first)]).toEqual([at, expect.stringMatching(/^(200|409|503) /)])
            // Whoever held the payment may be taken for dead.
            offset += 31_000
            const again = await insist(paid)
            if (first.status === 200) {
              expectPaid(first)
              // Delivered, or not known to be: then once more, for the same money.
              expect([at, brief(again)]).toEqual([at, expect.stringMatching(/^(200|402) /)])
            } else {
              expect([first.get('www-authenticate'), first.get('payment-receipt')]).toEqual([null, null])
              expect(first.get('cache-control')).toMatch(/no-store/)
              expectPaid(again)
            }
            expect([at, (await ledger.transfers()).length - before.moved]).toEqual([at, 1])
            expect(content.starts - before.starts).toBeLessThanOrEqual(2)
          }
          // One look and four writes at least.
          expect(steps).toBeGreaterThan(5)
        }
      },
    )
  }

  let full = memoryStore({ max: 1 })
  const crowded = route(
    '/outage/full',
    { kind: 'text', body: 'content' },
    {
      with: gates({
        methods: [toy],
        store: {
          get: (key) => full.get(key),
          swap: (...write) => full.swap(...write),
          due: (...page) => full.due(...page),
        },
      }),
    },
  )
  ask(
    'store-full',
    ['CORE-138', 'CORE-144'],
    'a store that is full takes no payment, forgets none, and the credential is good when there is room',
    async () => {
      const [challenge] = await quote(crowded)
      const paid = withCredential(crowded, await alice.pay(challenge!))
      const moved = (await ledger.transfers()).length
      const got = await send(paid)
      expect([got.status, got.get('retry-after'), got.get('www-authenticate'), crowded.starts]).toEqual([
        503,
        '1',
        null,
        0,
      ])
      expect((await ledger.transfers()).length).toBe(moved)
      full = memoryStore()
      expectPaid(await insist(paid))
      expect((await ledger.transfers()).length).toBe(moved + 1)
    },
  )
}
