import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { networkInterfaces } from 'node:os'
import { fileURLToPath } from 'node:url'
import { createGates, memoryStore, type MppOptions } from '@mppkit/server'
import type { Verdict } from '@mppkit/testing/conform'
import { tempo } from '@mppkit/tempo/server'
import { createToyLedger, toyMethod } from '@mppkit/testing/toy'
import { afterEach, describe, expect, test } from 'vitest'
import { serve as onElysia } from '../../adapters/elysia/test/serve.ts'
import { serve as onExpress } from '../../adapters/express/test/serve.ts'
import { serve as onFastify } from '../../adapters/fastify/test/serve.ts'
import { serve as onHono } from '../../adapters/hono/test/serve.ts'
import { lookAt } from '../src/lib/doctor/config.ts'
import { openApp } from './apps.ts'
import type { Flaw, Planted } from './broken/flaws.ts'
import { openShop, type Shop } from './broken/toy-shop.ts'
import { options as good } from './configs/good.ts'
import { told } from './told.ts'

let shop: Shop | undefined
afterEach(() => shop?.close())

const failed = (verdicts: Verdict[]): string[] =>
  verdicts.filter(({ outcome }) => outcome === 'failed').map(({ id }) => id)

async function findings(url: string, ...more: string[]): Promise<string[]> {
  const { code, out, err } = await told(['doctor', url, '--pay', 'toy', '--json', ...more])
  expect(err).toBe('')
  const found = failed((JSON.parse(out) as { verdicts: Verdict[] }).verdicts)
  expect(code).toBe(found.length > 0 ? 1 : 0)
  return found
}

describe('a planted fault is found on a running server', () => {
  const planted: [fault: Flaw | Planted, found: string[]][] = [
    ['forgets', ['replay', 'race-of-fifty']],
    ['races', ['race-of-fifty']],
    ['crowd-burns', ['race-of-fifty']],
    ['amount-unbound', ['tampered-amount']],
    ['expires-unbound', ['tampered-expires']],
    ['decodes-paths', ['targets-guarded']],
    ['options-content', ['options-free']],
    ['head-free', ['head-guarded']],
    ['put-free', ['methods-guarded']],
    ['clock-behind', ['clock']],
    ['mixed-modes', ['one-kind-of-money']],
    ['receipt-public', ['receipt-private']],
    ['half-proof', ['bad-proof']],
  ]
  for (const [fault, found] of planted)
    test(`${fault}: ${found.join(', ')}`, async () => {
      shop = await openShop(fault)
      expect(await findings(`${shop.url}/photo`)).toEqual(found)
    })

  const outside = Object.values(networkInterfaces()).some((list) =>
    list?.some(({ internal, family }) => !internal && family === 'IPv4'),
  )
  test.skipIf(!outside)('listens-everywhere: plain-http (needs an address beyond the loopback)', async () => {
    shop = await openShop('listens-everywhere')
    expect(await findings(`${shop.url}/photo`)).toEqual(['plain-http'])
  })
})

test('CHG-030 real money for an account whose key is public is found on a running server', async () => {
  const request = (chainId: number): string =>
    Buffer.from(
      `{"amount":"1","currency":"0x20c0","methodDetails":{"chainId":${chainId}},"recipient":"0x70997970C51812dc3A010C7d01b50e0d17dc79C8"}`,
    ).toString('base64url')
  for (const [chainId, outcome] of [
    [4217, 'failed'],
    [42431, 'skipped'],
  ] as const) {
    const server = createServer((_, response) => {
      const challenge = `Payment id="1", realm="x", method="tempo", intent="charge", request="${request(chainId)}"`
      response.writeHead(402, { 'www-authenticate': challenge }).end()
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { out } = await told([
      'doctor',
      `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
      '--json',
    ])
    server.close()
    const { verdicts } = JSON.parse(out) as { verdicts: Verdict[] }
    expect(verdicts.find(({ id }) => id === 'recipient-own')).toMatchObject({ outcome })
  }
})

describe('a planted fault is found in a configuration', () => {
  const live = good.methods[0]!
  const toy = toyMethod({ ledger: createToyLedger(), recipient: 'shop' })
  const { store: _, ...storeless } = good
  const { trustProxy: __, ...direct } = good
  const production = { NODE_ENV: 'production' }
  const planted: [what: string, options: MppOptions, found: string[], env?: Record<string, string>][] = [
    ['a short secret', { ...good, secret: 'Zk4q9vXy2LrT8mWc' }, ['secret-length']],
    ['no secret', { ...good, secret: undefined }, ['secret-length']],
    [
      'an example for a secret',
      { ...good, secret: 'for-the-demo-only-32-bytes-or-more!' },
      ['secret-random'],
    ],
    [
      'a secret that can be guessed',
      { ...good, secret: 'ababcabdababcabdababcabdababcabd' },
      ['secret-random'],
    ],
    [
      'a secret used twice',
      good,
      ['secret-own'],
      { MPP_SECRET_KEY: good.secret, SESSION_SECRET: good.secret },
    ],
    ['a plain http origin', { ...good, origin: 'http://photos.example' }, ['origin-https']],
    ['an origin without a scheme', { ...good, origin: 'localhost:3000' }, ['origin-https']],
    ['a store in memory', { ...good, store: memoryStore() }, ['store-lasting']],
    ['no store', storeless, ['store-lasting']],
    [
      'a store that is not fit',
      { ...good, store: { ...good.store, check: () => Promise.reject(new Error('a replica')) } },
      ['store-answers'],
    ],
    ['trusted proxies on the loopback', { ...good, origin: 'http://localhost:3000' }, ['proxies']],
    ['proxies that are everybody', { ...good, trustProxy: ['0.0.0.0/0'] }, ['proxies']],
    [
      'test money beside real one',
      { ...good, methods: [live, toy] },
      ['one-kind-of-money', 'real-money-in-public'],
    ],
    ['test money in public', { ...good, methods: [toy] }, ['real-money-in-public']],
    [
      'real money for an account whose key is public',
      { ...good, methods: [tempo.charge({ recipient: '0x70997970C51812dc3A010C7d01b50e0d17dc79C8' })] },
      ['recipient-own'],
    ],
    ['limits that are off', { ...good, limits: { verify: false } }, ['limits-on']],
    ['prices that are not enforced', { ...good, enforce: false }, ['enforced']],
    ['no origin in production', { ...direct, origin: undefined }, ['origin-given'], production],
    ['an option that nobody knows', { ...good, trustproxy: 1 } as never, ['starts']],
  ]
  for (const [what, options, found, env = {}] of planted)
    test(what, async () => {
      expect(failed(await lookAt({ options }, env))).toEqual(found)
    })

  test('none in a good one, whatever the environment', async () => {
    for (const env of [{}, production, { MPP_SECRET_KEY: good.secret }])
      expect(failed(await lookAt({ options: good }, env))).toEqual([])
  })

  test('gates are asked whether they are ready', async () => {
    const gates = createGates(good)
    expect(failed(await lookAt({ mpp: gates }, {}))).toEqual([])
    const other = createGates({ ...good, secret: 'another1Zk4q9vXy2LrT8mWc1NfB7hJd' })
    expect(failed(await lookAt({ mpp: other }, {}))).toEqual(['check'])
    gates.close()
    other.close()
  })
})

describe('a configuration is read from a file', () => {
  const file = (name: string): string => fileURLToPath(new URL(`configs/${name}.ts`, import.meta.url))

  test('and judged', async () => {
    expect(await told(['doctor', file('good')])).toMatchObject({ code: 0, err: '' })
    const { code, out } = await told(['doctor', file('volatile')])
    expect(code).toBe(1)
    expect(out).toContain('store-lasting')
    expect(out).toContain('fix:')
    expect(out).not.toContain(good.secret)
  })

  test('or refused with a reason', async () => {
    expect(await told(['doctor', file('nothing')])).toMatchObject({
      code: 2,
      err: expect.stringContaining('exports neither'),
    })
    expect(await told(['doctor', './no-such-config.ts'])).toMatchObject({
      code: 2,
      err: expect.stringContaining('there is no file'),
    })
  })
})

describe('nothing is found on good servers', () => {
  test('by hand', async () => {
    shop = await openShop()
    expect(await findings(`${shop.url}/photo`, '--failing', '/failing')).toEqual([])
    expect(await findings(`${shop.url}/photo`, '--body', '{"size":"large"}')).toEqual([])
  })

  for (const [name, serve] of Object.entries({
    express: onExpress,
    hono: onHono,
    fastify: onFastify,
    elysia: onElysia,
  }))
    test(name, async () => {
      const app = await openApp(serve)
      try {
        expect(await findings(`${app.url}/photo`, '--failing', '/failing')).toEqual([])
        expect(
          await findings(`${app.url}/photo`, '--body', 'large', '--header', 'Content-Type: text/plain'),
        ).toEqual([])
      } finally {
        await app.close()
      }
    })
})
