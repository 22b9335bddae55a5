import type { Store } from '@mppkit/core'
import { memoryStore } from '@mppkit/server'
import { expect, test } from 'vitest'
import { buy, drive, onSale, PRICE, seller } from './lib/harness.ts'
import { fakeTimers } from './lib/timers.ts'

const { now, pass } = fakeTimers()

function never(): never {
  throw new Error('a grant was expected')
}

test.each([0, 2_400, 4_000, 5_000])(
  'rule 5: cut off from the store, which answers nothing for %i ms, a handler is told before another one may start',
  async (patience) => {
    const inner = memoryStore({ now })
    let isCut = false
    const cut = async (): Promise<never> => {
      await new Promise((resolve) => setTimeout(resolve, patience))
      throw new Error('the store cannot be reached')
    }
    const store: Store = {
      ...inner,
      swap: (key, expect, next) => (isCut ? cut() : inner.swap(key, expect, next)),
    }
    const { shop, gate, ask } = await onSale({ now, store })
    const other = seller({ now, store: inner, ledger: shop.ledger }).charge(PRICE)
    // Another payment has set the turns: this one's lease does not end with one of them.
    const long = drive(gate, await buy(shop, gate), () => pass(1_200).then(() => ({})))
    await long
    let toldAt = Infinity
    const running = drive(gate, ask, async ({ payment } = never()) => {
      isCut = true
      payment.signal.addEventListener('abort', () => (toldAt = now()))
      await new Promise((resolve) => setTimeout(resolve, 60_000))
      return { status: 500 }
    })
    let startedAt: number | undefined
    for (let turn = 0; turn < 400 && startedAt === undefined; turn++) {
      await pass(100)
      await drive(other, ask, () => ((startedAt = now()), {}))
    }
    expect(toldAt).toBeLessThan(startedAt!)
    await pass(60_000)
    await running
  },
)

test('rule 5: a renewal whose reply was lost is not taken for the next one', async () => {
  const inner = memoryStore({ now })
  let state: 'well' | 'mute' | 'cut' = 'well'
  const store: Store = {
    ...inner,
    async swap(key, expect, next) {
      const result = state === 'cut' ? undefined : await inner.swap(key, expect, next)
      if (state !== 'well' || !result) throw new Error('the store cannot be reached')
      return result
    },
  }
  const { shop, gate, ask } = await onSale({ now, store })
  const other = seller({ now, store: inner, ledger: shop.ledger }).charge(PRICE)
  let toldAt = Infinity
  const running = drive(gate, ask, async ({ payment } = never()) => {
    payment.signal.addEventListener('abort', () => (toldAt = now()))
    await new Promise((resolve) => setTimeout(resolve, 90_000))
    return { status: 500 }
  })
  await pass(9_000)
  state = 'mute'
  await pass(2_000)
  state = 'well'
  await pass(2_000)
  state = 'cut'
  let startedAt: number | undefined
  for (let turn = 0; turn < 600 && startedAt === undefined; turn++) {
    await pass(100)
    await drive(other, ask, () => ((startedAt = now()), {}))
  }
  expect(toldAt).toBeLessThan(startedAt!)
  await pass(90_000)
  await running
})

test('rule 5: a rail that stalls is told when its time is over', async () => {
  const { shop, gate, ask } = await onSale({ now, store: memoryStore({ now }) })
  let signal: AbortSignal | undefined
  shop.toy.settle = async (_, context) => {
    ;({ signal } = context)
    await new Promise((_resolve, reject) =>
      signal!.addEventListener('abort', () => reject(new Error('aborted'))),
    )
    throw never()
  }
  const running = drive(gate, ask)
  await pass(119_000)
  expect(signal?.aborted).toBe(false)
  await pass(40_000)
  expect(signal?.aborted).toBe(true)
  const answer = await running
  expect([answer.status, answer.header('retry-after')]).toEqual([503, '1'])
})
