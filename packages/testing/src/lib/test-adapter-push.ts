import type { Challenge } from '@mppkit/core'
import { expect } from 'vitest'
import {
  expectPaid,
  expectRefusal,
  problemOf,
  token,
  withCredential,
  type Bench,
} from './test-adapter-bench.ts'
import { createToyLedger } from './toy-ledger.ts'
import { toyWallet } from './toy-wallet.ts'
import { toyMethod } from './toy-method.ts'

/** Rails on which the money has moved before the credential arrives. */
export function pushQuestions({ ask, gates, insist, ledger, quote, route, send, store }: Bench): void {
  let offset = 0
  let behind = 0
  const method = toyMethod({ ledger, name: 'push', recipient: 'shop', moves: 'before' })
  const alice = toyWallet({ ledger, account: 'alice', name: 'push', moves: 'before' })
  const timed = gates({ methods: [method], now: () => Date.now() + offset })
  const content = route('/push/content', { kind: 'text', body: 'content' }, { with: timed })

  const transfer = async (id: string): Promise<unknown> =>
    ledger.transfer({ id, from: 'alice', to: 'shop', amount: 100n })
  const naming = (challenge: Challenge | undefined, id: string): string =>
    token({ challenge, payload: { transfer: id } })

  ask(
    'push',
    ['CORE-007', 'CORE-005', 'CHG-005'],
    'a transfer that was made before buys one answer',
    async () => {
      const moved = (await ledger.transfers()).length
      const [challenge] = await quote(content)
      const paid = await alice.pay(challenge!)
      expectPaid(await send(withCredential(content, paid)))
      expectRefusal(await insist(withCredential(content, paid)), 'invalid-challenge')
      expect((await ledger.transfers()).length).toBe(moved + 1)
    },
  )

  ask(
    'push-early',
    ['CORE-009', 'CORE-109'],
    'a transfer that is not there yet is 503, never 402, and buys once it is',
    async () => {
      const [challenge] = await quote(content)
      const paid = naming(challenge, 'alice:early')
      const got = await send(withCredential(content, paid))
      expect([got.status, problemOf(got), got.get('www-authenticate')]).toEqual([503, 'about:blank', null])
      expect(got.get('retry-after')).toMatch(/^\d+$/)
      await transfer('alice:early')
      expectPaid(await insist(withCredential(content, paid)))
    },
  )

  ask(
    'push-twice',
    ['CORE-136', 'CORE-137', 'CORE-138', 'CHG-036'],
    'one transfer buys one answer, whatever challenge it is sent for',
    async () => {
      await transfer('alice:first')
      await transfer('alice:second')
      const starts = content.starts
      const [[one], [two], [three], [four]] = await Promise.all([
        quote(content),
        quote(content),
        quote(content),
        quote(content),
      ])
      expectPaid(await send(withCredential(content, naming(one, 'alice:first'))))
      const again = await insist(withCredential(content, naming(two, 'alice:first')))
      expect([402, 409]).toContain(again.status)
      const raced = await Promise.all(
        [three, four].map((challenge) => send(withCredential(content, naming(challenge, 'alice:second')))),
      )
      expect(raced.filter(({ status }) => status === 200)).toHaveLength(1)
      expect(content.starts).toBe(starts + 2)
    },
  )

  ask(
    'push-late',
    ['CORE-004', 'CHG-027'],
    'money that comes for an expired challenge delivers nothing, but is not forgotten',
    async () => {
      const [challenge] = await quote(content)
      const paid = await alice.pay(challenge!)
      const starts = content.starts
      offset = 301_000
      try {
        // Not 402: that would invite a second payment.
        for (let time = 0; time < 2; time++) {
          const got = await send(withCredential(content, paid))
          expect([got.status, got.get('retry-after'), got.get('www-authenticate')]).toEqual([409, null, null])
        }
      } finally {
        offset = 0
      }
      expect(content.starts).toBe(starts)
    },
  )

  const other = route('/push/other', { kind: 'text', body: 'other' }, { with: timed })
  ask(
    'push-elsewhere',
    ['CORE-066', 'CORE-059'],
    'money that was moved for another request buys nothing here, invites no second payment, and stays good there',
    async () => {
      const [challenge] = await quote(content)
      const paid = await alice.pay(challenge!)
      const writes = store.written.length
      for (const raw of [{ target: other.target }, { target: `${content.target}?x` }]) {
        const got = await send(withCredential(raw, paid))
        expect([got.status, got.get('retry-after'), got.get('www-authenticate')]).toEqual([409, null, null])
      }
      expect([other.starts, store.written.length]).toEqual([0, writes])
      expectPaid(await send(withCredential(content, paid)))
    },
  )

  const old = createToyLedger({ now: () => Date.now() - behind })
  const stale = route(
    '/push/stale',
    { kind: 'text', body: 'content' },
    {
      with: gates({
        methods: [toyMethod({ ledger: old, name: 'push', recipient: 'shop', moves: 'before' })],
      }),
    },
  )
  ask(
    'push-stale',
    ['CORE-136', 'CHG-028'],
    'a transfer that is older than the challenge buys nothing',
    async () => {
      await old.fund('alice', 1000n)
      behind = 120_000
      await old.transfer({ id: 'alice:old', from: 'alice', to: 'shop', amount: 100n })
      behind = 0
      const [challenge] = await quote(stale)
      expectRefusal(await send(withCredential(stale, naming(challenge, 'alice:old'))), 'verification-failed')
      expect(stale.starts).toBe(0)
    },
  )
}
