import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import * as server from '@mppkit/server'
import { createRequire } from 'node:module'
import type next from 'next'
import type { Serve } from '../../../testing/src/lib/adapter-app.ts'
import { build } from './build.ts'
import { register } from './suite/lib/registry.ts'

// The type of its default export is not what a Node module gets.
const makeNext = createRequire(import.meta.url)('next') as typeof next.default
const { apps } = register({ server, apps: new Map() })
let count = 0
let running: Promise<{ listener: RequestListener; close(): Promise<void> }> | undefined

/** A production server of Next in this process, so that what it has bundled can call the suite's functions. */
export const serve: Serve = async (app) => {
  const { listener, close } = await (running ??= start())
  const name = String((count += 1))
  apps.set(name, app)
  const socket = createServer((req, res) => {
    // One Next serves all apps; what a client says about its host is no help.
    req.headers['x-suite-app'] = name
    listener(req, res)
  }).listen(0, '127.0.0.1')
  await once(socket, 'listening')
  return {
    url: `http://127.0.0.1:${String((socket.address() as AddressInfo).port)}`,
    async close() {
      socket.close()
      socket.closeAllConnections()
      await once(socket, 'close')
      apps.delete(name)
      if (apps.size > 0) return
      running = undefined
      await close()
    },
  }
}

async function start(): Promise<{ listener: RequestListener; close(): Promise<void> }> {
  const { folder, ok, output } = await build('suite')
  if (!ok) throw new Error(output)
  const app = makeNext({ dev: false, dir: folder })
  await app.prepare()
  const handle = app.getRequestHandler()
  return { listener: (req, res) => void handle(req, res), close: () => app.close() }
}
