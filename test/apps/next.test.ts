import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { CATEGORIES, GOODS } from '../../apps/next/lib/counter.ts'
import { start } from '../../apps/next/main.ts'
import type { App } from '../../apps/lib/run.ts'
import { askedOf, buyerOf, insist, pay, posted } from './lib/buyer.ts'
import { APPS } from './lib/apps.ts'
import { testConform } from './lib/conform.ts'
import { testReadme } from './lib/readme.ts'

let app: App
// It builds the shop, if anything has changed since the last time.
beforeAll(async () => {
  app = await start()
}, 120_000)
afterAll(() => app.close())

const earned = async (name: string): Promise<number> => Number(await app.rail.earned(name))

describe('a butcher shop on Next', () => {
  testConform(() => app, APPS.next)

  test.each(Object.entries(GOODS))(
    '%s is paid to whom its category belongs, in its currency',
    async (slug, goods) => {
      const { recipient, currency } = CATEGORIES[goods.category]
      const asked = askedOf(await fetch(`${app.url}/buy/${slug}`))
      expect(asked).toEqual({
        amount: goods.price.replace('.', ''),
        currency,
        recipient,
        description: goods.name,
      })
      if (goods.stock === 1) return
      const had = await earned(recipient)
      const response = await buyerOf(app).fetch(`${app.url}/buy/${slug}`)
      expect([response.status, await response.json()]).toMatchObject([
        200,
        { goods: goods.name, from: recipient },
      ])
      expect((await earned(recipient)) - had).toBeCloseTo(Number(goods.price))
    },
  )

  test('two sign for the only piece of venison: one gets it, the other keeps the money', async () => {
    const url = `${app.url}/buy/venison`
    const both = [await pay(url, {}, 'alice'), await pay(url, {}, 'bob')]
    const answers = []
    for (const headers of both) answers.push(await fetch(url, { headers }))
    expect(answers.map(({ status }) => status)).toEqual([200, 409])
    expect(await earned('hunter')).toBe(24.9)
  })

  test('what is sold out is 409, what was never on sale 404, and nobody is asked for money', async () => {
    for (const [path, status] of [
      ['/buy/venison', 409],
      ['/buy/unicorn', 404],
      ['/buy/constructor', 404],
    ] as const) {
      const response = await fetch(app.url + path)
      expect([path, response.status, response.headers.get('www-authenticate')]).toEqual([path, status, null])
    }
  })

  test('an order is taken once, and pays for no other goods', async () => {
    const had = [await earned('butcher'), await earned('smokehouse')]
    const headers = await pay(`${app.url}/buy/bratwurst`, { headers: { 'idempotency-key': 'supper' } })
    expect((await fetch(`${app.url}/buy/rib-eye`, { headers })).status).toBe(402)
    const orders = []
    for (let times = 0; times < 2; times++) {
      const response = await insist(() => fetch(`${app.url}/buy/bratwurst`, { headers }))
      orders.push(await response.json())
    }
    expect(orders[0]).toEqual({
      order: expect.any(String),
      goods: GOODS['bratwurst']!.name,
      from: 'smokehouse',
    })
    expect(orders[1]).toEqual(orders[0])
    expect([(await earned('butcher')) - had[0]!, (await earned('smokehouse')) - had[1]!]).toEqual([
      0,
      expect.closeTo(6.2),
    ])
  })
})

describe('carbon removal on Next', () => {
  test.each(['0.99', '500.01', '1000000.00', '5', '5.001', '-5.00', '1e2', ' 5.00', '', null, {}])(
    '%j is no amount: 422, and nobody is asked for money',
    async (amount) => {
      const response = await fetch(`${app.url}/carbon-removal`, posted({ amount }))
      expect([response.status, response.headers.get('www-authenticate')]).toEqual([422, null])
    },
  )

  test('so is what is no JSON', async () => {
    const response = await fetch(`${app.url}/carbon-removal`, { method: 'POST', body: '1.00' })
    expect(response.status).toBe(422)
  })

  test.each(['1.00', '12.50', '500.00'])('%s is asked for, and paid to the forest', async (amount) => {
    const order = posted({ amount })
    const unpaid = await fetch(`${app.url}/carbon-removal`, order)
    expect([unpaid.status, askedOf(unpaid)]).toMatchObject([
      402,
      { amount: amount.replace('.', ''), recipient: 'forest' },
    ])
    const had = await earned('forest')
    const response = await buyerOf(app).fetch(`${app.url}/carbon-removal`, order)
    expect([response.status, await response.json()]).toMatchObject([200, { amount }])
    expect((await earned('forest')) - had).toBeCloseTo(Number(amount))
  })

  test('what was quoted for the least does not buy the most', async () => {
    const headers = await pay(`${app.url}/carbon-removal`, posted({ amount: '1.00' }))
    const response = await fetch(`${app.url}/carbon-removal`, { ...posted({ amount: '500.00' }), headers })
    expect(response.status).toBe(402)
  })
})

// Here, because it needs the build.
testReadme('next', ['/buy/venison', '/buy/rib-eye'])
