import { once } from 'node:events'
import { rmSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { serve } from '@hono/node-server'
import type { Express } from 'express'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { answering, freePort, start, unpack, type Program } from './run.ts'

// The quickstarts as a newcomer runs them: the files of each page, in processes of their own, asked and paid over sockets.
const SELLERS = ['express', 'hono', 'fastify', 'elysia', 'fetch'] as const
const SECRET = 'a-secret-of-the-tests-only-32-bytes'
const RECIPIENT = '0x742d35cc6634c0532925a3b844bc9e7595f8fe00'

const buyer = unpack('docs/quickstart/buyer.md')
const folders = [buyer.folder]
const running: Program[] = []
/** Of the local chain: how to reach it, and a key with money. */
let money: Record<string, string> = {}

beforeAll(async () => {
  const port = await freePort()
  const chain = run(buyer.folder, ['chain.ts'], { PORT: String(port) })
  await answering(chain, `http://127.0.0.1:${port}`)
  await vi.waitFor(() => expect(chain.output).toContain('KEY='), { timeout: 15_000 })
  money = Object.fromEntries(
    [...chain.output.matchAll(/(\w+)=(\S+)/g)].map(([, name, value]) => [name!, value!]),
  )
})

afterAll(async () => {
  for (const { child } of running) child.kill()
  await Promise.all(running.map(({ exited }) => exited))
  for (const folder of folders) rmSync(folder, { recursive: true, force: true })
})

describe.each(SELLERS)('quickstart/%s.md, 3 files run', (name) => {
  const { folder, names } = unpack(`docs/quickstart/${name}.md`)
  folders.push(folder)

  test('server.ts asks, buy.ts pays in play money', async () => {
    expect(names).toEqual(['server.ts', 'buy.ts', 'live.ts'])
    const port = await freePort()
    const url = `http://127.0.0.1:${port}/forecast`
    const server = run(folder, ['server.ts'], { PORT: String(port) })
    await answering(server, url)
    await isAsked(url, 'toy')
    const buy = run(folder, ['buy.ts', url])
    expect(await buy.exited).toBe(0)
    expect(buy.output).toContain('200 {"sunny":true,"paidBy":"alice"}')
    expect(buy.output).toContain("status: 'success'")
    server.child.kill()
    await server.exited
  })

  test('live.ts asks, pay.ts of buyer.md pays in stablecoins, SIGTERM ends it', async () => {
    const { live, url } = await goLive(folder)
    await isAsked(url, 'tempo')
    const pay = run(buyer.folder, ['pay.ts', url], money)
    expect(await pay.exited).toBe(0)
    expect(pay.output).toContain('200 {"sunny":true,"paidBy":"0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266"')
    expect(pay.output).toContain("method: 'tempo'")
    live.child.kill('SIGTERM')
    expect(await live.exited).toBe(0)
  })
})

describe('quickstart/next.md, 5 files run: its route, called as Next calls it', () => {
  test('lib/mpp.ts asks, buy.ts pays in play money', async () => {
    const { folder, names } = unpack('docs/quickstart/next.md')
    folders.push(folder)
    expect(names).toEqual(['lib/mpp.ts', 'app/forecast/route.ts', 'buy.ts', 'instrumentation.ts'])
    await onNext(folder, async (url) => {
      await isAsked(url, 'toy')
      const buy = run(folder, ['buy.ts', url])
      expect(await buy.exited).toBe(0)
      expect(buy.output).toContain('200 {"sunny":true,"paidBy":"alice"}')
    })
  })

  test('the second lib/mpp.ts asks, pay.ts of buyer.md pays in stablecoins', async () => {
    const { folder } = unpack('docs/quickstart/next.md', 'last')
    folders.push(folder)
    const { KEY: _, ...chain } = money
    const env = {
      ...chain,
      MPP_SECRET_KEY: SECRET,
      ORIGIN: 'http://localhost:3000',
      RECIPIENT,
      NEXT_RUNTIME: 'nodejs',
    }
    for (const [name, value] of Object.entries({ ...env, DB: `${folder}/payments.db` }))
      vi.stubEnv(name, value)
    const { register } = (await import(`${folder}/instrumentation.ts`)) as { register(): Promise<void> }
    await register()
    await onNext(folder, async (url) => {
      await isAsked(url, 'tempo')
      const pay = run(buyer.folder, ['pay.ts', url], money)
      expect(await pay.exited).toBe(0)
      expect(pay.output).toContain('200 {"sunny":true,"paidBy":"0x')
    })
    vi.unstubAllEnvs()
  })
})

/** Serves the route of a folder as Next would hand requests to it; a whole Next is started by the suites of the adapter. */
async function onNext(folder: string, ask: (url: string) => Promise<void>): Promise<void> {
  const { GET } = (await import(`${folder}/app/forecast/route.ts`)) as {
    GET: (request: Request, context: object) => Promise<Response>
  }
  const { NextRequest } = await import('next/server.js')
  const server = serve({
    fetch: (request) =>
      GET(new NextRequest(request.url, { headers: request.headers }), { params: Promise.resolve({}) }),
    hostname: '127.0.0.1',
    port: 0,
  })
  await once(server, 'listening')
  await ask(`http://127.0.0.1:${(server.address() as AddressInfo).port}/forecast`)
  server.close()
}

test.each(['from-mppx', 'from-x402'])(
  'migrate/%s.md, its files run: the seller asks, the buyer pays',
  async (name) => {
    const { folder, names } = unpack(`docs/migrate/${name}.md`)
    folders.push(folder)
    const { app } = (await import(`${folder}/seller.ts`)) as { app: Express }
    const server = app.listen(0, '127.0.0.1')
    await once(server, 'listening')
    await isAsked(`http://127.0.0.1:${(server.address() as AddressInfo).port}/forecast`, 'tempo')
    server.close()
    if (!names.includes('buyer.ts')) return

    // The seller of the page is on the testnet; the one of the quickstart can be told to use the local chain.
    const { live, url } = await goLive(unpack('docs/quickstart/express.md').folder)
    const buy = run(folder, ['buyer.ts'], { ...money, URL: url })
    expect(await buy.exited).toBe(0)
    expect(buy.output).toContain('200 {"sunny":true')
    live.child.kill('SIGTERM')
    expect(await live.exited).toBe(0)
  },
)

async function goLive(folder: string): Promise<{ live: Program; url: string }> {
  const port = await freePort()
  const ORIGIN = `http://127.0.0.1:${port}`
  const { KEY: _, ...chain } = money
  const live = run(folder, ['live.ts'], {
    ...chain,
    MPP_SECRET_KEY: SECRET,
    ORIGIN,
    RECIPIENT,
    PORT: String(port),
  })
  await answering(live, `${ORIGIN}/forecast`)
  return { live, url: `${ORIGIN}/forecast` }
}

function run(folder: string, args: string[], env: Record<string, string> = {}): Program {
  const program = start(folder, args, env)
  running.push(program)
  return program
}

async function isAsked(url: string, method: string): Promise<void> {
  const response = await fetch(url)
  expect(response.status).toBe(402)
  expect(response.headers.get('www-authenticate')).toMatch(new RegExp(`^Payment .*method="${method}"`))
  expect(response.headers.get('content-type')).toContain('application/problem+json')
}
