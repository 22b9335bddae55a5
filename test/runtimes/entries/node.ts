import { runSuite } from '../lib/suite.ts'
import { serveOf, type AppModule } from './apps.ts'

/** The suite on Node, with the server that the adapter's own tests start. */
export async function main(adapter: string, module: AppModule): Promise<void> {
  await runSuite({
    adapter,
    serve: serveOf(module),
    port: Number(process.argv[2]),
    version: process.versions.node,
  })
  // Frameworks may keep timers.
  process.exit(0)
}
