import { runSuite } from '../lib/suite.ts'
import { handlerOf, type AppModule } from './apps.ts'

declare const Deno: {
  args: string[]
  version: { deno: string }
  exit(code: number): never
  serve(
    options: { port: number; hostname: string; onListen(): void; onError(): Response; signal: AbortSignal },
    handler: unknown,
  ): { addr: { port: number }; finished: Promise<void> }
}

/** The suite on Deno: `Deno.serve(handler)`. */
export async function main(adapter: string, module: AppModule): Promise<void> {
  await runSuite({
    adapter,
    serve: async (app) => {
      const stop = new AbortController()
      const server = Deno.serve(
        {
          port: 0,
          hostname: '127.0.0.1',
          signal: stop.signal,
          onListen() {},
          onError: () => new Response('not handled', { status: 500 }),
        },
        handlerOf(module, app),
      )
      return {
        url: `http://127.0.0.1:${String(server.addr.port)}`,
        async close() {
          stop.abort()
          await server.finished
        },
      }
    },
    port: Number(Deno.args[0]),
    version: Deno.version.deno,
  })
  Deno.exit(0)
}
