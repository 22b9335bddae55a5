import { afterAll, expect, test } from 'vitest'

// As @hono/node-server does, and before @elysiajs/node looks at it: hence no import of anything that loads it.
const Native = globalThis.Request
globalThis.Request = class extends Native {}
afterAll(() => {
  globalThis.Request = Native
})

test('behind somebody else’s Request a body is not bound by chance: the error says whose it is', async () => {
  const { createMpp } = await import('../src/index.ts')
  const { memoryStore } = await import('@mppkit/server')
  const { createToyLedger, toyMethod } = await import('../../../testing/src/toy.ts')
  const { node } = await import('@elysiajs/node')
  const { Elysia } = await import('elysia')
  const { listen } = await import('./serve.ts')
  const errors: unknown[] = []
  let starts = 0
  const mpp = createMpp({
    realm: 'shop.example',
    secret: 'a-secret-for-tests-of-32-characters-or-more',
    store: memoryStore(),
    methods: [toyMethod({ ledger: createToyLedger(), recipient: 'shop' })],
  })
  const app = new Elysia({ adapter: node() })
    .onError(({ error, set }) => {
      errors.push(error)
      set.status = 500
      return 'handled'
    })
    .guard(mpp.charge({ amount: '1' }), (guarded) =>
      guarded.all('/photo', () => {
        starts += 1
        return 'photo'
      }),
    )
  const { url, close } = await listen(app as never)
  try {
    expect((await fetch(`${url}/photo`)).status).toBe(402)
    const got = await fetch(`${url}/photo`, { method: 'POST', body: '{"a":1}' })
    expect([got.status, await got.text()]).toEqual([500, 'handled'])
    expect(String(errors)).toMatch(/overrideGlobalObjects: false/)
    expect(starts).toBe(0)
  } finally {
    await close()
    mpp.close()
  }
})
