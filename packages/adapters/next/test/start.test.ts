import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Raw } from '../../../testing/src/lib/buyer.ts'
import { build } from './build.ts'
import { start, type Running } from './running.ts'
import { shopperAt, type Shopper } from './shopper.ts'

const typed = `import type { NextRequest } from 'next/server'
import { mpp } from '../../../lib/mpp.ts'

export const GET = mpp.charge({ amount: '0.01' })(
  async (_request: Request, { params }: RouteContext<'/typed/[id]'>) =>
    Response.json({ id: (await params).id satisfies string }),
)

async function put(request: NextRequest, { params }: RouteContext<'/typed/[id]'>) {
  return Response.json([request.nextUrl.pathname, (await params).id satisfies string])
}

export const { PUT, PATCH } = mpp.charge({ amount: '1' }).all({
  PUT: put,
  PATCH: async (request, { params }) => Response.json([request.nextUrl.pathname, await params]),
})
`

// Here, because hooks and tests would be given less time.
const refused = await build('refused')
const built = await build('shop', { 'app/typed/[id]/route.ts': typed })

describe('next build', () => {
  test('refuses a guarded route that is forced to be static, and says why', () => {
    expect([refused.ok, refused.output]).toEqual([
      false,
      expect.stringContaining("`export const dynamic = 'force-static'`"),
    ])
  })

  test('takes the types of handlers, annotated or not, and prerenders none', () => {
    expect([built.ok, built.output]).toEqual([true, expect.stringContaining('/typed/[id]')])
    for (const route of ['/photos/[id]', '/renewed/[id]', '/second', '/stream'])
      expect(built.output).toMatch(new RegExp(`ƒ ${route.replace(/[[\]]/g, '\\$&')}\\s`))
  })
})

describe('next start', () => {
  let server: Running
  let shop: Shopper
  beforeAll(async () => {
    server = await start('start', built.folder, { SHOP_ORIGIN: 'http://localhost' })
    shop = shopperAt(server.url)
  })
  afterAll(() => server.stop())

  const told = async (): Promise<string[]> => (await shop.send('/told')).json().told
  const transfers = async (): Promise<number> => (await shop.send('/told')).json().transfers

  test('a handler gets its request, its parameters and the payment', async () => {
    const paid = await shop.paidFor('/photos/caf%C3%A9%20noir?size=2')
    const got = await shop.send(paid)
    expect([got.status, got.json()]).toEqual([
      200,
      { id: 'café noir', size: '2', payer: 'alice', attempt: 1, VERSION: 'first' },
    ])
    expect([got.get('payment-receipt'), got.get('cache-control')]).toEqual([expect.any(String), 'private'])
    expect((await shop.insist(paid)).status).toBe(402)
    expect((await shop.buy('/typed/7')).json()).toEqual({ id: '7' })
  })

  test('a proof that was spent on one route is spent for every other copy of the server', async () => {
    const before = await transfers()
    const nonce = `n${String(Date.now())}`
    expect((await shop.send(await shop.paidFor('/photos/1', { nonce }))).status).toBe(200)
    expect((await shop.send(await shop.paidFor('/second', { nonce }))).status).not.toBe(200)
    expect((await shop.buy('/second')).text).toBe('second')
    expect((await transfers()) - before).toBe(2)
  })

  test('bodies are bound, and readable in every way behind the gate', async () => {
    const order: Raw = {
      target: '/orders?x=1',
      method: 'POST',
      headers: [
        ['Content-Type', 'application/json'],
        ['Cookie', 'basket=7'],
      ],
      body: '{"a": 1}',
    }
    const got = await shop.buy(order)
    expect([got.status, got.json()]).toEqual([
      201,
      { body: { a: 1 }, again: '{"a": 1}', used: true, path: '/orders', cookie: '7' },
    ])
    const form = 'name=alice&b=2'
    const upload: Raw = {
      target: '/orders',
      method: 'PUT',
      headers: [['Content-Type', 'application/x-www-form-urlencoded']],
      body: form,
    }
    expect((await shop.buy(upload)).json()).toEqual({ name: 'alice' })
    const paid = await shop.paidFor(order)
    expect((await shop.send({ ...paid, body: '{"a": 2}' })).status).toBe(402)
  })

  test('all() answers preflights, HEAD is GET without content, and other methods are Next’s', async () => {
    const preflight = await shop.send({
      target: '/orders',
      method: 'OPTIONS',
      headers: [
        ['Origin', 'https://a.example'],
        ['Access-Control-Request-Method', 'POST'],
      ],
    })
    expect([preflight.status, preflight.get('access-control-allow-headers')]).toEqual([
      204,
      expect.stringMatching(/Authorization/),
    ])
    const paid = await shop.paidFor('/photos/1')
    for (const method of ['OPTIONS', 'HEAD', 'DELETE']) {
      const got = await shop.send({ ...paid, method })
      expect([method, got.status, got.text]).toEqual([
        method,
        { OPTIONS: 204, HEAD: 409, DELETE: 405 }[method],
        '',
      ])
    }
    expect((await shop.send({ target: '/photos/1', method: 'HEAD' })).status).toBe(402)
    expect((await shop.send(paid)).status).toBe(200)
  })

  test('a stream is passed on as it comes, told when the buyer goes, and redeemed', async () => {
    const paid = await shop.paidFor('/stream')
    const exchange = shop.open(paid)
    await exchange.read(5)
    exchange.reset()
    const got = await shop.insist(paid)
    expect([got.status, got.text, got.pieces.length]).toEqual([200, 'firstlast', 2])
    expect(got.pieces[1]!.after).toBeGreaterThan(500)
    expect((await told()).filter((word) => ['gone', 'stayed'].includes(word))).toEqual(['gone', 'stayed'])
    expect((await shop.insist(paid)).status).toBe(402)
  })

  // Each is asked of a free route as well: the guard must not change what Next makes of it.
  test.each([
    ['redirect', 307, 402],
    ['see-other', 303, 402],
    ['json', 200, 402],
    ['permanent', 308, 308],
    ['missing', 404, 404],
    ['forbidden', 403, 403],
    ['unauthorized', 401, 401],
    ['next', 500, 500],
    ['rewrite', 500, 500],
    ['nothing', 500, 500],
    ['throw', 500, 500],
  ])('%s is %i for those who pay as for others, and then %i', async (kind, status, again) => {
    const free = await shop.send(`/free/${kind}`)
    const paid = await shop.paidFor(`/answers/${kind}`)
    const got = await shop.send(paid)
    expect([got.status, got.get('location')]).toEqual([free.status, free.get('location')])
    expect(got.status).toBe(status)
    expect([got.get('payment-receipt') !== null, got.get('www-authenticate')]).toEqual([status < 300, null])
    if (status < 400) expect(got.all('set-cookie')).toEqual([`seen=${kind}; Path=/`])
    if (status < 500) expect(got.get('cache-control')).toBe(status < 300 ? 'private' : 'no-store')
    expect(await told()).toContain(`after ${kind}`)
    expect((await shop.insist(paid)).status).toBe(again)
  })

  test.each(['application/x-www-form-urlencoded', 'multipart/form-data; boundary=b', 'text/plain'])(
    'redirect() after a post of %s is what Next makes of it',
    async (type) => {
      const post = { method: 'POST', headers: [['Content-Type', type]] as [string, string][], body: 'a=1' }
      const free = await shop.send({ ...post, target: '/free/permanent' })
      const got = await shop.buy({ ...post, target: '/answers/permanent' })
      expect([got.status, got.get('location')]).toEqual([free.status, free.get('location')])
    },
  )

  test('what the handler fails with is reported, and never a credential', async () => {
    expect(server.output()).toContain('thrown by the handler')
    expect(server.output()).toContain('mppkit: the handler of a paid request must return a Response')
    expect(server.output()).not.toMatch(/Payment ey/)
  })

  test('the edge runtime takes payments', async () => {
    const paid = await shop.paidFor('/edge/7')
    const got = await shop.send(paid)
    expect([got.status, got.json()]).toEqual([200, { id: '7', attempt: 1 }])
    expect(got.get('payment-receipt')).toEqual(expect.any(String))
    expect((await shop.insist(paid)).status).toBe(402)
    const posted = await shop.buy({ target: '/edge/7', method: 'POST', body: 'a body' })
    expect(posted.json()).toEqual({ body: 'a body', path: '/edge/7' })
    const other = await shop.paidFor({ target: '/edge/7', method: 'POST', body: 'a body' })
    expect((await shop.send({ ...other, body: 'another' })).status).toBe(402)
    expect(server.output()).toContain('after on the edge')
  })

  test('a buyer who leaves while the handler works has an attempt less, in the edge runtime as well', async () => {
    const paid = await shop.paidFor('/edge/slow')
    const exchange = shop.open(paid)
    await new Promise((resolve) => setTimeout(resolve, 150))
    exchange.reset()
    const got = await shop.insist(paid)
    expect([got.status, got.json()]).toEqual([200, { id: 'slow', attempt: 2 }])
    expect((await shop.insist(paid)).status).toBe(402)
  })

  test('a route with revalidate and known parameters asks each time', async () => {
    expect((await shop.buy('/renewed/known')).json()).toEqual({ count: 1 })
    expect((await shop.buy('/renewed/known')).json()).toEqual({ count: 2 })
    expect((await shop.send('/renewed/known')).status).toBe(402)
  })

  test('no header that means something to Next gets around the gate', async () => {
    const tricks: [string, string][] = [
      ['RSC', '1'],
      ['Next-Router-Prefetch', '1'],
      ['Next-Action', 'x'],
      ['X-Middleware-Subrequest', 'proxy:proxy:proxy:proxy:proxy'],
      ['X-Middleware-Rewrite', '/told'],
      ['X-Prerender-Revalidate', 'x'],
      ['X-Matched-Path', '/told'],
      ['X-Now-Route-Matches', '1=7'],
      ['X-Invoke-Path', '/told'],
      ['X-Invoke-Status', '200'],
      ['X-Nextjs-Data', '1'],
      ['Cookie', '__prerender_bypass=x; __next_preview_data=x'],
      ['X-Forwarded-Host', 'other.example'],
      ['X-Http-Method-Override', 'OPTIONS'],
    ]
    for (const header of tricks) {
      const got = await shop.send({ target: '/photos/7', headers: [header] })
      // Next sends those that ask for a component to another address first; the gate is there, too.
      const where = got.get('location')
      const after = where === null ? got : await shop.send({ target: where, headers: [header] })
      expect([header[0], after.status]).toEqual([header[0], 402])
    }
    for (const target of [
      '/photos/7?nxtPid=8',
      '/photos/7.rsc',
      '/photos/7?_rsc=1',
      '/photos/7?__nextDataReq=1',
    ])
      expect([target, (await shop.send(target)).status]).toEqual([target, 402])
  })
})

test('without an origin, next start names it', async () => {
  const server = await start('start', built.folder)
  try {
    const got = await shopperAt(server.url).send('/photos/7')
    expect([got.status, got.text]).toEqual([500, ''])
    expect(server.output()).toContain(
      'give createMpp the public origin, e.g. origin: "https://api.example.com"',
    )
  } finally {
    await server.stop()
  }
})
