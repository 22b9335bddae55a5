import { Agent, createServer, request } from 'node:http'
import type { AddressInfo } from 'node:net'

/** Stands before a node and writes down who asked it for what. */
export interface RpcProxy {
  /** The node's address for one caller. */
  urlFor(caller: string): string
  /** The methods that a caller has used since the last look, in order. */
  take(caller: string): string[]
  close(): Promise<void>
}

/** Starts a proxy on a free port. A batch counts as the calls that it holds. */
export async function startRpcProxy(target: string): Promise<RpcProxy> {
  const agent = new Agent({ keepAlive: true })
  const calls = new Map<string, string[]>()
  const server = createServer((incoming, outgoing) => {
    const chunks: Buffer[] = []
    incoming.on('data', (chunk: Buffer) => chunks.push(chunk))
    incoming.on('end', () => {
      const body = Buffer.concat(chunks)
      const caller = incoming.url?.slice(1) ?? ''
      const list = calls.get(caller) ?? []
      calls.set(caller, list)
      const asked = JSON.parse(body.toString()) as { method: string } | { method: string }[]
      for (const { method } of [asked].flat()) list.push(method)
      const headers = { 'content-type': 'application/json', 'content-length': body.length }
      const forwarded = request(target, { method: 'POST', agent, headers }, (answer) => {
        outgoing.writeHead(answer.statusCode ?? 502, { 'content-type': 'application/json' })
        answer.pipe(outgoing)
      })
      forwarded.once('error', () => outgoing.destroy())
      forwarded.end(body)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    urlFor: (caller) => `http://127.0.0.1:${port}/${caller}`,
    take(caller) {
      const list = calls.get(caller) ?? []
      calls.delete(caller)
      return list
    },
    async close() {
      agent.destroy()
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
