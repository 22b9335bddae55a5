import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { run } from '../src/index.ts'
import type { Report } from '@mppkit/testing/conform'
import { generatePrivateKey, privateKeyToAccount } from 'viem/accounts'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { nobody, openChain, type Chain } from '../../../test/interop/lib/chain.ts'
import { mppxShops, type MppxShop } from '../../../test/interop/lib/mppx-shop.ts'

// Another implementation, paid with real transactions on a local chain: what the questions say of it must not change
// unseen. Data for these tests only. Write it anew with MPPKIT_RECORD=1.
const file = new URL('recorded/mppx-0.11.0.json', import.meta.url)
const recorded: Record<string, string[]> = existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : {}
const found: Record<string, string[]> = {}
const opened: MppxShop[] = []
let chain: Chain

beforeAll(async () => {
  // It tells the console of every proof that it refuses.
  for (const name of ['error', 'warn', 'log'] as const) vi.spyOn(console, name).mockImplementation(() => {})
  chain = await openChain()
}, 60_000)
afterAll(async () => {
  for (const shop of opened) shop.close()
  await chain?.stop()
  if (process.env.MPPKIT_RECORD) writeFileSync(file, `${JSON.stringify(found, null, 2)}\n`)
})

const asked = {
  'GET /photo': [],
  'POST /orders': ['--body', '{"size":1}', '--header', 'Content-Type: application/json'],
}

for (const name of ['node:http', 'Express', 'Hono', 'Elysia'] as const)
  for (const [what, more] of Object.entries(asked))
    test(`${name}, ${what}: as recorded`, { timeout: 120_000 }, async () => {
      const shop = await mppxShops[name]({ chain, recipient: nobody() })
      opened.push(shop)
      const key = generatePrivateKey()
      await chain.fund(privateKeyToAccount(key).address, 100_000_000n)
      let out = ''
      const code = await run(
        [
          'conform',
          shop.origin + what.split(' ')[1]!,
          '--pay',
          'tempo',
          '--rpc',
          chain.url,
          '--json',
          ...more,
        ],
        {
          out: (text) => void (out += text),
          err: (text) => expect(text).toBe(''),
          env: { MPPKIT_PRIVATE_KEY: key },
        },
      )
      const { verdicts, took } = JSON.parse(out) as Report
      expect(verdicts.find(({ id }) => id === 'payment-served')).toMatchObject({ outcome: 'passed' })
      found[`${name}, ${what}`] = verdicts
        .filter(({ outcome }) => outcome === 'failed')
        .map(({ id, level }) => `${level}: ${id}`)
      expect(code).toBe(
        verdicts.some(({ outcome, level }) => outcome === 'failed' && level === 'error') ? 1 : 0,
      )
      expect(took).toBeLessThan(60_000)
      if (!process.env.MPPKIT_RECORD) expect(found[`${name}, ${what}`]).toEqual(recorded[`${name}, ${what}`])
    })
