import { spawnSync } from 'node:child_process'
import { rmSync } from 'node:fs'
import { payAs } from '@mppkit/testing/pay-as'
import { toyWallet, type ToyLedger } from '@mppkit/testing/toy'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { root } from './blocks.ts'
import { unpack } from './run.ts'

// Every file of the recipes is imported and asked what its text says of it.
const { folder, names } = unpack('docs/recipes.md')
const tried = new Set(['shop.ts'])
let ledger: ToyLedger

beforeAll(async () => {
  ;({ ledger } = await recipe<{ ledger: ToyLedger }>('shop.ts'))
  await ledger.fund('alice', 1_000_000n)
})

afterAll(() => rmSync(folder, { recursive: true, force: true }))

describe(`recipes.md, ${names.length} files run`, () => {
  test('overrides.ts', async () => {
    const shop = await open('overrides.ts')
    expect(await shop.terms('/report')).toMatchObject({ amount: '100', currency: 'usd', recipient: 'shop' })
    expect(await shop.terms('/bericht')).toMatchObject({ amount: '90', currency: 'eur', recipient: 'europe' })
    const before = await ledger.balance('europe')
    expect(await text(shop.alice('/bericht'))).toEqual([200, 'der Bericht'])
    expect((await ledger.balance('europe')) - before).toBe(90n)
  })

  test('by-body.ts', async () => {
    const shop = await open('by-body.ts')
    const order = (body: string) => ({
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body,
    })
    expect(await text(shop.ask('/prints', order('{"pages":0}')))).toEqual([
      422,
      '{"detail":"pages: 1 to 20"}',
    ])
    expect(await text(shop.ask('/prints', order('no JSON')))).toEqual([422, '{"detail":"pages: 1 to 20"}'])
    expect(await shop.terms('/prints', order('{"pages":3}'))).toMatchObject({ amount: '15' })
    expect(await text(shop.alice('/prints', order('{"pages":3}')))).toEqual([201, '{"pages":3}'])
  })

  test('by-header.ts', async () => {
    const shop = await open('by-header.ts')
    const draft = { headers: { 'x-quality': 'draft' } }
    expect(await shop.terms('/render')).toMatchObject({ amount: '10' })
    expect(await shop.terms('/render', draft)).toMatchObject({ amount: '1' })
    expect((await shop.ask('/render', draft)).headers.get('vary')?.toLowerCase()).toContain('x-quality')
    expect(await text(shop.alice('/render', draft))).toEqual([200, 'a draft'])
  })

  test('free-tier.ts', async () => {
    const shop = await open('free-tier.ts')
    expect(await text(shop.ask('/search?q=hello'))).toEqual([200, 'results for hello'])
    expect((await shop.ask('/search?q=else', { headers: { 'x-api-key': 'key-of-alice' } })).status).toBe(200)
    expect(await shop.terms('/search?q=else')).toMatchObject({ amount: '2' })
    expect(await text(shop.alice('/search?q=else'))).toEqual([200, 'results for else'])
  })

  test('methods.ts', async () => {
    const shop = await open('methods.ts')
    const offers = (await shop.ask('/film')).headers.get('www-authenticate')!
    expect([...offers.matchAll(/method="(\w+)"/g)].map(([, method]) => method)).toEqual(['toy', 'points'])
    expect((await shop.ask('/gift')).headers.get('www-authenticate')).not.toContain('points')
    expect(await text(shop.alice('/film'))).toEqual([200, 'a film'])
    const points = payAs(shop.app, toyWallet({ ledger, account: 'alice', name: 'points' }))
    expect(await text(points('http://localhost/film'))).toEqual([200, 'a film'])
    expect(await ledger.balance('cinema')).toBe(300n)
  })

  test('idempotent.ts', async () => {
    const shop = await open('idempotent.ts')
    const response = await shop.alice('/letters', {
      method: 'POST',
      body: '"Hi"',
      headers: { 'content-type': 'application/json' },
    })
    expect([response.status, await response.json()]).toEqual([201, { letter: expect.any(String), posted: 1 }])
  })

  test('stream.ts', async () => {
    const shop = await open('stream.ts')
    expect(await text(shop.alice('/tokens'))).toEqual([200, 'data: one\n\ndata: two\n\ndata: three\n\n'])
  })

  test('refunds.ts', async () => {
    const { heard, fetch, review, mpp } = await recipe<{
      heard: { type: string; id: string }[]
      fetch: (request: Request) => Promise<Response>
      review(): Promise<void>
      mpp: { recover(): Promise<number>; close(): void }
    }>('refunds.ts')
    const before = await ledger.balance('alice')
    expect((await payAs(fetch, alice())('http://localhost/')).status).toBe(500)
    await mpp.recover()
    expect(heard.map(({ type }) => type)).toEqual(['refunded'])
    expect(await ledger.balance('alice')).toBe(before)
    await review()
    mpp.close()
  })

  test('rotation.ts', async () => {
    type Seller = {
      charge(price: object): (handler: () => Response) => (request: Request) => Promise<Response>
    }
    const sellers = await recipe<Record<'before' | 'first' | 'second' | 'last', Seller>>('rotation.ts')
    const photo = (seller: Seller) => seller.charge({ amount: '0.01' })(() => new Response('a photo'))
    // What `asked` has asked for is paid at `paid`.
    const across = async (asked: Seller, paid: Seller) => {
      const [from, to] = [photo(asked), photo(paid)]
      const buy = payAs(
        (request: Request) => (request.headers.has('authorization') ? to : from)(request),
        alice(),
      )
      return (await buy('http://localhost/photo')).status
    }
    expect(await across(sellers.before, sellers.first)).toBe(200)
    expect(await across(sellers.first, sellers.second)).toBe(200)
    expect(await across(sellers.second, sellers.last)).toBe(200)
    expect(await across(sellers.before, sellers.last)).toBe(402)
  })

  test.each(['proxies.ts', 'page.ts', 'worker.ts', 'shadow.ts'])('%s', async (name) => {
    if (name === 'proxies.ts') {
      const { fetch } = await recipe<{ fetch: (request: Request) => Promise<Response> }>(name)
      expect(await text(payAs(fetch, alice())('http://localhost/'))).toEqual([200, 'behind a proxy'])
    } else if (name === 'page.ts') {
      const shop = await open(name)
      const page = await shop.ask('/photo', { headers: { accept: 'text/html' } })
      expect([page.status, await page.text()]).toEqual([402, expect.stringContaining('Photos for machines')])
      expect((await shop.ask('/photo')).headers.get('content-type')).toContain('application/problem+json')
      expect(await text(shop.alice('/photo'))).toEqual([200, 'a photo'])
    } else if (name === 'worker.ts') {
      const { default: worker } = await recipe<{
        default: { fetch: (request: Request) => Promise<Response>; scheduled(): Promise<number> }
      }>(name)
      expect(await text(payAs(worker.fetch, alice())('http://localhost/'))).toEqual([200, '{"attempt":1}'])
      expect(await worker.scheduled()).toEqual(expect.any(Number))
    } else {
      const { fetch, seen } = await recipe<{
        fetch: (request: Request) => Promise<Response>
        seen: object[]
      }>(name)
      expect(await text(fetch(new Request('http://localhost/photo')))).toEqual([200, 'free, for now'])
      expect(seen).toMatchObject([{ would: 'charge', amount: '0.01', target: '/photo' }])
    }
  })

  test('discovery.ts', async () => {
    const shop = await open('discovery.ts')
    const document = (await (await shop.ask('/openapi.json')).json()) as {
      paths: Record<string, { get: object }>
    }
    expect(document.paths['/photos/{id}']?.get).toMatchObject({
      'x-payment-info': { offers: [{ amount: '1' }] },
    })
    expect(document.paths['/ping']?.get).not.toHaveProperty('x-payment-info')
    expect((await text(shop.ask('/llms.txt')))[1]).toContain('/photos/{id}')
    expect(await text(shop.ask('/ping'))).toEqual([200, 'pong'])
    expect(await text(shop.alice('/photos/7'))).toEqual([200, 'a photo'])
  })

  test('app.test.ts', { timeout: 60_000 }, () => {
    tried.add('app.test.ts')
    const { status, stdout } = spawnSync('vitest', ['run', '--root', folder], { cwd: root, encoding: 'utf8' })
    expect([status, stdout]).toEqual([0, expect.stringMatching(/Tests\s+1 passed \(1\)/)])
  })

  test('none is left out', () => {
    expect([...tried].sort()).toEqual([...names].sort())
  })
})

type App = {
  request(path: string, init?: RequestInit): Response | Promise<Response>
  fetch(request: Request): Response | Promise<Response>
}

/** The app of a recipe, how to ask it, how alice pays it, and what its first offer asks. */
async function open(name: string) {
  const { app } = await recipe<{ app: App }>(name)
  const pay = payAs(app, alice())
  const ask = async (path: string, init?: RequestInit) => app.request(path, init)
  return {
    app,
    ask,
    alice: (path: string, init?: RequestInit) => pay(`http://localhost${path}`, init),
    async terms(path: string, init?: RequestInit): Promise<unknown> {
      const response = await ask(path, init)
      expect(response.status).toBe(402)
      const request = /request="([^"]+)"/.exec(response.headers.get('www-authenticate')!)![1]!
      return JSON.parse(Buffer.from(request, 'base64url').toString())
    },
  }
}

async function recipe<Module>(name: string): Promise<Module> {
  tried.add(name)
  return (await import(`${folder}/${name}`)) as Module
}

function alice() {
  return toyWallet({ ledger, account: 'alice' })
}

async function text(response: Response | Promise<Response>): Promise<[number, string]> {
  const { status } = await response
  return [status, await (await response).text()]
}
