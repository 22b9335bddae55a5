import { NextRequest } from 'next/server.js'
import { afterEach, describe, expect, expectTypeOf, test, vi } from 'vitest'
import { createToyLedger, toyMethod, toyWallet } from '@mppkit/testing/toy'
import { parseChallenges } from '@mppkit/core'
import { BodyError, type Gate, type Incoming, type Outcome } from '@mppkit/server'
import * as entry from '../src/index.ts'
import { createMpp, paid, payment } from '../src/index.ts'

const ledger = createToyLedger()
await ledger.fund('alice', 1_000_000n)
const wallet = toyWallet({ ledger, account: 'alice' })
const options = {
  realm: 'unit.example',
  secret: 'a-secret-for-unit-tests-of-32-bytes',
  methods: [toyMethod({ ledger, recipient: 'shop' })],
} as const
const local = { ...options, origin: 'http://localhost' }

const open: { close(): void }[] = []
afterEach(() => {
  for (const mpp of open.splice(0)) mpp.close()
  vi.unstubAllEnvs()
  vi.useRealTimers()
})

function make(changes: object = {}): ReturnType<typeof createMpp<typeof options.methods>> {
  const mpp = createMpp({ ...local, ...changes })
  open.push(mpp)
  return mpp
}

const get = (path: string, init: RequestInit = {}): NextRequest =>
  new NextRequest(`http://localhost${path}`, init as object)

/** The header that pays what a handler asks. */
async function pay(answer: Response): Promise<{ authorization: string }> {
  expect(answer.status).toBe(402)
  const { challenges } = parseChallenges([answer.headers.get('www-authenticate') ?? ''])
  return { authorization: await wallet.pay(challenges[0]!) }
}

/** A stream that nobody takes for one piece. */
function slow(...pieces: string[]): ReadableStream {
  return new ReadableStream({
    async pull(controller) {
      await new Promise((resolve) => setTimeout(resolve, 10))
      const piece = pieces.shift()
      if (piece === undefined) controller.close()
      else controller.enqueue(new TextEncoder().encode(piece))
    },
  })
}

test('the entry exports what every adapter exports', () => {
  expect(Object.keys(entry).sort()).toEqual(['createMpp', 'paid', 'payment'])
})

describe('without Next, as in a test of a handler', () => {
  test('a handler can be called with a plain Request, pays out once, and shows the payment', async () => {
    const GET = make().charge({ amount: '1' })((request: Request) => Response.json(payment(request).payer))
    const ask = (headers = {}): Promise<Response> => GET(new Request('http://localhost/x', { headers }))
    const headers = await pay(await ask())
    const got = await ask(headers)
    expect([got.status, await got.json()]).toEqual([200, 'alice'])
    expect((await ask(headers)).status).toBe(402)
  })

  test('a stream is followed to its end, since nobody else tells', async () => {
    const GET = make().charge({ amount: '1' })(() => new Response(slow('con', 'tent')))
    const headers = await pay(await GET(get('/stream')))
    const left = await GET(get('/stream', { headers }))
    await left.body?.cancel()
    const got = await vi.waitUntil(async () => {
      const answer = await GET(get('/stream', { headers }))
      return answer.status === 409 ? undefined : answer
    })
    expect(await got.text()).toBe('content')
    await vi.waitUntil(async () => (await GET(get('/stream', { headers }))).status === 402)
  })

  test('a client that went while its payment was settled starts no handler, and keeps its attempts', async () => {
    let starts = 0
    const GET = make().charge({ amount: '1' })(() => Response.json((starts += 1)))
    const headers = await pay(await GET(get('/gone')))
    const gone = get('/gone', { headers, signal: AbortSignal.abort() })
    expect((await GET(gone)).status).toBe(499)
    expect(starts).toBe(0)
    expect(await (await GET(get('/gone', { headers }))).json()).toBe(1)
  })
})

test('a body is given back in place: additions to the request stay, and it is the same object', async () => {
  const seen: unknown[] = []
  const POST = make().charge({ amount: '1' })(async (request: NextRequest & { auth?: string }) => {
    seen.push(request.auth, request === asked, request.nextUrl.search, request.bodyUsed)
    const again = new Request(request.url, {
      method: 'POST',
      body: request.body,
      duplex: 'half',
    } as RequestInit)
    seen.push(await again.text(), request.bodyUsed, payment(request).attempt)
    return new Response()
  })
  const post = (headers = {}): NextRequest => get('/body?x=1', { method: 'POST', body: 'a body', headers })
  const asked = Object.assign(post(await pay(await POST(post()))), { auth: 'alice' })
  await POST(asked)
  expect(seen).toEqual(['alice', true, '?x=1', false, 'a body', true, 1])
})

test('a body that was read before is the programmer’s fault, before anyone pays', async () => {
  const POST = make().charge({ amount: '1' })(() => new Response())
  const request = get('/body', { method: 'POST', body: 'a body' })
  await request.text()
  await expect(POST(request)).rejects.toThrow(BodyError)
})

test('a free price lets the handler read the body that it was asked about', async () => {
  const amount = async ({ body }: { body(): Promise<Uint8Array> }): Promise<null> => {
    await body()
    return null
  }
  const POST = make().charge({ amount })(async (request) => new Response(await request.text()))
  const got = await POST(get('/body', { method: 'POST', body: 'a body' }))
  expect(await got.text()).toBe('a body')
})

describe('mistakes', () => {
  test('two guards around one handler are found when they are made', () => {
    const mpp = make()
    const GET = mpp.charge({ amount: '1' })(() => new Response())
    for (const twice of [
      () => mpp.charge({ amount: '2' })(GET),
      () => mpp.charge({ amount: '2' }).all({ GET }),
      () => make().charge({ amount: '2' }).all({ POST: GET }),
      () => mpp.charge({ amount: '2' })(mpp.charge({ amount: '2' }).all({}).OPTIONS),
    ])
      expect(twice).toThrow(/two gates.*amount: \(request\)/s)
  })

  test('two guards with something between them are found before the handler runs', async () => {
    const mpp = make()
    let starts = 0
    const inner = mpp.charge({ amount: '1' })((_request: NextRequest) => Response.json((starts += 1)))
    const GET = mpp.charge({ amount: '1' })((request: NextRequest) => inner(request))
    const headers = await pay(await GET(get('/two')))
    await expect(GET(get('/two', { headers }))).rejects.toThrow(/two gates/)
    expect(starts).toBe(0)
  })

  test('what is no handler cannot be guarded', () => {
    const guard = make().charge({ amount: '1' })
    expect(() => guard({ GET: () => new Response() } as never)).toThrow(/a route handler/)
    expect(() => guard.all({ OPTIONS: () => new Response() } as never)).toThrow(/not OPTIONS/)
    expect(() => guard.all({ dynamic: 'auto' } as never)).toThrow(/not dynamic/)
    expect(() => guard.all({ GET: 'x' } as never)).toThrow(/a route handler/)
  })

  test('payment() of a request that passed no gate', () => {
    expect(() => payment(get('/x'))).toThrow(/passed no gate/)
  })

  test('options are checked at once', () => {
    expect(() => createMpp(undefined as never)).toThrow(/createMpp needs options/)
    expect(() => createMpp({ ...local, secret: 'short' })).toThrow(/secret/)
    expect(() => createMpp({ ...local, origin: 'https://shop.example' })).toThrow(/store that survives/)
  })

  test('a request without its headers was made to be prerendered', async () => {
    const sealed = new Proxy(new Headers(), {
      get(target, name) {
        if (name === 'delete')
          return () => {
            throw new Error('Headers cannot be modified.')
          }
        const value: unknown = Reflect.get(target, name)
        return typeof value === 'function' ? value.bind(target) : value
      },
    })
    const request = new Proxy(get('/x'), {
      get: (target, name) => (name === 'headers' ? sealed : Reflect.get(target, name)),
    })
    await expect(make().charge({ amount: '1' })(() => new Response())(request)).rejects.toThrow(
      /force-static/,
    )
  })
})

describe('what the copies of the module have in common', () => {
  test('one memory for a realm, and only for it', async () => {
    vi.resetModules()
    const copy = (await import('../src/index.ts')) as typeof entry
    expect(copy.createMpp).not.toBe(createMpp)
    const first = make().charge({ amount: '1' })(() => new Response('first'))
    const again = copy.createMpp(local)
    const other = copy.createMpp({ ...local, realm: 'other.example' })
    open.push(again, other)
    const headers = await pay(await first(get('/shared')))
    expect((await first(get('/shared', { headers }))).status).toBe(200)
    const second = again.charge({ amount: '1' })(() => new Response('again'))
    expect((await second(get('/shared', { headers }))).status).toBe(402)
    const third = other.charge({ amount: '1' })(() => new Response('other'))
    const elsewhere = await pay(await third(get('/shared')))
    expect((await third(get('/shared', { headers: elsewhere }))).status).toBe(200)
  })

  test('a hot reload leaves one timer, and in production every server has its own', async () => {
    vi.useFakeTimers()
    for (const [mode, timers] of [
      ['development', 1],
      ['production', 3],
    ] as const) {
      vi.stubEnv('NODE_ENV', mode)
      for (let reload = 0; reload < 3; reload += 1)
        await make({ realm: `${mode}.example` }).charge({ amount: '1' })(() => new Response())(get('/x'))
      expect([mode, vi.getTimerCount()]).toEqual([mode, timers])
      for (const mpp of open.splice(0)) mpp.close()
    }
  })
})

describe('the origin', () => {
  test('may be left out in development only', async () => {
    vi.stubEnv('NODE_ENV', 'development')
    const developing = make({ origin: undefined }).charge({ amount: '1' })(() => new Response())
    expect((await developing(get('/x'))).status).toBe(402)
    vi.stubEnv('NODE_ENV', 'production')
    const live = make({ origin: undefined }).charge({ amount: '1' })(() => new Response())
    await expect(live(get('/x'))).rejects.toThrow(/origin: "https:\/\/api.example.com"/)
  })
})

describe('an answer', () => {
  /** Lets everything in, and remembers how it ended. */
  function letting(): { gate: Gate; outcomes: Outcome[]; shown: Incoming[] } {
    const outcomes: Outcome[] = []
    const shown: Incoming[] = []
    const grant = {
      payment: {} as never,
      headers: (status: number): [string, string][] => [['x-status', String(status)]],
      keeps: 0,
      keep: () => Promise.resolve(),
      finish: (outcome: Outcome) => Promise.resolve(void outcomes.push(outcome)),
    }
    const gate = (incoming: Incoming) => {
      shown.push(incoming)
      return Promise.resolve({
        kind: 'admit' as const,
        admit: () => Promise.resolve({ kind: 'proceed' as const, grant }),
      })
    }
    return { gate: Object.assign(gate, { offers: [] }), outcomes, shown }
  }

  const thrown = (digest: unknown): Error => Object.assign(new Error('thrown'), { digest })

  test.each([
    ['NEXT_REDIRECT;replace;/a;b;307;', 307, '/a;b'],
    ['NEXT_REDIRECT;push;https://a.example/;303;', 303, 'https://a.example/'],
    ['NEXT_HTTP_ERROR_FALLBACK;404', 404, null],
    ['NEXT_HTTP_ERROR_FALLBACK;401', 401, null],
  ])('is made of %s, with the grant’s headers', async (digest, status, location) => {
    const { gate, outcomes } = letting()
    const GET = paid(gate)(() => Promise.reject(thrown(digest)))
    const got = await GET(get('/x'))
    expect([got.status, got.headers.get('location'), got.headers.get('x-status')]).toEqual([
      status,
      location,
      String(status),
    ])
    expect(outcomes).toEqual([{ status, reached: 'all' }])
  })

  test.each(['NEXT_HTTP_ERROR_FALLBACK;200', 'NEXT_REDIRECT;replace;/a;200;', 'NEXT_OTHER', '1234567', 7])(
    'is not made of an error with the digest %s',
    async (digest) => {
      const { gate, outcomes } = letting()
      await expect(paid(gate)(() => Promise.reject(thrown(digest)))(get('/x'))).rejects.toThrow('thrown')
      expect(outcomes).toEqual([{ status: 500, reached: 'nothing' }])
    },
  )

  test('Next is asked nothing that it cannot answer', async () => {
    const { gate, shown } = letting()
    await paid(gate)(() => new Response())(get('/x?y'))
    expect(() => shown[0]?.waitUntil?.(Promise.resolve())).not.toThrow()
    expect([shown[0]?.target, shown[0]?.transport]).toEqual(['/x?y', 'unknown'])
  })
})

test('types', () => {
  const mpp = make()
  type Params = { params: Promise<{ id: string }> }
  const annotated = mpp.charge({ amount: '1' })(async (_request: Request, _context: Params) => new Response())
  expectTypeOf(annotated).toEqualTypeOf<(request: Request, context: Params) => Promise<Response>>()
  const bare = mpp.charge({ amount: '1' })(async (request, { params }) => {
    expectTypeOf(request).toEqualTypeOf<NextRequest>()
    expectTypeOf(params).resolves.toEqualTypeOf<Record<string, string | string[] | undefined>>()
    return new Response()
  })
  expectTypeOf(bare).parameter(0).toEqualTypeOf<NextRequest>()
  const none = mpp.charge({ amount: '1' })(() => new Response())
  expectTypeOf(none).toEqualTypeOf<(request: NextRequest) => Promise<Response>>()
  const all = mpp.charge({ amount: '1' }).all({
    GET: () => new Response(),
    POST: (request: Request, _context: Params) => new Response(request.body),
  })
  expectTypeOf(all.GET).toEqualTypeOf<() => Promise<Response>>()
  expectTypeOf(all.POST).toEqualTypeOf<(request: Request, context: Params) => Promise<Response>>()
  // @ts-expect-error a handler answers with a Response
  mpp.charge({ amount: '1' })(() => 'text')
  expect(Object.keys(all)).toEqual(['GET', 'POST', 'OPTIONS'])
})
