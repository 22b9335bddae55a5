import { connect, createServer, type AddressInfo, type Socket } from 'node:net'

/** Speaks to clients as a pooler in transaction mode does. */
export interface Pooler {
  url: string
  /** How often a client went on with another backend than the one before. */
  changes(): number
  close(): Promise<void>
}

interface Backend {
  socket: Socket
  greeting: Buffer
  take(answer: (bytes: Buffer) => void, done: () => void): void
}

/**
 * Emulates pgbouncer's `pool_mode = transaction` with `max_prepared_statements = 0`: a client gets a backend for one
 * transaction (until the server says that it is idle), and the next one runs on another. Whatever a client had left in a
 * session (a prepared statement, a setting, a lock) is not there any more.
 */
export async function startPooler(port: number, backends = 3): Promise<Pooler> {
  const all = await Promise.all(Array.from({ length: backends }, () => openBackend(port)))
  const free = [...all]
  const waiting: (() => void)[] = []
  let changes = 0
  const clients = new Set<Socket>()

  const server = createServer((client) => {
    clients.add(client)
    client.once('close', () => clients.delete(client))
    client.on('error', () => client.destroy())
    let last: Backend | undefined
    let present: Backend | undefined
    let queued = Buffer.alloc(0)
    client.once('data', () => {
      client.write(all[0]!.greeting)
      client.on('data', (bytes: Buffer) => {
        // Terminate is for us: backends stay.
        if (bytes[0] === 'X'.charCodeAt(0)) return void client.end()
        if (present) return void present.socket.write(bytes)
        queued = Buffer.concat([queued, bytes])
        if (queued.length === bytes.length) assign()
      })
    })
    function assign(): void {
      // The one that has rested longest, but never the same twice running where there is another.
      const index = free.findIndex((one) => one !== last)
      if (index === -1) return void waiting.push(assign)
      const backend = free.splice(index, 1)[0]!
      if (last) changes += 1
      present = last = backend
      backend.take(
        (bytes) => client.write(bytes),
        () => {
          present = undefined
          free.push(backend)
          for (const next of waiting.splice(0)) next()
        },
      )
      backend.socket.write(queued)
      queued = Buffer.alloc(0)
    }
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port: own } = server.address() as AddressInfo
  return {
    url: `postgres://postgres@127.0.0.1:${own}/postgres`,
    changes: () => changes,
    async close() {
      for (const client of clients) client.destroy()
      for (const { socket } of all) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

/** Logs in, and tells when a transaction of the one who has taken it is over. */
async function openBackend(port: number): Promise<Backend> {
  const socket = connect(port, '127.0.0.1')
  const body = Buffer.from('\0\x03\0\0user\0postgres\0database\0postgres\0client_encoding\0UTF8\0\0')
  const length = Buffer.alloc(4)
  length.writeInt32BE(body.length + 4)
  socket.write(Buffer.concat([length, body]))

  let rest = Buffer.alloc(0)
  let answer: (bytes: Buffer) => void
  let done: () => void
  const greeting = await new Promise<Buffer>((resolve, reject) => {
    let heard = Buffer.alloc(0)
    answer = (bytes) => (heard = Buffer.concat([heard, bytes]))
    done = () => resolve(heard)
    socket.once('error', reject)
    socket.on('data', (bytes: Buffer) => {
      rest = Buffer.concat([rest, bytes])
      for (;;) {
        const size = rest.length < 5 ? Infinity : rest.readInt32BE(1) + 1
        if (rest.length < size) return
        const message = rest.subarray(0, size)
        rest = rest.subarray(size)
        answer(message)
        if (message[0] === 'Z'.charCodeAt(0) && message[5] === 'I'.charCodeAt(0)) done()
      }
    })
  })
  socket.on('error', () => {})
  return {
    socket,
    greeting,
    take(to, over) {
      answer = to
      done = over
    },
  }
}
