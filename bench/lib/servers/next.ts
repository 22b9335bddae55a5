import { createServer } from 'node:http'
import { createRequire } from 'node:module'
import type { AddressInfo } from 'node:net'
import type next from 'next'
import { FOLDER } from './next/build.ts'
import { TARGET, type Peer, type Served } from './peer.ts'

// By `require`: its types describe another module than `import` gives.
const createApp = createRequire(import.meta.url)('next') as typeof next.default

/** Next, as built. */
export async function start(peer: Peer): Promise<Served> {
  const app = createApp({ dev: false, dir: FOLDER, quiet: true })
  const { log } = console
  // Next tells how long each of its steps takes.
  console.log = () => undefined
  await app.prepare()
  console.log = log
  const handle = app.getRequestHandler()
  const server = createServer((req, res) => void handle(req, res))
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () =>
      resolve({ port: (server.address() as AddressInfo).port, target: `/${peer}${TARGET}` }),
    )
  })
}
