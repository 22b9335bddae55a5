import { parseChallenges } from '@mppkit/core'
import { createToyLedger, toyWallet } from '@mppkit/testing/toy'
import { afterAll, describe, expect, test } from 'vitest'
import { missing } from '../../../../test/runtimes/lib/platform.ts'
import { testStore, type OpenedStore } from '../../../testing/src/lib/test-store.ts'
import { ask, proxyStore, type Remote } from './lib/proxy.ts'
import { startWorkerd, type Workerd } from './lib/workerd.ts'

const absent = missing('workerd')
let started: Promise<Workerd> | undefined
const workerd = (): Promise<Workerd> => (started ??= startWorkerd())
afterAll(async () => (await started)?.stop())

async function openOnWorkerd(shards: number): Promise<OpenedStore> {
  const { urlOf, restart } = await workerd()
  const remote: Remote = { url: urlOf('front'), name: `payments in ${shards}`, shards }
  return {
    store: proxyStore(remote),
    // The clock in question is that of the Worker that calls: one of them runs an hour ahead, one behind.
    another: async ({ skew } = { skew: 0 }) =>
      proxyStore({ ...remote, url: urlOf(skew > 0 ? 'ahead' : skew < 0 ? 'behind' : 'front') }),
    clock: 'server',
    processes: { module: new URL('./process.ts', import.meta.url), options: remote },
    interrupt: async () => void (await ask(remote, 'abort', [])),
    restart,
  }
}

describe.skipIf(absent !== undefined)(
  absent === undefined ? 'on workerd' : `on workerd (skipped: ${absent})`,
  () => {
    testStore('cloudflare on workerd', () => openOnWorkerd(1))

    test('a store in 3 shards claims once and lists all queues in order, across restarts', async () => {
      const opened = await openOnWorkerd(3)
      const { store } = opened
      const queue = crypto.randomUUID()
      const keys = Array.from({ length: 12 }, (_, index) => `${queue} ${index}`)
      for (const [index, key] of keys.entries()) {
        const write = { value: `${index}`, ttl: 60, due: { queue, in: index - 20 } }
        const claims = await Promise.all([1, 2].map(() => store.swap(key, 'absent', write)))
        expect(claims.filter((claim) => claim.ok)).toHaveLength(1)
      }
      const first = await store.due(queue, 5)
      expect(first.map((entry) => entry.key)).toEqual(keys.slice(0, 5))
      await opened.restart!()
      expect((await store.due(queue, 12)).map((entry) => entry.key)).toEqual(keys)
      const rest = await store.due(queue, 9, first.at(-1))
      expect(rest.map((entry) => entry.key)).toEqual(keys.slice(5))
      const changed = { ...(opened.processes!.options as Remote), shards: 2 }
      await expect(ask({ ...changed }, 'get', [keys[0]])).rejects.toThrow(/`shards: 3`/)
    })

    test('a seller is paid once, refuses a replay, and runs one handler for two copies of a payment', async () => {
      const { urlOf, restart } = await workerd()
      const wallet = toyWallet({ ledger: createToyLedger(), account: 'alice' })
      const get = (path: string, authorization?: string) =>
        fetch(urlOf('seller') + path, authorization === undefined ? {} : { headers: { authorization } })
      const books = async () => (await (await get('runs')).json()) as { runs: number; received: string }
      async function credential(): Promise<string> {
        const unpaid = await get('weather')
        expect(unpaid.status).toBe(402)
        const { challenges } = parseChallenges(unpaid.headers.get('www-authenticate')!)
        return wallet.pay(challenges[0]!)
      }

      await get('fund')
      const first = await credential()
      const paid = await get('weather', first)
      expect(paid.status).toBe(200)
      expect(paid.headers.get('payment-receipt')).toBeTruthy()
      expect(await books()).toEqual({ runs: 1, received: '10' })
      expect((await get('weather', first)).status).toBe(402)
      expect(await books()).toEqual({ runs: 1, received: '10' })

      const second = await credential()
      const copies = await Promise.all([get('weather', second), get('weather', second)])
      expect(copies.map((copy) => copy.status).toSorted((a, b) => a - b)).toEqual([200, 409])
      expect(await books()).toEqual({ runs: 2, received: '20' })

      // The ledger and the count are gone with the process, what was paid is not.
      await restart()
      await get('fund')
      for (const spent of [first, second]) expect((await get('weather', spent)).status).toBe(402)
      expect(await books()).toEqual({ runs: 0, received: '0' })
    })
  },
)
