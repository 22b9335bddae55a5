import { createServer, request as send, Server, type IncomingMessage, type RequestListener } from 'node:http'
import { duplexPair, Readable } from 'node:stream'
import { responseOf } from './response-of.ts'

/** Shows an Express app, or a server, as a fetch handler: real HTTP over streams in memory, in place of a socket. */
export function openNode(app: object): (request: Request) => Promise<Response> {
  const server = app instanceof Server ? app : createServer(app as RequestListener)
  return async (request) => {
    const { pathname, search, host } = new URL(request.url)
    const body = request.body ? new Uint8Array(await request.arrayBuffer()) : undefined
    const [client, socket] = duplexPair()
    // The gate judges a request by where it comes from.
    Object.assign(socket, { remoteAddress: '127.0.0.1' })
    server.emit('connection', socket)
    const incoming = await new Promise<IncomingMessage>((resolve, reject) => {
      const outgoing = send({
        createConnection: () => client,
        method: request.method,
        path: pathname + search,
        headers: { host, ...Object.fromEntries(request.headers) },
      })
      outgoing.once('response', resolve)
      outgoing.once('error', reject)
      outgoing.once('close', () => reject(new Error('the app closed the connection without an answer')))
      outgoing.end(body)
    })
    const lines: [string, string][] = []
    for (let at = 0; at < incoming.rawHeaders.length; at += 2)
      lines.push([incoming.rawHeaders[at] as string, incoming.rawHeaders[at + 1] as string])
    return responseOf(incoming.statusCode ?? 0, lines, Readable.toWeb(incoming) as ReadableStream)
  }
}
