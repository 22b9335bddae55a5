import { memoryStore } from '@mppkit/server'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { buy, drive, PRICE, seller } from './lib/harness.ts'
import { deferred } from './lib/points.ts'
import { counting } from './lib/stores.ts'

describe('drain', () => {
  test('waits for what is paid, and leaves every other credential good for another server', async () => {
    const shop = seller()
    await shop.fund()
    const gate = shop.charge(PRICE)
    const [inside, outside] = [await buy(shop, gate), await buy(shop, gate)]
    let drained: Promise<number> | undefined
    const answer = await drive(gate, inside, async () => {
      drained = shop.drain()
      expect(await Promise.race([drained, new Promise((resolve) => setTimeout(resolve, 50, 'waits'))])).toBe(
        'waits',
      )
      return {}
    })
    expect(answer.status).toBe(200)
    expect(await drained).toBe(0)
    const refused = await drive(gate, outside)
    expect([refused.status, refused.header('retry-after')]).toEqual([503, '1'])
    expect((await drive(gate)).status).toBe(402)
    const other = seller({ store: shop.store, ledger: shop.ledger, now: shop.clock.now })
    expect((await drive(other.charge(PRICE), outside)).status).toBe(200)
  })

  test('does not wait for ever, and says how many are left', async () => {
    const shop = seller()
    await shop.fund()
    const gate = shop.charge(PRICE)
    await drive(gate, await buy(shop, gate), () => ({ vanish: true }))
    expect(await shop.drain({ timeout: 20 })).toBe(1)
  })

  test('waits for money that the last one inside gets back', async () => {
    const shop = seller({ toy: { canRefund: true } })
    await shop.fund()
    const gate = shop.charge({ ...PRICE, redeem: { attempts: 1 } })
    shop.faults.next('refund', 'stall')
    let drained: Promise<number> | undefined
    const running = drive(gate, await buy(shop, gate), () => {
      drained = shop.drain()
      return { status: 500 }
    })
    await shop.faults.stalled()
    expect(await Promise.race([drained, new Promise((resolve) => setTimeout(resolve, 50, 'waits'))])).toBe(
      'waits',
    )
    shop.faults.release()
    expect(await drained).toBe(0)
    expect(await shop.ledger.balance('alice')).toBe(100_000n)
    await running
  })

  test('refused credentials and faults leave nobody inside', async () => {
    const shop = seller()
    const gate = shop.charge(PRICE)
    expect((await drive(gate, await buy(shop, gate))).status).toBe(402)
    shop.faults.next('verify', 'down')
    expect((await drive(gate, await buy(shop, gate))).status).toBe(503)
    expect(await shop.drain({ timeout: 20 })).toBe(0)
  })
})

describe('by a clock', () => {
  const now = (): number => Date.now()
  const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms)

  beforeEach(
    () =>
      void vi.useFakeTimers({
        toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'performance', 'Date'],
      }),
  )
  afterEach(async () => {
    await pass(5_000)
    vi.useRealTimers()
  })

  async function open() {
    const store = counting(memoryStore({ now }))
    const shop = seller({ now, store })
    await shop.fund()
    const gate = shop.charge(PRICE)
    return { store, shop, gate, pay: async () => drive(gate, await buy(shop, gate)) }
  }

  test('who says nothing waits 30 seconds', async () => {
    const { shop, gate } = await open()
    const go = deferred()
    const running = drive(gate, await buy(shop, gate), async () => {
      await go.promise
      return {}
    })
    await pass(1)
    let left: number | undefined
    void shop.drain().then((count) => (left = count))
    await pass(29_999)
    expect(left).toBeUndefined()
    await pass(1)
    expect(left).toBe(1)
    go.resolve()
    expect((await running).status).toBe(200)
  })

  test('rule 17: a server that was closed answers, and looks after nothing any more', async () => {
    const { shop, store, pay } = await open()
    shop.close()
    expect((await pay()).status).toBe(200)
    await pass(60_000)
    expect(store.calls.due).toBe(0)
  })

  test('rule 17: paid answers look after other payments once a second at most', async () => {
    const { shop, store, pay } = await open()
    await pay()
    await pass(1)
    const once = store.calls.due
    expect(once).toBeGreaterThan(0)
    for (let each = 0; each < 5; each++) await pay()
    await pass(1)
    expect(store.calls.due).toBe(once)
    await pass(1_000)
    await pay()
    await pass(1)
    expect(store.calls.due).toBe(2 * once)
    shop.close()
  })
})
