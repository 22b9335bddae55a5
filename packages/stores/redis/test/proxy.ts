import { connect, createServer, type AddressInfo, type Socket } from 'node:net'

/** A TCP proxy that can lose answers. */
export interface Proxy {
  url: string
  /** From now on, the first answer that holds `text` is lost, and its connection is cut; resolves when that has happened. */
  cutAnswer(text: string): Promise<void>
  /** How many connections there have been. */
  connections(): number
  stop(): Promise<void>
}

export async function startProxy(port: number): Promise<Proxy> {
  const sockets = new Set<Socket>()
  let [connections, cut]: [number, { text: string; done: () => void } | undefined] = [0, undefined]
  const server = createServer((near) => {
    connections += 1
    const far = connect(port, '127.0.0.1')
    for (const socket of [near, far]) {
      sockets.add(socket)
      socket.on('error', () => {})
      socket.on('close', () => {
        sockets.delete(socket)
        near.destroy()
        far.destroy()
      })
    }
    near.on('data', (data) => far.write(data))
    far.on('data', (data) => {
      if (cut === undefined || !data.includes(cut.text)) return void near.write(data)
      near.destroy()
      cut.done()
      cut = undefined
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `redis://127.0.0.1:${(server.address() as AddressInfo).port}`,
    cutAnswer: (text) => new Promise((resolve) => (cut = { text, done: resolve })),
    connections: () => connections,
    async stop() {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
