import { memoryStore } from '@mppkit/server'
import type { OnceMethod, Store } from '@mppkit/core'
import { describe, expect, test } from 'vitest'
import { createToyFaults, mulberry32 } from '../src/lib/toy-faults.ts'
import { createToyLedger, ToyRefusal, type ToyLedger } from '../src/lib/toy-ledger.ts'
import { testMethod } from '../src/lib/test-method.ts'
import type { RailUnderTest } from '../src/lib/test-method-bench.ts'
import { toyMethod, type ToyOptions } from '../src/lib/toy-method.ts'
import { toyWallet } from '../src/lib/toy-wallet.ts'

for (const options of [
  {},
  { notes: 'settle', canRefund: true },
  { moves: 'before' },
] as Partial<ToyOptions>[]) {
  testMethod(`toy ${JSON.stringify(options)}`, async () => rail(options))
}
testMethod('toy on a shared store', async () => rail({ canRefund: true }, memoryStore()))

describe.each([
  ['in memory', () => undefined],
  ['in a store', () => memoryStore()],
  ['in a store that is slow and loses replies', () => unreliable(memoryStore())],
])('toy ledger %s', (_, makeStore) => {
  function open(now?: () => number): ToyLedger {
    const store = makeStore()
    return createToyLedger({ ...(store && { store }), ...(now && { now }) })
  }

  test('moves money once per id, and lists what it moved', async () => {
    const ledger = open()
    await insist(() => ledger.fund('ann', 100n))
    const order = { id: 'ann:1', from: 'ann', to: 'bob', amount: 30n, memo: 'm' }
    await insist(() => ledger.transfer(order))
    await insist(() => ledger.transfer(order))
    await insist(() => ledger.transfer({ ...order, id: 'bob:1', from: 'bob', to: 'eve', amount: 10n }))
    expect([await ledger.balance('ann'), await ledger.balance('bob'), await ledger.balance('eve')]).toEqual([
      70n,
      20n,
      10n,
    ])
    expect((await ledger.transfers()).map(({ id, amount }) => [id, amount])).toEqual([
      ['ann:1', 30n],
      ['bob:1', 10n],
    ])
    expect(await ledger.find('ann:1', 'ann')).toMatchObject({ to: 'bob', memo: 'm' })
    expect(await ledger.find('ann:2', 'ann')).toBeUndefined()
  })

  test('refuses for ever what it has refused once', async () => {
    let clock = 1000
    const ledger = open(() => clock)
    const order = { id: 'ann:1', from: 'ann', to: 'bob', amount: 30n }
    await expect(insist(() => ledger.transfer(order))).rejects.toThrow(ToyRefusal)
    await insist(() => ledger.fund('ann', 100n))
    await expect(insist(() => ledger.transfer(order))).rejects.toThrow(ToyRefusal)
    clock = 5001
    await expect(insist(() => ledger.transfer({ ...order, id: 'ann:2', until: 5 }))).rejects.toMatchObject({
      reason: 'late',
    })
    expect(await insist(() => ledger.cancel('ann:3', 'ann'))).toBe('void')
    await expect(insist(() => ledger.transfer({ ...order, id: 'ann:3' }))).rejects.toThrow(ToyRefusal)
    expect(await ledger.balance('ann')).toBe(100n)
  })

  test('never overdraws an account, and never moves an order twice, under a race', async () => {
    const ledger = open()
    await insist(() => ledger.fund('ann', 100n))
    const orders = Array.from({ length: 60 }, (_unused, index) => ({
      id: `ann:${index % 20}`,
      from: 'ann',
      to: 'bob',
      amount: 10n,
    }))
    const results = await Promise.allSettled(orders.map((order) => insist(() => ledger.transfer(order))))
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(30)
    expect(await ledger.balance('ann')).toBe(0n)
    expect(await ledger.balance('bob')).toBe(100n)
  })
})

describe('toy faults', () => {
  test('come in the order they were ordered, for the payer they were ordered for', () => {
    const faults = createToyFaults()
    faults.next('settle', 'down', { payer: 'ann' })
    faults.next('settle', 'unknown-after', { times: 2 })
    expect(['bob', 'ann', 'bob', 'bob'].map((payer) => faults.draw('settle', payer))).toEqual([
      'unknown-after',
      'down',
      'unknown-after',
      undefined,
    ])
  })

  test('are the same in every run of a seed', () => {
    const drawn = [1, 1, 2].map((seed) => {
      const faults = createToyFaults({ seed, rates: { settle: { down: 0.3, slow: 0.3 } } })
      return Array.from({ length: 50 }, () => faults.draw('settle', 'ann')).join()
    })
    expect(drawn[0]).toBe(drawn[1])
    expect(drawn[0]).not.toBe(drawn[2])
    expect(drawn[0]).toContain('down')
  })

  test('hold a call until they are released', async () => {
    const faults = createToyFaults()
    faults.next('verify', 'stall')
    const stalled = faults.stalled()
    const waiting = Promise.resolve(faults.suffer(faults.draw('verify', 'x'))).then(() => 'released')
    await stalled
    faults.release()
    expect(await waiting).toBe('released')
  })
})

async function rail(options: Partial<ToyOptions>, store?: Store): Promise<RailUnderTest> {
  let offset = 0
  const now = (): number => Date.now() + offset
  const ledger = createToyLedger({ now, ...(store && { store }) })
  const faults = options.faults ?? createToyFaults()
  let wallets = 0
  const wallet = async (funds: bigint) => {
    const account = `buyer-${(wallets += 1)}`
    await ledger.fund(account, funds)
    return toyWallet({ ledger, account, ...(options.moves && { moves: options.moves }) })
  }
  return {
    method: toyMethod({ ledger, recipient: 'shop', faults, ...options }) as OnceMethod<never>,
    wallet: () => wallet(10_000n),
    poorWallet: () => wallet(0n),
    terms: { amount: '1.25' },
    otherRecipient: 'thief',
    received: () => ledger.balance('shop'),
    now,
    advance: async (seconds) => void (offset += seconds * 1000),
    ...(options.moves !== 'before' && {
      freeze() {
        faults.next('settle', 'stall')
        return { frozen: faults.stalled(), thaw: () => faults.release() }
      },
    }),
  }
}

/** A store that takes a moment, and whose replies get lost now and then after the write. */
function unreliable(store: Store): Store {
  const random = mulberry32(7)
  const moment = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, random() * 3))
  return {
    ...store,
    async get(key) {
      await moment()
      return store.get(key)
    },
    async swap(...write) {
      await moment()
      const result = await store.swap(...write)
      if (random() < 0.2 && write[2] !== 'delete' && write[2].value.includes('"amount"'))
        throw new Error('reply lost')
      return result
    },
  }
}

async function insist<T>(work: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await work()
    } catch (error) {
      if (!(error instanceof Error) || error.message !== 'reply lost') throw error
    }
  }
}
