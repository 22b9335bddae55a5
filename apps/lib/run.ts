import type { AddressInfo } from 'node:net'
import { basename, dirname } from 'node:path'
import { parseArgs } from 'node:util'
import type { Store } from '@mppkit/core'
import type { Rail, RailName } from './rail.ts'

/** How an example is started. */
export interface AppOptions {
  /** Default: any that is free. */
  port?: number
  /** Default `toy`. */
  rail?: RailName
  /** The SQLite file that payments, and what was sold, are kept in. Default: memory. */
  db?: string
}

/** An example that runs. */
export interface App {
  url: string
  rail: Rail
  /** Takes no more payments, finishes what is paid, and ends. */
  close(): Promise<void>
}

/** An example behind a server of Node that listens. */
export function listening(
  server: {
    address(): string | AddressInfo | null
    close(): unknown
    closeAllConnections?(): void
  },
  { rail, mpp, store }: { rail: Rail; mpp: { drain(): Promise<number> }; store: Store },
): App {
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    rail,
    async close() {
      await mpp.drain()
      server.close()
      server.closeAllConnections?.()
      await rail.close()
      await store.close?.()
    },
  }
}

/** Starts an example from the command line, says how to buy from `path`, and ends it gracefully. */
export async function run(
  start: (options: AppOptions) => Promise<App>,
  path: string,
  body?: string,
): Promise<void> {
  const { values } = parseArgs({
    options: {
      port: { type: 'string', default: '3000' },
      rail: { type: 'string', default: 'toy' },
      db: { type: 'string' },
    },
  })
  const { port, rail, db } = values
  if (rail !== 'toy' && rail !== 'tempo') throw new TypeError('--rail is toy or tempo')
  const app = await start({ port: Number(port), rail, ...(db !== undefined && { db }) })
  const folder = `apps/${basename(dirname(process.argv[1] ?? ''))}`
  const { rpcUrl } = app.rail.shared
  const chain = rpcUrl === undefined ? '' : `--rpc ${rpcUrl} `
  const sent = body === undefined ? '' : ` '${body}'`
  console.log(`listening on ${app.url} (paid on the ${rail} rail)`)
  console.log(`npm run buy --prefix ${folder} -- ${chain}'${app.url}${path}'${sent}`)
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.once(signal, () => void app.close().then(() => process.exit(0)))
}
