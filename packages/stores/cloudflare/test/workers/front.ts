import type { Store } from '@mppkit/core'
import { cloudflareStore, type StoreNamespace } from '../../src/index.ts'

/** What the proxy on Node asks. */
export interface Question {
  name: string
  shards: number
  method: 'get' | 'swap' | 'due' | 'abort'
  arguments: unknown[]
}

interface Env {
  PAYMENTS: StoreNamespace
  /** Milliseconds by which this Worker's clock is off. */
  SKEW: string
}

const stores = new Map<string, Store>()
let skewed = false

/** Opens the store to callers from outside of workerd. */
export default {
  async fetch(request: Request, env: Env): Promise<Response> {
    skewDate(Number(env.SKEW))
    const { name, shards, method, arguments: args } = (await request.json()) as Question
    const id = `${name} ${shards}`
    const store = stores.get(id) ?? cloudflareStore({ namespace: env.PAYMENTS, name, shards })
    stores.set(id, store)
    try {
      if (method === 'abort') await abort(env, name, shards)
      const value =
        method === 'abort' ? undefined : await (store[method] as (...args: unknown[]) => unknown)(...args)
      return Response.json({ value })
    } catch (error) {
      const { name: kind, message } = error as Error
      return Response.json({ error: { kind, message } })
    }
  },
}

async function abort({ PAYMENTS }: Env, name: string, shards: number): Promise<void> {
  for (let index = 0; index < shards; index += 1) {
    const stub = PAYMENTS.get(PAYMENTS.idFromName(`${name}/${index}`))
    await stub
      .fetch('https://payment-store.invalid/abort', {
        method: 'POST',
        body: '',
        signal: AbortSignal.timeout(5000),
      })
      .catch(() => undefined)
  }
}

function skewDate(skew: number): void {
  if (skewed || skew === 0) return
  skewed = true
  const now = Date.now
  Date.now = () => now() + skew
}
