import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { receiptOf } from '@mppkit/client'
import { createBinding, parseChallenges } from '@mppkit/core'
import { build } from 'esbuild'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { start } from '../../apps/hono/main.ts'
import { toyRail } from '../../apps/lib/toy.ts'
import type { App } from '../../apps/lib/run.ts'
import { binaryOf } from '../runtimes/lib/platform.ts'
import { WORKERD } from '../runtimes/lib/start.ts'
import { askedOf, buyerOf, insist, pay } from './lib/buyer.ts'
import { APPS } from './lib/apps.ts'
import { testConform } from './lib/conform.ts'
import { freePort, root, start as startProcess } from './lib/processes.ts'

const file = 'apps/hono/search.ts'
const SECRET = 'a secret of a service, 32 bytes or more'
const folder = mkdtempSync(join(tmpdir(), 'search-'))

let app: App
beforeAll(async () => {
  app = await start()
})
afterAll(async () => {
  await app.close()
  rmSync(folder, { recursive: true })
})

const earned = async (): Promise<number> => Number(await app.rail.earned('shop'))

describe('web search on Hono', () => {
  testConform(() => app, APPS.hono)

  test('a ping is free', async () => {
    const had = await earned()
    const response = await fetch(`${app.url}/ping`)
    expect([response.status, await response.json()]).toEqual([200, { ok: true, pages: 12 }])
    expect([response.headers.get('payment-receipt'), await earned()]).toEqual([null, had])
  })

  test.each(['', '?q=', '?q=%20', '?q=!'])(
    '/search%s asks nothing: 422, and no money is asked for',
    async (query) => {
      const response = await fetch(`${app.url}/search${query}`)
      expect([response.status, response.headers.get('www-authenticate')]).toEqual([422, null])
    },
  )

  test('every search has the same price, and finds the best first', async () => {
    for (const query of ['bread', 'flour water yeast', 'nothing at all like this']) {
      const had = await earned()
      const url = `${app.url}/search?q=${encodeURIComponent(query)}`
      expect(askedOf(await fetch(url))).toMatchObject({ amount: '1' })
      const response = await buyerOf(app).fetch(url)
      expect([response.status, receiptOf(response)?.status]).toEqual([200, 'success'])
      expect((await earned()) - had).toBeCloseTo(0.01)
    }
    const found = await buyerOf(app).fetch(`${app.url}/search?q=bread`)
    const { results } = (await found.json()) as { results: { url: string }[] }
    expect(results.map(({ url }) => url)).toEqual([
      'https://example.org/bread',
      'https://example.org/sourdough',
    ])
  })

  test('what was paid for one question answers no other, and answers once', async () => {
    const headers = await pay(`${app.url}/search?q=tides`)
    expect((await fetch(`${app.url}/search?q=bees`, { headers })).status).toBe(402)
    expect((await fetch(`${app.url}/search?q=tides`, { headers })).status).toBe(200)
    expect((await insist(() => fetch(`${app.url}/search?q=tides`, { headers }))).status).toBe(402)
  })
})

describe('the same file', () => {
  test.each(['bun', 'deno', 'workerd'] as const)('sells on %s', { timeout: 30_000 }, async (runtime) => {
    const port = await freePort()
    const url = `http://127.0.0.1:${port}`
    const server = await startProcess(binaryOf(runtime)!, await argumentsFor(runtime, port), {
      url: `${url}/ping`,
      env: { PORT: String(port), DENO_NO_UPDATE_CHECK: '1', MPP_SECRET_KEY: SECRET },
    })
    try {
      expect(await (await fetch(`${url}/ping`)).json()).toEqual({ ok: true, pages: 12 })
      const unpaid = await fetch(`${url}/search?q=bread`)
      expect([unpaid.status, askedOf(unpaid)]).toMatchObject([402, { amount: '1' }])
      const [challenge] = parseChallenges(unpaid.headers.get('www-authenticate')!).challenges
      expect(await createBinding([SECRET]).verify(challenge!)).toBe(true)
      // The ledger is in the other process; a toy wallet only signs.
      const response = await buyerOf({ rail: toyRail() }).fetch(`${url}/search?q=bread`)
      expect([response.status, receiptOf(response)?.status]).toEqual([200, 'success'])
    } finally {
      await server.stop()
    }
  })
})

async function argumentsFor(runtime: 'bun' | 'deno' | 'workerd', port: number): Promise<string[]> {
  if (runtime === 'bun') return [file]
  if (runtime === 'deno')
    return ['serve', '-A', '--no-lock', '--host', '127.0.0.1', '--port', String(port), file]
  await build({
    entryPoints: [join(root, file)],
    outfile: join(folder, 'search.mjs'),
    bundle: true,
    format: 'esm',
    target: 'es2023',
    logLevel: 'warning',
  })
  writeFileSync(
    join(folder, 'config.capnp'),
    `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [(name = "main", worker = .worker)],
  sockets = [(name = "http", address = "127.0.0.1:${port}", http = (), service = "main")],
);
const worker :Workerd.Worker = (
  modules = [(name = "search.mjs", esModule = embed "search.mjs")],
  compatibilityDate = "${WORKERD.compatibilityDate}",
  compatibilityFlags = [${WORKERD.compatibilityFlags.map((flag) => `"${flag}"`).join(', ')}],
  bindings = [
    (name = "ORIGIN", text = "http://localhost:${port}"),
    (name = "MPP_SECRET_KEY", text = "${SECRET}"),
  ],
);
`,
  )
  return ['serve', join(folder, 'config.capnp')]
}
