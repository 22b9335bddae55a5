import type { Wire } from '../../../packages/testing/src/lib/buyer-wire.ts'
import {
  createBuyer,
  type Buyer,
  type Exchange,
  type Got,
  type Raw,
} from '../../../packages/testing/src/lib/buyer.ts'
import type { ToBuyer, SentGot, SentRaw, OfBuyer } from './messages.ts'

/** The buyer of a suite that runs in another process: does what it is told, and tells what came of it. */
export function buyerHost(say: (message: OfBuyer) => void): (message: ToBuyer) => void {
  const buyers = new Map<string, Buyer>()
  const exchanges = new Map<number, Exchange>()
  const wires = new Map<number, Wire>()
  const pulls = new Map<number, (chunk: string | Uint8Array | undefined) => void>()

  function buyerFor(url: string): Buyer {
    const known = buyers.get(url) ?? createBuyer(url)
    buyers.set(url, known)
    return known
  }

  function open(id: number, url: string, sent: SentRaw): void {
    // What it has seen is recorded where the questions are; here it would only be kept twice.
    const exchange = createBuyer(url).open(rawOf(id, sent))
    exchanges.set(id, exchange)
    exchange.status().then(
      (status) => say({ kind: 'status', id, status, sent: exchange.sent() }),
      () => {},
    )
    exchange.rest().then(
      (got) => say({ kind: 'end', id, got: sentGot(got), sent: exchange.sent() }),
      (error: unknown) => say({ kind: 'failed', id, error: String(error), sent: exchange.sent() }),
    )
  }

  function rawOf(id: number, { text, base64, chunked, ...rest }: SentRaw): Raw {
    if (chunked) return { ...rest, chunks: pieces(id) }
    return text === undefined && base64 === undefined ? rest : { ...rest, body: bytesOf({ text, base64 }) }
  }

  async function* pieces(id: number): AsyncGenerator<string | Uint8Array> {
    for (;;) {
      const chunk = await new Promise<string | Uint8Array | undefined>((resolve) => {
        pulls.set(id, resolve)
        say({ kind: 'pull', id, sent: exchanges.get(id)?.sent() ?? 0 })
      })
      if (chunk === undefined) return
      yield chunk
    }
  }

  async function call(message: Extract<ToBuyer, { kind: 'call' }>): Promise<Got | undefined> {
    const wire = wires.get(message.id)
    switch (message.op) {
      case 'read':
        await exchanges.get(message.id)?.read(message.bytes)
        return undefined
      case 'next':
        return wire?.next(message.method)
      case 'send':
        return wire?.send(rawOf(message.id, message.raw))
    }
  }

  return (message) => {
    switch (message.kind) {
      case 'open':
        return open(message.id, message.url, message.raw)
      case 'connect': {
        const { id } = message
        buyerFor(message.url)
          .connect()
          .then(
            (wire) => {
              wires.set(id, wire)
              say({ kind: 'connected', id })
            },
            (error: unknown) => say({ kind: 'failed', id, error: String(error), sent: 0 }),
          )
        return
      }
      case 'chunk': {
        const chunk =
          message.text === undefined && message.base64 === undefined ? undefined : bytesOf(message)
        return pulls.get(message.id)?.(chunk)
      }
      case 'call': {
        const { id, call: number } = message
        call(message).then(
          (got) => say({ kind: 'answer', id, call: number, got: got && sentGot(got) }),
          (error: unknown) => say({ kind: 'answer', id, call: number, error: String(error) }),
        )
        return
      }
      case 'write':
        return wires.get(message.id)?.write(bytesOf(message))
      case 'reset':
        exchanges.get(message.id)?.reset()
        return wires.get(message.id)?.reset()
      case 'close':
        return wires.get(message.id)?.close()
    }
  }
}

function bytesOf({
  text,
  base64,
}: {
  text?: string | undefined
  base64?: string | undefined
}): string | Uint8Array {
  return base64 === undefined ? (text ?? '') : Buffer.from(base64, 'base64')
}

function sentGot({ status, headers, bytes, pieces, complete }: Got): SentGot {
  return { status, headers, base64: Buffer.from(bytes).toString('base64'), pieces, complete }
}
