import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

/** What becomes of a call: `lost`, the node gets it and its answer never arrives; `down`, the node does not get it either. */
export type Fate = 'pass' | 'lost' | 'down' | { result: unknown }

/** A chain's node seen through a bad line. */
export interface FlakyNode {
  url: string
  /** Decides about each call. */
  fate: (method: string) => Fate | Promise<Fate>
  close(): void
}

export async function flakyNode(target: string): Promise<FlakyNode> {
  const pass = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    const body = Buffer.concat(chunks).toString()
    const { id, method } = JSON.parse(body) as { id: number; method: string }
    const fate = await node.fate(method)
    if (fate === 'down') throw new Error('the node was not reached')
    const headers = { 'content-type': 'application/json' }
    if (typeof fate === 'object') {
      response.writeHead(200, headers).end(JSON.stringify({ jsonrpc: '2.0', id, ...fate }))
      return
    }
    const answer = await fetch(target, { method: 'POST', headers, body })
    if (fate === 'lost') throw new Error('the answer of the node is lost')
    response.writeHead(answer.status, headers).end(await answer.text())
  }
  const server = createServer((request, response) => {
    pass(request, response).catch(() => request.socket.destroy())
  })
  const node: FlakyNode = {
    url: '',
    fate: () => 'pass',
    close() {
      server.closeAllConnections()
      server.close()
    },
  }
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  node.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return node
}
