import type { Serve } from '../../../packages/testing/src/lib/adapter-app.ts'
import { runSuite } from '../lib/suite.ts'
import { handlerOf, type AppModule } from './apps.ts'

interface BunServer {
  port: number
  stop(closeConnections: boolean): Promise<void>
}

declare const Bun: {
  version: string
  serve(options: { port: number; hostname: string; development: boolean; fetch: unknown }): BunServer
}

/** The suite on Bun: `Bun.serve({ fetch })`, or `listen()` of a framework that is made for Bun. */
export async function main(adapter: string, module: AppModule): Promise<void> {
  const serve: Serve = async (app) => {
    const options = { port: 0, hostname: '127.0.0.1' }
    const own = module.mount?.(app)
    const listening = own?.listen?.(options) as { server: BunServer } | undefined
    const server =
      listening?.server ?? Bun.serve({ ...options, development: false, fetch: handlerOf(module, app) })
    return { url: `http://127.0.0.1:${String(server.port)}`, close: () => server.stop(true) }
  }
  await runSuite({ adapter, serve, port: Number(process.argv[2]), version: Bun.version })
  process.exit(0)
}
