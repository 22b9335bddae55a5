import { once } from 'node:events'
import { createServer } from 'node:http'
import { createRequire } from 'node:module'
import { connect, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import type next from 'next'

const makeNext = createRequire(import.meta.url)('next') as typeof next.default

let running: Promise<number> | undefined

/** Asks a production server of Next, built by the tests, for a route that shows its request. */
export async function ask(target: string, ...lines: string[]): Promise<string> {
  const port = await (running ??= start())
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1').once('error', reject)
    let answer = ''
    socket.on('data', (piece) => void (answer += piece.toString())).once('close', () => resolve(answer))
    socket.write(
      [`GET ${target} HTTP/1.1`, 'Host: localhost', 'Connection: close', ...lines, '', ''].join('\r\n'),
    )
  })
}

/** Keeps no process alive. */
async function start(): Promise<number> {
  const app = makeNext({ dev: false, dir: join(import.meta.dirname, '../.next/suite') })
  await app.prepare()
  const handle = app.getRequestHandler()
  const server = createServer((req, res) => void handle(req, res)).listen(0, '127.0.0.1')
  await once(server, 'listening')
  server.unref()
  return (server.address() as AddressInfo).port
}
