import { expect, test } from 'vitest'
import { buy, drive, PRICE, seller } from './lib/harness.ts'

test('CORE-001 CORE-007 a request is asked for money, pays, and gets the content with a receipt', async () => {
  const shop = seller()
  await shop.fund()
  const gate = shop.charge(PRICE)
  const first = await drive(gate)
  expect(first.status).toBe(402)
  expect(first.challenges).toHaveLength(1)
  const ask = await buy(shop, gate)
  const paid = await drive(gate, ask)
  expect(paid.body).toBe('content')
  expect(paid.status).toBe(200)
  expect(paid.receipt?.method).toBe('toy')
  expect(shop.errors).toEqual([])
  expect(await shop.ledger.balance('shop')).toBe(100n)
  const again = await drive(gate, ask)
  expect(again.status).toBe(402)
  expect(again.problem.type).toMatch(/invalid-challenge$/)
})
