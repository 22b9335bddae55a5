import { parseChallenges, type Store } from '@mppkit/core'
import * as core from '@mppkit/core'
import { memoryStore } from '@mppkit/server'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { createJudge } from '../src/lib/judging.ts'
import { compilePrice } from '../src/lib/price.ts'
import { hash, methodStore } from '../src/lib/runtime.ts'
import { scopeOf } from '../src/lib/target.ts'
import { buy, drive, incoming, PRICE, seller } from './lib/harness.ts'

afterEach(() => {
  vi.doUnmock('@mppkit/core')
  vi.resetModules()
})

test('rule 5: holders of two processes never have one name', async () => {
  const names: string[] = []
  for (let each = 0; each < 2; each++) {
    vi.resetModules()
    const { newHolder } = await import('../src/lib/runtime.ts')
    names.push(newHolder(), newHolder())
  }
  expect(new Set(names).size).toBe(4)
})

describe("what a rail is given of the server's", () => {
  test('a corner of the store: keys and queues of two methods are apart', async () => {
    const store = memoryStore()
    const [one, two] = [methodStore(store, 'one'), methodStore(store, 'two')] as [Store, Store]
    const write = (value: string) => ({ value, ttl: 60, due: { queue: 'q', in: 0 } })
    const mine = await one.swap('k', 'absent', write('mine'))
    expect(await two.get('k')).toBeUndefined()
    expect(await two.due('q', 10)).toEqual([])
    expect(await store.due('q', 10)).toEqual([])
    expect(await two.swap('k', 'absent', write('theirs'))).toMatchObject({ ok: true })
    expect((await one.due('q', 10)).map(({ key, value }) => [key, value])).toEqual([['k', 'mine']])
    expect(await one.swap('k', 'absent', write('again'))).toMatchObject({
      ok: false,
      entry: { key: 'k', value: 'mine' },
    })
    if (!mine.ok) throw new Error('refused')
    expect(await one.swap('k', mine.version, 'delete')).toMatchObject({ ok: true })
    expect([await one.get('k'), (await two.get('k'))?.value]).toEqual([undefined, 'theirs'])
    expect(await one.due('q', 10)).toEqual([])
  })

  test('its clock', async () => {
    const shop = seller()
    await shop.fund()
    const gate = shop.charge(PRICE)
    const paid = await buy(shop, gate)
    const seen: number[] = []
    const { verify, settle } = shop.toy
    shop.toy.verify = (parsed, context) => (seen.push(context.now()), verify(parsed, context))
    shop.toy.settle = (parsed, context) => (seen.push(context.now()), settle(parsed, context))
    shop.clock.advance(7_000)
    expect((await drive(gate, paid)).status).toBe(200)
    expect(seen).toEqual([shop.clock.now(), shop.clock.now()])
  })
})

describe('a target of more than 200 characters', () => {
  const [one, two] = ['a', 'b'].map((last) => `/${'x'.repeat(300)}${last}`) as [string, string]

  test('rule 2: what was paid for one buys nothing on another', async () => {
    const shop = seller()
    await shop.fund()
    const gate = shop.charge(PRICE)
    const paid = await buy(shop, gate, { target: one })
    expect((await drive(gate, { ...paid, target: two })).status).toBe(402)
    expect((await drive(gate, { ...paid, method: 'PUT' })).status).toBe(402)
    expect((await drive(gate, paid)).status).toBe(200)
  })

  test('rule 2: its scope is the same where hashing takes a promise', async () => {
    vi.doMock('@mppkit/core', () => ({ ...core, nodeCrypto: undefined }))
    vi.resetModules()
    const elsewhere = await import('../src/lib/target.ts')
    for (const target of [one, two]) {
      const scope = elsewhere.scopeOf('GET', target)
      expect(scope).toBeInstanceOf(Promise)
      expect(await scope).toBe(scopeOf('GET', target))
      expect(await scope).toBe(`GET sha256:${await hash(target)}`)
    }
  })
})

test.each([
  ['at once', (good: boolean) => good],
  ['with a promise', (good: boolean) => Promise.resolve(good)],
])('C26: a challenge that is not ours is refused where it is verified %s', async (_how, verify) => {
  const shop = seller()
  const gate = shop.charge(PRICE)
  const { header } = await drive(gate)
  const [challenge] = parseChallenges(header('www-authenticate')!).challenges
  const token = (await shop.wallet.pay(challenge!)).slice('Payment '.length)
  const judged = (good: boolean) => {
    const binding = { sign: () => '', verify: () => verify(good) }
    const options = { realm: 'api.example.com', binding, methods: [shop.toy], limiter: undefined }
    const price = compilePrice({ ...PRICE }, [shop.toy], 'charge', 'api.example.com')
    const peer = { transport: 'loopback', remote: undefined, forwarded: false } as const
    return createJudge(options, price)(incoming(), 'GET /photo', token, peer)
  }
  await expect(judged(false)).rejects.toThrow('not issued here')
  expect((await judged(true)).challenge.id).toBe(challenge!.id)
})
