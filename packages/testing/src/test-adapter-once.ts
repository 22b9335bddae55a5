import type { Gate } from '@mppkit/server'
import { expect } from 'vitest'
import {
  expectPaid,
  expectRefusal,
  OLD_SECRET,
  pause,
  SECRET,
  token,
  untoken,
  withCredential,
  type Bench,
} from './test-adapter-bench.ts'
import { toyWallet } from './toy-wallet.ts'
import { toyMethod } from './toy.ts'

/** One payment buys one answer. */
export function onceQuestions(bench: Bench): void {
  const { ask, credential, insist, ledger, pay, quote, route, send, store, toy, toyGates } = bench
  const content = route('/once/content', { kind: 'text', body: 'content' })
  const onToy = route('/once/toy', { kind: 'text', body: 'content' }, { with: toyGates })

  ask(
    'replay',
    ['CORE-005', 'CORE-154', 'CORE-165', 'CHG-024', 'CHG-025', 'CHG-026', 'CHG-035', 'CHG-036', 'CHG-037'],
    'a used credential is an invalid challenge, and the fresh one can be paid',
    async () => {
      const paid = await credential(content)
      expectPaid(await send(withCredential(content, paid)))
      const starts = content.starts
      for (let again = 0; again < 2; again += 1) {
        const fresh = expectRefusal(await insist(withCredential(content, paid)), 'invalid-challenge')
        expect(fresh.id).not.toBe(untoken(paid).challenge.id)
        expectPaid(await send(withCredential(content, await bench.sign(fresh))))
      }
      expect(content.starts).toBe(starts + 2)
    },
  )

  ask(
    'respelled',
    ['CHG-037', 'CORE-138'],
    'another spelling of a used credential is the same credential',
    async () => {
      const paid = await credential(onToy)
      expectPaid(await send(withCredential(onToy, paid)))
      const { challenge, payload, source } = untoken(paid)
      const turned = Object.fromEntries(Object.entries(payload).toReversed())
      for (const again of [
        { payload: turned, challenge },
        { source, challenge, payload: { ...payload, more: 1 } },
        { challenge: { ...challenge, description: 'x' }, payload },
      ]) {
        expectRefusal(await insist(withCredential(onToy, token(again))))
      }
    },
  )

  ask(
    'second-proof',
    ['CHG-024', 'CHG-036', 'CORE-136'],
    'a second good proof for a used challenge moves no money',
    async () => {
      const [challenge] = await quote(onToy)
      expectPaid(await send(withCredential(onToy, await bench.alice.pay(challenge!))))
      const settled = toy.calls.settle
      const got = await insist(withCredential(onToy, await bench.alice.pay(challenge!)))
      expect([402, 409]).toContain(got.status)
      expect(toy.calls.settle).toBe(settled)
    },
  )

  ask('second-challenge', ['CORE-136', 'CORE-137'], 'one proof pays one challenge', async () => {
    const [first] = await quote(onToy)
    const [second] = await quote(onToy)
    expectPaid(await send(withCredential(onToy, await bench.alice.pay(first!, { nonce: 'used-once' }))))
    const moved = (await ledger.transfers()).length
    const got = await insist(withCredential(onToy, await bench.alice.pay(second!, { nonce: 'used-once' })))
    expect([402, 409]).toContain(got.status)
    expect((await ledger.transfers()).length).toBe(moved)
  })

  ask(
    'concurrent',
    ['CORE-143', 'CORE-144', 'CORE-145', 'CHG-037', 'CORE-011'],
    'fifty at once: one settlement, one start, one 2xx',
    async () => {
      const paid = await credential(onToy)
      const before = [onToy.starts, toy.calls.settle, (await ledger.transfers()).length] as const
      onToy.onStart = () => pause(100)
      const all = await Promise.all(Array.from({ length: 50 }, () => send(withCredential(onToy, paid))))
      onToy.onStart = undefined
      expect(all.filter(({ status }) => status === 200)).toHaveLength(1)
      for (const loser of all.filter(({ status }) => status !== 200)) {
        expect([402, 409]).toContain(loser.status)
        if (loser.status === 409) expect(loser.get('retry-after')).toMatch(/^\d+$/)
        expect(loser.get('payment-receipt')).toBeNull()
      }
      expect([onToy.starts, toy.calls.settle, (await ledger.transfers()).length]).toEqual(
        before.map((count) => count + 1),
      )
    },
  )

  const instances = [bench.gates({ methods: [toy] }), bench.gates({ methods: [toy] })].map((own) =>
    own.charge({ amount: '1' }),
  )
  let turn = 0
  const shared = route(
    '/once/instances',
    { kind: 'text', body: 'content' },
    { gates: [switching(() => instances[(turn += 1) % 2]!)] },
  )
  ask(
    'instances',
    ['CORE-138', 'CORE-144', 'CHG-035'],
    'two servers over one store give one answer, now and later',
    async () => {
      const paid = await credential(shared)
      const settled = toy.calls.settle
      const all = await Promise.all(Array.from({ length: 50 }, () => send(withCredential(shared, paid))))
      expect(all.filter(({ status }) => status === 200)).toHaveLength(1)
      expectRefusal(await insist(withCredential(shared, paid)), 'invalid-challenge')
      expectRefusal(await insist(withCredential(shared, paid)), 'invalid-challenge')
      expect([shared.starts, toy.calls.settle - settled]).toEqual([1, 1])
    },
  )

  const coin = toyMethod({ ledger, name: 'coin', recipient: 'shop' })
  const coinWallet = toyWallet({ ledger, account: 'alice', name: 'coin' })
  const rails = route(
    '/once/rails',
    { kind: 'text', body: 'content' },
    { with: bench.gates({ methods: [toy, coin] }) },
  )
  ask('one-rail', ['CHG-024', 'CHG-036', 'CORE-161'], 'of two rails in one 402 one is paid', async () => {
    const [first, second] = await quote(rails)
    expectPaid(await send(withCredential(rails, await coinWallet.pay(second!))))
    const moved = (await ledger.transfers()).length
    const got = await insist(withCredential(rails, await bench.alice.pay(first!)))
    expect([402, 409]).toContain(got.status)
    expect((await ledger.transfers()).length).toBe(moved)

    const [one, other] = await quote(rails)
    const both = await Promise.all([
      send(withCredential(rails, await bench.alice.pay(one!))),
      send(withCredential(rails, await coinWallet.pay(other!))),
    ])
    expect(both.filter(({ status }) => status === 200)).toHaveLength(1)
    expect((await ledger.transfers()).length).toBe(moved + 1)
  })

  ask('unpaid', ['CORE-139', 'CORE-140'], 'asking for a price writes nothing and asks no rail', async () => {
    const before = [store.written.length, toy.calls.verify, toy.calls.settle, toy.calls.find]
    for (let again = 0; again < 20; again += 1) await send(content)
    expect([store.written.length, toy.calls.verify, toy.calls.settle, toy.calls.find]).toEqual(before)
  })

  ask('memory', ['CORE-132', 'CORE-130'], 'what is recorded holds no proof', async () => {
    const from = store.written.length
    const paid = await credential(onToy)
    expectPaid(await send(withCredential(onToy, paid)))
    const written = store.written.slice(from).join('\n')
    expect(written.length).toBeGreaterThan(0)
    expect(written).not.toContain(untoken(paid).payload.signature)
    expect(written).not.toContain(paid.slice('Payment '.length))
  })

  void pay
  keyQuestions(bench)
  timeQuestions(bench)
}

/** Answers that are kept for retries. */
function keyQuestions({
  alice,
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
    expect(alice.account).toBe('alice')
  })
}

/** Clocks, deploys and secrets that change between quote and payment. */
function timeQuestions({ alice, ask, gates, insist, ledger, quote, route, send, toy }: Bench): void {
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

/** One gate in front of several. */
function switching(choose: () => Gate): Gate {
  return Object.assign((request: Parameters<Gate>[0]) => choose()(request), { offers: choose().offers })
}
