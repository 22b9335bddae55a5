import { postgresStore } from '@mppkit/postgres'
import { redisStore } from '@mppkit/redis'
import { createMpp, memoryStore } from '@mppkit/server'
import { createToyLedger, toyMethod, toyWallet } from '@mppkit/testing/toy'
import { parseChallenges, type Store } from '@mppkit/core'
import { Redis } from 'ioredis'
import { Pool } from 'pg'
import { describe, expect, test } from 'vitest'
import { freePort } from './lib/free-port.ts'

const SECRET = 'a secret of this test, long enough for its server'

function shop(store: Store) {
  const ledger = createToyLedger()
  let starts = 0
  const errors: unknown[] = []
  const mpp = createMpp({
    realm: 'shop.example',
    secret: SECRET,
    store,
    methods: [toyMethod({ ledger, recipient: 'shop' })],
    onError: (error) => void errors.push(error),
  })
  const sell = mpp.charge({ amount: '1.00' })<[beside: object]>(() => new Response(`start ${++starts}`))
  const beside = { incoming: { httpVersionMajor: 1, socket: { remoteAddress: '127.0.0.1' } } }
  const ask = (target: string, authorization?: string): Promise<Response> =>
    sell(
      new Request(`http://127.0.0.1${target}`, authorization ? { headers: { authorization } } : {}),
      beside,
    )
  async function pay(account: string, target = '/photo'): Promise<string> {
    await ledger.fund(account, 1000n)
    const { challenges } = parseChallenges((await ask(target)).headers.get('www-authenticate') ?? '')
    return toyWallet({ ledger, account }).pay(challenges[0]!)
  }
  return { mpp, ledger, ask, pay, errors, starts: () => starts }
}

describe('a store that cannot be reached at start', () => {
  test.each([
    [
      'redis',
      async (port: number) => {
        const client = new Redis(`redis://keeper:hunter2@127.0.0.1:${port}`, {
          maxRetriesPerRequest: 0,
          retryStrategy: () => null,
        })
        client.on('error', () => {})
        return { store: redisStore({ client }), end: async () => client.disconnect() }
      },
    ],
    [
      'postgres',
      async (port: number) => {
        const client = new Pool({ connectionString: `postgres://keeper:hunter2@127.0.0.1:${port}/books` })
        client.on('error', () => {})
        return { store: postgresStore({ client }), end: () => client.end() }
      },
    ],
  ])('%s: check() says where nobody answers, without the password', async (_, open) => {
    const port = await freePort()
    const { store, end } = await open(port)
    const { mpp } = shop(store)
    const error = await mpp.check().then(
      () => undefined,
      (reason: unknown) => reason as Error,
    )
    expect(error?.message).toContain(`127.0.0.1:${port}`)
    expect(`${error?.message} ${error?.stack}`).not.toContain('hunter2')
    mpp.close()
    await end()
  })
})

test('a store that is lost while serving: 503 with Retry-After, nothing free, no credential burned', async () => {
  const store = memoryStore()
  let down = false
  const lost = <Result>(work: () => Promise<Result>): Promise<Result> =>
    down ? Promise.reject(new Error('the store cannot be reached')) : work()
  const { mpp, ledger, ask, pay, starts } = shop({
    get: (key) => lost(() => store.get(key)),
    swap: (key, expect, next) => lost(() => store.swap(key, expect, next)),
    due: (queue, limit, after) => lost(() => store.due(queue, limit, after)),
  })
  const credential = await pay('alice')
  down = true
  const refused = await ask('/photo', credential)
  expect([refused.status, refused.headers.get('retry-after'), starts()]).toEqual([503, '1', 0])
  expect(await ledger.transfers()).toEqual([])
  // Who pays nothing yet is still told the price.
  expect((await ask('/photo')).status).toBe(402)
  down = false
  const answered = await ask('/photo', credential)
  expect([answered.status, await answered.text()]).toEqual([200, 'start 1'])
  expect(await ledger.transfers()).toHaveLength(1)
  mpp.close()
})

test('C10: a memory store at its bound: 503, and what is spent stays spent', async () => {
  // One payment takes two entries: its record and its proof.
  const { mpp, ledger, ask, pay, starts } = shop(memoryStore({ max: 2 }))
  const first = await pay('alice')
  expect((await ask('/photo', first)).status).toBe(200)
  const second = await pay('bob')
  const refused = await ask('/photo', second)
  expect([refused.status, refused.headers.get('retry-after')]).toEqual([503, '1'])
  expect((await ask('/photo', first)).status).toBe(402)
  expect([starts(), (await ledger.transfers()).length]).toEqual([1, 1])
  mpp.close()
})
