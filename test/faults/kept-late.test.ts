import { parseChallenges, type Store } from '@mppkit/core'
import { createMpp, memoryStore } from '@mppkit/server'
import { createToyLedger, toyMethod, toyWallet } from '@mppkit/testing/toy'
import { expect, test } from 'vitest'

/** Found on SQLite at its `max_page_count`: the record fits without the answer, and not with it. */
test('C12 C34: the store refuses the kept answer, then takes "delivered": who lost the answer on the wire still gets it', async () => {
  const memory = memoryStore()
  let refused = 0
  const store: Store = {
    ...memory,
    swap(key, expect, next) {
      if (next === 'delete' || !next.value.includes('"kept"') || refused > 1)
        return memory.swap(key, expect, next)
      refused++
      return Promise.reject(new Error('database or disk is full'))
    },
  }
  const ledger = createToyLedger()
  await ledger.fund('alice', 1000n)
  const mpp = createMpp({
    realm: 'shop.example',
    secret: 'a secret of this test, long enough for its server',
    store,
    methods: [toyMethod({ ledger, recipient: 'shop' })],
    onError: () => {},
  })
  const sell = mpp.charge({ amount: '1.00' })<[beside: object]>(() => new Response('content'))
  const ask = (headers: Record<string, string>): Promise<Response> =>
    sell(new Request('http://127.0.0.1/photo', { headers }), {
      incoming: { httpVersionMajor: 1, socket: { remoteAddress: '127.0.0.1' } },
    })
  const { challenges } = parseChallenges((await ask({})).headers.get('www-authenticate') ?? '')
  const authorization = await toyWallet({ ledger, account: 'alice' }).pay(challenges[0]!)
  const paid = { authorization, 'idempotency-key': 'order-1' }
  // This answer is lost on the wire; the server cannot know.
  expect((await ask(paid)).status).toBe(200)
  expect(refused).toBe(2)
  await new Promise((resolve) => setTimeout(resolve, 50))
  const again = await ask(paid)
  expect([again.status, await again.text()]).toEqual([200, 'content'])
  mpp.close()
})
