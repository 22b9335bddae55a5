import { expect } from 'vitest'
import {
  expectPaid,
  expectRefusal,
  OLD_SECRET,
  SECRET,
  switching,
  withCredential,
  type Bench,
} from './test-adapter-bench.ts'

/** Clocks, deploys and secrets that change between quote and payment. */
export function timeQuestions({ alice, ask, gates, insist, ledger, quote, route, send, toy }: Bench): void {
  let offset = 0
  const timed = gates({ methods: [toy], now: () => Date.now() + offset })
  const brief = route(
    '/once/brief',
    { kind: 'text', body: 'content' },
    { with: timed, price: { amount: '1', lifetime: 10 } },
  )

  async function later(seconds: number, work: () => Promise<void>): Promise<void> {
    offset = seconds * 1000
    try {
      await work()
    } finally {
      offset = 0
    }
  }

  ask(
    'expired',
    ['CORE-004', 'CORE-165', 'CHG-027'],
    'a challenge that has expired is invalid, and the fresh one has not',
    async () => {
      const [challenge] = await quote(brief)
      const paid = await alice.pay(challenge!)
      await later(11, async () => {
        const fresh = expectRefusal(
          await send(withCredential(brief, paid)),
          'invalid-challenge',
          'payment-expired',
        )
        expect(Date.parse(fresh.expires!)).toBeGreaterThan(Date.now() + 11_000)
        expect(brief.starts).toBe(0)
      })
    },
  )

  ask(
    'paid-then-expired',
    ['CORE-004', 'CHG-027'],
    'what was paid in time is delivered, however late the retry',
    async () => {
      const [challenge] = await quote(brief)
      const paid = await alice.pay(challenge!)
      brief.onStart = () => {
        throw new Error('not yet')
      }
      expect((await send(withCredential(brief, paid))).status).toBe(500)
      brief.onStart = undefined
      await later(600, async () => {
        expectPaid(await insist(withCredential(brief, paid)))
      })
    },
  )

  const versions = {
    old: gates({ methods: [toy], secret: OLD_SECRET }),
    both: gates({ methods: [toy], secret: [SECRET, OLD_SECRET] }),
    fresh: gates({ methods: [toy], secret: SECRET }),
  }
  const gate = {
    old: versions.old.charge({ amount: '1' }),
    both: versions.both.charge({ amount: '1' }),
    fresh: versions.fresh.charge({ amount: '1' }),
    dearer: versions.old.charge({ amount: '2' }),
    elsewhere: versions.old.charge({ amount: '1', recipient: 'other-shop' }),
  }
  let live = gate.old
  const deployed = route(
    '/once/deployed',
    { kind: 'text', body: 'content' },
    { gates: [switching(() => live)] },
  )

  ask(
    'rotation',
    ['CORE-135'],
    'after a rotation the old secret’s challenges are honoured, until it is dropped',
    async () => {
      live = gate.old
      const [first] = await quote(deployed)
      const [second] = await quote(deployed)
      live = gate.both
      expectPaid(await send(withCredential(deployed, await alice.pay(first!))))
      live = gate.fresh
      expectRefusal(await send(withCredential(deployed, await alice.pay(second!))), 'invalid-challenge')
    },
  )

  ask(
    'repriced',
    ['CORE-059', 'CHG-029', 'CHG-030'],
    'an unpaid challenge at yesterday’s terms buys nothing',
    async () => {
      for (const later of [gate.dearer, gate.elsewhere]) {
        live = gate.old
        const [challenge] = await quote(deployed)
        const moved = (await ledger.transfers()).length
        live = later
        expectRefusal(await send(withCredential(deployed, await alice.pay(challenge!))), 'invalid-challenge')
        expect((await ledger.transfers()).length).toBe(moved)
      }
    },
  )

  ask('paid-then-repriced', ['CHG-037'], 'what was paid at yesterday’s terms is delivered', async () => {
    live = gate.old
    const [challenge] = await quote(deployed)
    const paid = await alice.pay(challenge!)
    deployed.onStart = () => {
      throw new Error('not yet')
    }
    expect((await send(withCredential(deployed, paid))).status).toBe(500)
    deployed.onStart = undefined
    live = gate.dearer
    expectPaid(await insist(withCredential(deployed, paid)))
  })
}
