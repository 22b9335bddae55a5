import type { Serve } from '../../../packages/testing/src/lib/adapter-app.ts'
import { runSuite } from '../lib/suite.ts'
import { handlerOf, type AppModule, type Handler } from './apps.ts'

/** Workers cannot listen: the process that starts workerd opens these sockets, one for each app that a suite serves. */
const sockets: (Handler | undefined)[] = [undefined, undefined, undefined, undefined]

const entry = (at: number) => ({
  async fetch(request: Request, ...rest: never[]): Promise<Response> {
    // A request that waits for nothing but what another one does (the suite opens its barriers) is taken for hung, and ended.
    const beat = setInterval(() => {}, 20)
    try {
      return (await sockets[at]?.(request, ...rest)) ?? new Response('nobody listens', { status: 503 })
    } finally {
      clearInterval(beat)
    }
  },
})

export const app0 = entry(0)
export const app1 = entry(1)
export const app2 = entry(2)
export const app3 = entry(3)

/** The suite on workerd, inside the request that asks for it: `/?port=…&sockets=…,…`. */
export function main(adapter: string, module: AppModule): { fetch(request: Request): Promise<Response> } {
  return {
    async fetch(request) {
      const { searchParams } = new URL(request.url)
      const ports = (searchParams.get('sockets') ?? '').split(',')
      const serve: Serve = async (app) => {
        const at = sockets.findIndex((handler) => handler === undefined)
        if (at < 0) throw new Error('no socket is free')
        sockets[at] = handlerOf(module, app)
        return {
          url: `http://127.0.0.1:${String(ports[at])}`,
          close: async () => void (sockets[at] = undefined),
        }
      }
      await runSuite({
        adapter,
        serve,
        port: Number(searchParams.get('port')),
        version: searchParams.get('version') ?? '',
        // Workers show no socket.
        origin: 'http://localhost',
      })
      return new Response('done')
    },
  }
}
