import { connect, createServer, type Server, type Socket } from 'node:net'
import type { AddressInfo } from 'node:net'

/** Where a connection may go. */
export type Route = (to: string, avoid?: number) => number | undefined

/**
 * The wire between buyers and sellers, plain TCP: it reads a request's head for what it shall do to it (`x-to`: where to;
 * `x-wire`: what goes wrong), and passes everything on as it is.
 */
export async function startProxy(route: Route): Promise<{ port: number; close(): void }> {
  const open = new Set<Socket>()
  const server = createServer((client) => {
    track(client)
    client.setNoDelay(true)
    let head = Buffer.alloc(0)
    const read = (chunk: Buffer): void => {
      head = Buffer.concat([head, chunk])
      if (!head.includes('\r\n\r\n')) return
      client.off('data', read)
      client.pause()
      const text = head.toString('latin1')
      pass(client, head, field(text, 'x-to'), field(text, 'x-wire'))
    }
    client.on('data', read)
  })
  return listen(server, () => {
    for (const socket of open) socket.destroy()
  })

  function track(socket: Socket): void {
    open.add(socket)
    socket.on('error', () => {})
    socket.once('close', () => open.delete(socket))
  }

  function pass(client: Socket, request: Buffer, to: string, wire: string): void {
    const [what = '', number = ''] = wire.split('=')
    if (what === 'delay') {
      setTimeout(() => pass(client, request, to, ''), Number(number))
      return
    }
    const port = route(to)
    if (port === undefined) return void client.resetAndDestroy()
    if (what === 'duplicate') send(route('any', port) ?? port, request).on('data', () => {})
    const seller = send(port, request)
    if (what === 'cut-request') {
      setTimeout(() => drop(client, seller), Number(number))
      return
    }
    let left = what === 'cut-answer' ? Number(number) : Infinity
    let inBody = left === Infinity
    let seen = Buffer.alloc(0)
    seller.on('data', (chunk: Buffer) => {
      let piece = chunk
      if (!inBody) {
        // The bound is one of the body; the head goes through.
        seen = Buffer.concat([seen, chunk])
        const end = seen.indexOf('\r\n\r\n')
        if (end < 0) return
        inBody = true
        client.write(seen.subarray(0, end + 4))
        piece = seen.subarray(end + 4)
      }
      client.write(piece.subarray(0, Math.max(left, 0)))
      left -= piece.length
      // What was passed on shall arrive before the end does.
      if (left <= 0) setTimeout(() => drop(client, seller), 5)
    })
    client.on('data', (chunk: Buffer) => seller.write(chunk))
    client.resume()
    seller.once('end', () => client.end())
    seller.once('error', () => client.resetAndDestroy())
    seller.once('close', () => client.destroySoon())
    client.once('close', () => seller.destroy())
  }

  function send(port: number, request: Buffer): Socket {
    const seller = connect(port, '127.0.0.1')
    track(seller)
    seller.setNoDelay(true)
    seller.write(request)
    return seller
  }
}

function drop(...sockets: Socket[]): void {
  for (const socket of sockets) socket.resetAndDestroy()
}

function field(head: string, name: string): string {
  return new RegExp(`^${name}: (.*)$`, 'im').exec(head)?.[1]?.trim() ?? ''
}

export interface RailProxy {
  port: number
  /** What is done to requests that move money, from now on. */
  faulty: boolean
  close(): void
}

/**
 * The wire between sellers and a rail. Of the requests that move money it lets some through and then resets the
 * connection, or holds the answer back for longer than anyone waits.
 */
export async function startRailProxy(
  port: number,
  random: () => number,
  onFault: (kind: string) => void,
): Promise<RailProxy> {
  const open = new Set<Socket>()
  const server = createServer((seller) => {
    const rail = connect(port, '127.0.0.1')
    let doom: 'reset' | 'stall' | undefined
    for (const socket of [seller, rail]) {
      open.add(socket)
      socket.setNoDelay(true)
      socket.on('error', () => {})
      socket.once('close', () => {
        open.delete(socket)
        seller.destroy()
        rail.destroy()
      })
    }
    seller.on('data', (chunk: Buffer) => {
      const moves = chunk.includes('POST /transfer') || chunk.includes('eth_sendRawTransaction')
      const dice = moves && proxy.faulty ? random() : 1
      if (dice < 0.03) doom = dice < 0.02 ? 'reset' : 'stall'
      rail.write(chunk)
    })
    rail.on('data', (chunk: Buffer) => {
      if (doom === undefined) return void seller.write(chunk)
      onFault(`rail-${doom}`)
      if (doom === 'reset') drop(seller, rail)
      else setTimeout(() => drop(seller, rail), 8000)
    })
  })
  const proxy: RailProxy = { port: 0, faulty: true, close: () => {} }
  const listening = await listen(server, () => {
    for (const socket of open) socket.destroy()
  })
  return Object.assign(proxy, listening)
}

async function listen(server: Server, clear: () => void): Promise<{ port: number; close(): void }> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    port: (server.address() as AddressInfo).port,
    close() {
      server.close()
      clear()
    },
  }
}
