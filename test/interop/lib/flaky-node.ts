import { once } from 'node:events'
import { createServer } from 'node:http'
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
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    const body = Buffer.concat(chunks).toString()
    const { id, method } = JSON.parse(body) as { id: number; method: string }
    const fate = await node.fate(method)
    if (fate === 'down') return void request.socket.destroy()
    if (typeof fate === 'object') return void response.end(JSON.stringify({ jsonrpc: '2.0', id, ...fate }))
    const headers = { 'content-type': 'application/json' }
    const answer = await fetch(target, { method: 'POST', headers, body }).catch(() => undefined)
    if (fate === 'lost' || !answer) return void request.socket.destroy()
    response.writeHead(answer.status, headers).end(await answer.text())
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
