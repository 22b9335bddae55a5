import { expect } from 'vitest'
import {
  expectPaid,
  expectRefusal,
  pause,
  switching,
  token,
  untoken,
  withCredential,
  type Bench,
} from './test-adapter-bench.ts'
import { toyWallet } from './toy-wallet.ts'
import { toyMethod } from './toy-method.ts'

/** One payment buys one answer. */
export function onceQuestions(bench: Bench): void {
  const { ask, credential, insist, ledger, quote, route, send, store, toy, toyGates } = bench
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

  ask(
    'many-proofs',
    ['CHG-024', 'CHG-036', 'CORE-143', 'CORE-144'],
    'fifty different proofs for one quote at once: one settlement, one start, one 2xx',
    async () => {
      const [challenge] = await quote(onToy)
      const proofs = await Promise.all(Array.from({ length: 50 }, () => bench.alice.pay(challenge!)))
      expect(new Set(proofs).size).toBe(50)
      const before = [onToy.starts, toy.calls.settle, (await ledger.transfers()).length] as const
      onToy.onStart = () => pause(50)
      const all = await Promise.all(proofs.map((paid) => send(withCredential(onToy, paid))))
      onToy.onStart = undefined
      expect(all.filter(({ status }) => status === 200)).toHaveLength(1)
      expect(all.filter(({ status }) => ![200, 402, 409].includes(status))).toEqual([])
      const later = await Promise.all(proofs.map((paid) => insist(withCredential(onToy, paid))))
      expect(later.filter(({ status }) => ![402, 409].includes(status))).toEqual([])
      expect([onToy.starts, toy.calls.settle, (await ledger.transfers()).length]).toEqual(
        before.map((count) => count + 1),
      )
    },
  )

  const own = route('/once/own', { kind: 'payment' }, { with: toyGates })
  ask(
    'not-mixed-up',
    ['CORE-059', 'CORE-143'],
    'twenty payments at once: each handler sees its own, and each buyer gets the receipt for it',
    async () => {
      const paid = await Promise.all(Array.from({ length: 20 }, () => credential(own)))
      own.onStart = () => pause(30)
      const all = await Promise.all(paid.map((one) => send(withCredential(own, one))))
      own.onStart = undefined
      for (const [at, got] of all.entries()) {
        const { challenge } = untoken(paid[at]!)
        const receipt = expectPaid(got)
        expect([receipt.challengeId, got.json().reference]).toEqual([challenge.id, receipt.reference])
        expect(Buffer.from(challenge.opaque!, 'base64url').toString()).toContain(got.json().id)
      }
      expect(new Set(all.map((got) => got.json().id)).size).toBe(20)
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
}
