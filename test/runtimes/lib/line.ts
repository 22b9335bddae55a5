import type { Socket } from 'node:net'

/** Messages between a runtime under test and the process that has started it: JSON, one to a line, over one socket. */
export interface Line<Out> {
  send(message: Out): void
  /** Resolves when the other side has ended it. */
  readonly ended: Promise<void>
  end(): void
}

/** Speaks over a socket of `node:net`, which every runtime has. */
export function speak<In, Out>(socket: Socket, hear: (message: In) => void): Line<Out> {
  let held: string[] = []
  const decoder = new TextDecoder()
  const ended = new Promise<void>((resolve) => {
    socket.on('close', () => resolve())
    socket.on('end', () => resolve())
    socket.on('error', () => resolve())
  })
  socket.on('data', (bytes: Uint8Array) => {
    // Pieces of a long line are looked at once each.
    const [first = '', ...rest] = decoder.decode(bytes, { stream: true }).split('\n')
    held.push(first)
    for (const piece of rest) {
      hear(JSON.parse(held.join('')) as In)
      held = [piece]
    }
  })
  return {
    send: (message) => void socket.write(`${JSON.stringify(message)}\n`),
    ended,
    end: () => void socket.end(),
  }
}
