import { connect, createServer, type AddressInfo, type Socket } from 'node:net'

/** Stands between a client and a server, and loses connections at a chosen moment. */
export interface Proxy {
  url: string
  /** From now on an answer that contains `text` is thrown away with its connection: what was asked is done, and nobody hears. */
  cutBefore(text: string): void
  /** How often that has happened. */
  cuts(): number
  close(): Promise<void>
}

export async function startProxy(port: number): Promise<Proxy> {
  let fatal: string | undefined
  let cuts = 0
  const sockets = new Set<Socket>()
  const server = createServer((client) => {
    const upstream = connect(port, '127.0.0.1')
    for (const [socket, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(socket)
      socket.on('error', () => other.destroy())
      socket.on('close', () => {
        sockets.delete(socket)
        other.destroy()
      })
    }
    client.on('data', (bytes) => upstream.write(bytes))
    upstream.on('data', (bytes: Buffer) => {
      if (fatal !== undefined && bytes.includes(fatal)) {
        fatal = undefined
        cuts += 1
        client.destroy()
        upstream.destroy()
        return
      }
      client.write(bytes)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `postgres://postgres@127.0.0.1:${(server.address() as AddressInfo).port}/postgres`,
    cutBefore: (text) => void (fatal = text),
    cuts: () => cuts,
    async close() {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
