import { expect, test } from 'vitest'
import { all, buy, drive, PRICE, seller } from './lib/harness.ts'

/** A payment by a rail; then the seller goes on without that rail. */
async function sold(fault?: 'unknown-after') {
  const shop = seller()
  await shop.fund()
  const gate = shop.charge(PRICE)
  const ask = await buy(shop, gate)
  if (fault) shop.faults.next('settle', fault)
  await drive(gate, ask, () => ({ status: 500 }))
  const { store, ledger, clock } = shop
  const next = seller({ store, ledger, now: clock.now, toy: { name: 'other' } })
  return { shop, gate, ask, next, other: next.charge(PRICE) }
}

test.each([undefined, 'unknown-after'] as const)(
  'rule 1: paid by a rail that is gone (settle: %s): 409 without a challenge, and good again when the rail is back',
  async (fault) => {
    const { gate, ask, other } = await sold(fault)
    const answer = await drive(other, ask)
    expect([answer.status, answer.challenges, answer.header('retry-after')]).toEqual([409, [], undefined])
    expect((await drive(gate, ask)).status).toBe(200)
    const spent = await drive(other, ask)
    expect([spent.status, spent.problem.type]).toEqual([400, expect.stringMatching(/method-unsupported$/)])
  },
)

test('rule 1: money in doubt, on a rail that is gone, is told of until the rail is back', async () => {
  const { shop, next, gate, ask } = await sold('unknown-after')
  shop.clock.advance(3_600_000)
  await next.recover()
  expect(next.errors.map(String)).toEqual([expect.stringContaining('toy')])
  expect(await all(next.unclaimed())).toEqual([])
  shop.clock.advance(3_600_000)
  await shop.recover()
  expect((await drive(gate, ask)).status).toBe(200)
})
