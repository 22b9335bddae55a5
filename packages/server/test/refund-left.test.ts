import type { Store } from '@mppkit/core'
import type { PaymentEvent } from '@mppkit/server'
import { expect, test } from 'vitest'
import { all, buy, drive, PRICE, seller, type Handled, type Seller } from './lib/harness.ts'
import { deferred } from './lib/points.ts'

type Fault = 'before' | 'unknown-after'

/** A return of money that was begun and did not end; then the seller goes on with a server that can return nothing. */
async function left(fault: Fault, handled: Handled) {
  const shop = seller({ toy: { canRefund: true } })
  await shop.fund()
  if (fault === 'unknown-after') shop.faults.next('refund', fault)
  else shop.toy.refund = () => Promise.reject(new Error('the refund account is empty'))
  const gate = shop.charge({ ...PRICE, redeem: { attempts: 1 } })
  let id = ''
  await drive(gate, await buy(shop, gate), (grant) => {
    id = grant!.payment.id
    return handled
  })
  const events: PaymentEvent[] = []
  const { store, ledger, clock } = shop
  const plain = seller({ store, ledger, now: clock.now, onEvent: (event) => void events.push(event) })
  return { shop, plain, id, events }
}

async function minutes(count: number, shop: Seller, server: Seller): Promise<void> {
  for (let minute = 0; minute < count; minute++) {
    shop.clock.advance(60_000)
    await server.recover()
  }
}

test('rule 8: money whose return was begun and of which nothing was sent is listed where no server can return it any more', async () => {
  const { shop, plain, id, events } = await left('before', { status: 500 })
  expect((await plain.trace(id))?.state).toBe('refunding')
  await minutes(10, shop, plain)
  expect((await all(plain.unclaimed())).map((payment) => payment.id)).toEqual([id])
  expect(events.map((event) => [event.type, event.id])).toEqual([['unclaimed', id]])
  // Once more by hand, with a server that can again.
  const { store, ledger, clock } = shop
  const able = seller({ store, ledger, now: clock.now, toy: { canRefund: true } })
  await able.refund(id)
  expect([(await able.trace(id))?.state, await shop.ledger.balance('alice')]).toEqual(['refunded', 100_000n])
})

test('rule 11: money that may be on its way, or whose return was ordered, is told of for as long as no server can go on', async () => {
  const sent = await left('unknown-after', { status: 500 })
  const ordered = await left('before', { reached: 'some' })
  await expect(ordered.shop.refund(ordered.id)).rejects.toThrow('empty')
  for (const { shop, plain, id } of [sent, ordered]) {
    await minutes(10, shop, plain)
    expect(await all(plain.unclaimed())).toEqual([])
    expect((await plain.trace(id))?.state).toBe('refunding')
    expect(plain.errors.length).toBeGreaterThan(2)
    expect(String(plain.errors[0])).toContain('`refund`')
    const able = seller({
      store: shop.store,
      ledger: shop.ledger,
      now: shop.clock.now,
      toy: { canRefund: true },
    })
    await minutes(10, shop, able)
    expect(await shop.ledger.balance('alice')).toBe(100_000n)
  }
})

test('rule 11: who stood still between the order and its record leaves no order behind that is carried out hours later', async () => {
  const shop = seller({ toy: { canRefund: true } })
  await shop.fund()
  const { store, ledger, clock } = shop
  const [reached, go] = [deferred(), deferred()]
  const frozen: Store = {
    ...store,
    async swap(key, expect, next) {
      if (key.startsWith('refund:')) {
        reached.resolve()
        await go.promise
      }
      return store.swap(key, expect, next)
    },
  }
  const first = seller({ store: frozen, ledger, now: clock.now, toy: { canRefund: true } })
  const plain = seller({ store, ledger, now: clock.now })
  const gate = first.charge({ ...PRICE, redeem: { attempts: 1 } })
  let id = ''
  const running = drive(gate, await buy(first, gate), (grant) => {
    id = grant!.payment.id
    return { status: 500 }
  })
  await reached.promise
  await minutes(2, shop, plain)
  expect((await plain.trace(id))?.state).toBe('unclaimed')
  go.resolve()
  await running
  // Returned by hand.
  expect(await plain.dismiss(id)).toBe(true)
  await minutes(180, shop, shop)
  expect(await ledger.balance('alice')).toBe(99_900n)
})
