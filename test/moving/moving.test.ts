import { spawn, type ChildProcess } from 'node:child_process'
import { createServer, type AddressInfo } from 'node:net'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { diff } from 'node:util'
import { createClient, limits, receiptOf } from '@mppkit/client'
import { tempo } from '@mppkit/tempo/client'
import { startTempo, type LocalTempo } from '@mppkit/testing/anvil'
import { generatePrivateKey, privateKeyToAccount } from 'viem/accounts'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

const PATH_USD = '0x20c0000000000000000000000000000000000000'
const FRAMEWORKS = ['hono', 'express', 'fastify'] as const
const apps = new URL('../../apps/moving/', import.meta.url)

let chain: LocalTempo
const buyer = privateKeyToAccount(generatePrivateKey())
const sellers: ChildProcess[] = []

beforeAll(async () => {
  chain = await startTempo()
  await chain.fund(buyer.address, 100_000_000n, PATH_USD)
})

afterAll(async () => {
  for (const seller of sellers) seller.kill('SIGKILL')
  await chain.stop()
})

describe('one seller, moved from framework to framework', () => {
  test.each(FRAMEWORKS)('%s asks the same prices and gives the same answers', async (framework) => {
    const recipient = privateKeyToAccount(generatePrivateKey()).address
    const europe = privateKeyToAccount(generatePrivateKey()).address
    const url = await start(framework, { RECIPIENT: recipient, EUROPE: europe })
    const client = createClient({
      methods: [tempo.charge({ account: buyer, chainId: chain.chainId, rpcUrl: chain.url })],
      policy: { limits: limits({ currency: PATH_USD, perRequest: '1.10', total: '10' }) },
    })

    const health = await client.fetch(`${url}/health`)
    expect([health.status, await health.json(), receiptOf(health)]).toEqual([200, { ok: true }, undefined])

    const forecast = await client.fetch(`${url}/forecast/oslo`)
    const answer = { city: 'oslo', sunny: true, paidBy: expect.stringContaining(buyer.address.toLowerCase()) }
    expect([forecast.status, await forecast.json()]).toEqual([200, answer])
    expect(receiptOf(forecast)?.reference).toMatch(/^0x/)
    expect(await chain.balance(recipient, PATH_USD)).toBe(10_000n)

    const archive = await client.fetch(`${url}/archive/1999`)
    expect([archive.status, await archive.json()]).toEqual([200, { year: '1999', rainyDays: 121 }])
    expect(await chain.balance(europe, PATH_USD)).toBe(1_000_000n)

    for (const [text, price] of [
      ['short', 250_000n],
      ['long'.repeat(300), 500_000n],
    ] as const) {
      const before = await chain.balance(recipient, PATH_USD)
      const report = await client.fetch(`${url}/reports`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ text }),
      })
      expect([report.status, await report.json()]).toEqual([201, { received: { text } }])
      expect((await chain.balance(recipient, PATH_USD)) - before).toBe(price)
    }
  })

  test('the page that shows the difference is up to date', async () => {
    await expect(page()).toMatchFileSnapshot('../../docs/moving.md')
  })
})

async function start(framework: string, env: Record<string, string>): Promise<string> {
  const port = await freePort()
  const child = spawn(process.execPath, [fileURLToPath(new URL(`${framework}.ts`, apps))], {
    stdio: ['ignore', 'ignore', 'inherit'],
    env: {
      ...process.env,
      ...env,
      MPP_SECRET_KEY: 'for-this-test-only-32-bytes-or-more',
      CHAIN_ID: String(chain.chainId),
      RPC_URL: chain.url,
      PORT: String(port),
    },
  })
  sellers.push(child)
  const url = `http://127.0.0.1:${port}`
  for (let tries = 0; ; tries++) {
    try {
      await fetch(`${url}/health`)
      return url
    } catch (error) {
      if (tries === 200 || child.exitCode !== null) throw error
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

/** The seller, and what changes in it on each move. */
function page(): string {
  const [first, ...others] = FRAMEWORKS
  const moves = others.map((to, index) => {
    const from = FRAMEWORKS[index]!
    return `## From ${titleOf(from)} to ${titleOf(to)}\n\n\`\`\`diff\n${difference(sourceOf(from), sourceOf(to))}\n\`\`\`\n`
  })
  return `# Moving a seller

The same seller on three frameworks, as it stands in [\`apps/moving\`](../apps/moving). A test buys from each, on a local Tempo chain, and makes this page. What a move changes is the framework's own lines and the path of one import; prices, rails, and what happens to a payment stay.

## On ${titleOf(first)}

\`\`\`ts
${sourceOf(first)}\`\`\`

${moves.join('\n')}`
}

function sourceOf(framework: string): string {
  return readFileSync(new URL(`${framework}.ts`, apps), 'utf8')
}

function titleOf(framework: string): string {
  return framework.charAt(0).toUpperCase() + framework.slice(1)
}

function difference(from: string, to: string): string {
  const signs = { '-1': '+', 0: ' ', 1: '-' }
  return diff(from.trimEnd().split('\n'), to.trimEnd().split('\n'))
    .map(([operation, line]) => `${signs[operation]}${line}`.trimEnd())
    .join('\n')
}
