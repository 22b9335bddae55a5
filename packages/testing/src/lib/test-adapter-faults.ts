import { memoryStore } from '@mppkit/server'
import { expect } from 'vitest'
import type { Got } from './buyer.ts'
import {
  brief,
  expectPaid,
  expectRefusal,
  problemOf,
  withCredential,
  type Bench,
} from './test-adapter-bench.ts'
import type { ToyFault, ToyStep } from './toy-faults.ts'

/** The rail or the store fails. */
export function faultQuestions({
  alice,
  ask,
  credential,
  errors,
  faults,
  gates,
  insist,
  ledger,
  quote,
  reports,
  route,
  send,
  store,
  toy,
  toyGates,
}: Bench): void {
  const content = route('/faults/content', { kind: 'text', body: 'content' }, { with: toyGates })

  function expectUnavailable(got: Got): void {
    expect(brief(got)).toMatch(/^503 /)
    expect(problemOf(got)).toBe('about:blank')
    expect(got.get('retry-after')).toMatch(/^\d+$/)
    expect([got.get('www-authenticate'), got.get('payment-receipt')]).toEqual([null, null])
    expect(got.get('cache-control')).toMatch(/no-store/)
  }

  const outages: [key: string, step: ToyStep, fault: ToyFault, what: string][] = [
    ['verify-down', 'verify', 'down', 'cannot check'],
    ['settle-down', 'settle', 'down', 'cannot be reached to settle'],
    ['settle-before', 'settle', 'unknown-before', 'fails before the money moves'],
    ['settle-after', 'settle', 'unknown-after', 'fails after the money has moved'],
  ]
  for (const [key, step, fault, what] of outages) {
    ask(
      key,
      ['CORE-009', 'CORE-143', 'CORE-109'],
      `a rail that ${what} is 503, never 402; the same credential is still good`,
      async () => {
        const paid = await credential(content)
        const before = {
          errors: errors.length,
          reports: reports.length,
          starts: content.starts,
          moved: (await ledger.transfers()).length,
        }
        faults.next(step, fault)
        expectUnavailable(await send(withCredential(content, paid)))
        expect(content.starts).toBe(before.starts)
        expect(errors.length).toBe(before.errors)
        expect(reports.length).toBeGreaterThan(before.reports)
        expectPaid(await insist(withCredential(content, paid)))
        expect([content.starts, (await ledger.transfers()).length]).toEqual([
          before.starts + 1,
          before.moved + 1,
        ])
      },
    )
  }

  ask(
    'find-down',
    ['CORE-143'],
    'while nobody can say whether the money moved, the answer stays 503',
    async () => {
      const paid = await credential(content)
      const moved = (await ledger.transfers()).length
      faults.next('settle', 'unknown-after')
      expectUnavailable(await send(withCredential(content, paid)))
      faults.next('find', 'down')
      expectUnavailable(await send(withCredential(content, paid)))
      expectPaid(await insist(withCredential(content, paid)))
      expect((await ledger.transfers()).length).toBe(moved + 1)
    },
  )

  ask(
    'in-doubt',
    ['CORE-011', 'CORE-143'],
    'another credential for a payment in doubt is 409 and moves nothing',
    async () => {
      const [challenge] = await quote(content)
      const first = await alice.pay(challenge!)
      const moved = (await ledger.transfers()).length
      faults.next('settle', 'unknown-after')
      expectUnavailable(await send(withCredential(content, first)))
      const got = await send(withCredential(content, await alice.pay(challenge!)))
      expect([got.status, got.get('www-authenticate')]).toEqual([409, null])
      expectPaid(await insist(withCredential(content, first)))
      expect((await ledger.transfers()).length).toBe(moved + 1)
    },
  )

  ask(
    'stalled',
    ['CORE-143'],
    'while a settlement takes its time, copies are told to wait and other credentials that they come too late',
    async () => {
      const [challenge] = await quote(content)
      const first = await alice.pay(challenge!)
      const moved = (await ledger.transfers()).length
      faults.next('settle', 'stall')
      const stalled = faults.stalled()
      const going = send(withCredential(content, first))
      await stalled
      const copy = await send(withCredential(content, first))
      expect([copy.status, copy.get('retry-after')]).toEqual([409, expect.stringMatching(/^\d+$/)])
      const other = await send(withCredential(content, await alice.pay(challenge!)))
      expect([other.status, other.get('retry-after'), other.get('www-authenticate')]).toEqual([
        409,
        null,
        null,
      ])
      faults.release()
      expectPaid(await going)
      expect((await ledger.transfers()).length).toBe(moved + 1)
    },
  )

  ask(
    'declined',
    ['CORE-006', 'CORE-082'],
    'a rail that declines for good is a refusal, and nothing is left behind',
    async () => {
      for (const step of ['verify', 'settle'] as const) {
        const paid = await credential(content)
        faults.next(step, 'decline')
        const fresh = expectRefusal(await send(withCredential(content, paid)), 'verification-failed')
        expectPaid(await send(withCredential(content, await alice.pay(fresh))))
      }
    },
  )

  ask('store-down', ['CORE-144'], 'without its store the server asks for money, but takes none', async () => {
    const paid = await credential(content)
    const moved = (await ledger.transfers()).length
    store.down = true
    try {
      expect((await send(content)).status).toBe(402)
      expectUnavailable(await send(withCredential(content, paid)))
    } finally {
      store.down = false
    }
    expect((await ledger.transfers()).length).toBe(moved)
    expectPaid(await insist(withCredential(content, paid)))
  })

  let offset = 0
  const own = { down: false, inner: memoryStore({ now: () => Date.now() + offset }) }
  const leased = gates({
    methods: [toy],
    store: {
      get: async (key) => reach().get(key),
      swap: async (...write) => reach().swap(...write),
      due: async (...page) => reach().due(...page),
    },
  })
  const lost = route('/faults/lost', { kind: 'text', body: 'content' }, { with: leased })
  ask(
    'store-lost',
    ['CORE-143', 'CORE-145'],
    'when a settlement cannot be recorded, the handler does not run; a later retry delivers, unpaid for',
    async () => {
      const paid = await credential(lost)
      const moved = (await ledger.transfers()).length
      faults.next('settle', 'stall')
      const stalled = faults.stalled()
      const going = send(withCredential(lost, paid))
      await stalled
      own.down = true
      faults.release()
      const got = await going
      own.down = false
      expect([409, 503]).toContain(got.status)
      expect([got.get('www-authenticate'), lost.starts]).toEqual([null, 0])
      // Whoever held the payment is as good as dead once the lease is over.
      offset += 31_000
      expectPaid(await insist(withCredential(lost, paid)))
      expect([lost.starts, (await ledger.transfers()).length]).toEqual([1, moved + 1])
    },
  )

  function reach(): ReturnType<typeof memoryStore> {
    if (own.down) throw new Error('the store is down')
    return own.inner
  }
}
