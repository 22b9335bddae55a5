import { serve } from '@hono/node-server'
import type { Store } from '@mppkit/core'
import { Hono } from 'hono'
import { createClient, http } from 'viem'
import { privateKeyToAccount } from 'viem/accounts'
import { tempoLocalnet } from 'viem/chains'
import { answer } from './measure.ts'
import { AMOUNT, CONTENT, PATH_USD, REALM, SECRET } from './peers.ts'

/** Start a seller, answered with its port. Each route asks the node under a name of its own: `rpc` with the route's name. */
export interface Question {
  peer: 'ours' | 'mppx'
  chainId: number
  rpc: string
  recipient: string
  /** Private key of the one who pays the buyers' fees. */
  sponsor: `0x${string}`
}

/** `broken` has a store that cannot be reached when a payment has been settled. */
const ROUTES = ['pull', 'sponsored', 'broken'] as const

async function ourApp({ chainId, rpc, recipient, sponsor }: Question): Promise<Hono> {
  const { createMpp } = await import('@mppkit/hono')
  const { memoryStore } = await import('@mppkit/server')
  const { tempo } = await import('@mppkit/tempo/server')
  const app = new Hono()
  for (const route of ROUTES) {
    const method = tempo.charge({
      recipient,
      chainId,
      rpcUrl: `${rpc}-${route}`,
      ...(route === 'sponsored' && { feePayer: { account: privateKeyToAccount(sponsor) } }),
    })
    const store = route === 'broken' ? forgetful(memoryStore()) : memoryStore()
    // The broken store's complaints are wanted.
    const onError = route === 'broken' ? () => {} : console.error
    const mpp = createMpp({ realm: REALM, secret: SECRET, methods: [method], store, onError })
    app.get(`/${route}`, mpp.charge({ amount: AMOUNT }), (c) => c.json(CONTENT))
  }
  return app
}

/** Refuses to write, once per payment and its repetition, that the money has arrived: what a crash in that moment leaves behind. */
function forgetful(store: Store): Store {
  const refusals = new Map<string, number>()
  return {
    ...store,
    async swap(key, expect, next) {
      const state =
        next === 'delete' || !next.value.startsWith('{') ? '' : (JSON.parse(next.value).state as string)
      const refused = refusals.get(key) ?? 0
      if (state === 'settled' && refused < 2) {
        refusals.set(key, refused + 1)
        throw new Error('the store is out of reach')
      }
      return store.swap(key, expect, next)
    },
  }
}

async function theirApp({ chainId, rpc, recipient, sponsor }: Question): Promise<Hono> {
  const { Mppx, tempo } = await import('mppx/hono')
  const app = new Hono()
  for (const route of ['pull', 'sponsored'] as const) {
    const chain = { ...tempoLocalnet, id: chainId, rpcUrls: { default: { http: [`${rpc}-${route}`] } } }
    const client = createClient({ chain, transport: http(`${rpc}-${route}`), pollingInterval: 50 })
    const method = tempo.charge({
      currency: PATH_USD,
      recipient: recipient as `0x${string}`,
      getClient: () => client,
      ...(route === 'sponsored' && { feePayer: privateKeyToAccount(sponsor) }),
    })
    const mppx = Mppx.create({ methods: [method], secretKey: SECRET, realm: REALM })
    app.get(`/${route}`, mppx.charge({ amount: AMOUNT }), (c) => c.json(CONTENT))
  }
  return app
}

answer(async (question: Question): Promise<number> => {
  const app = await (question.peer === 'ours' ? ourApp(question) : theirApp(question))
  return new Promise((resolve) =>
    serve({ fetch: app.fetch, port: 0, hostname: '127.0.0.1' }, ({ port }) => resolve(port)),
  )
})
