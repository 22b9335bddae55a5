import { request, type ClientRequest, type IncomingMessage } from 'node:http'
import { openWire, toGot, type Wire } from './buyer-wire.ts'

/** A request as it goes onto the socket: nothing is normalised, merged or added but `Host` and the framing of the body. */
export interface Raw {
  method?: string
  /** The request target, as it is. */
  target: string
  /** Field lines in order; a name may come several times. */
  headers?: readonly (readonly [name: string, value: string])[]
  body?: string | Uint8Array
  /** Sends the body in these pieces, with chunked transfer coding. May be endless: sending stops when the answer comes. */
  chunks?: Iterable<string | Uint8Array> | AsyncIterable<string | Uint8Array>
}

/** An answer as it came over the socket. */
export interface Got {
  status: number
  /** Field lines in order. */
  headers: [name: string, value: string][]
  /** All lines of a field joined by ", ", or null. */
  get(name: string): string | null
  /** The lines of a field. */
  all(name: string): string[]
  bytes: Uint8Array
  text: string
  json(): any
  /** When each piece of the body came, in milliseconds after the head, and how many bytes it had. */
  pieces: { after: number; size: number }[]
  /** Whether the answer came to its end. */
  complete: boolean
}

/** An exchange that is still going on. */
export interface Exchange {
  /** The status, once the head has come; rejects when the connection ends before. */
  status(): Promise<number>
  /** Resolves when at least so many bytes of the body have come. Rejects when it ends before. */
  read(bytes: number): Promise<void>
  /** Bytes of the request's body that have gone out. */
  sent(): number
  /** Reads to the end. */
  rest(): Promise<Got>
  /** Breaks the connection with a TCP reset. */
  reset(): void
}

/** A raw HTTP client. */
export interface Buyer {
  send(raw: Raw): Promise<Got>
  open(raw: Raw): Exchange
  /** Opens a connection to write and read on by hand. */
  connect(): Promise<Wire>
  /** Everything that was answered so far. */
  readonly seen: readonly { raw: Raw; got: Got }[]
}

/**
 * A raw HTTP/1.1 client for tests, one connection per request.
 *
 * @param url `http://host:port` on the loopback; throws `TypeError` for any other.
 */
export function createBuyer(url: string): Buyer {
  const { protocol, hostname, port } = new URL(url)
  if (protocol !== 'http:' || !/^(127\.\d+\.\d+\.\d+|localhost|\[::1\])$/.test(hostname)) {
    throw new TypeError(`the test buyer speaks plain http with the loopback only, not with ${url}`)
  }
  const seen: { raw: Raw; got: Got }[] = []

  function open(raw: Raw): Exchange {
    const headers: string[] = ['Host', port ? `${hostname}:${port}` : hostname, 'Connection', 'close']
    for (const [name, value] of raw.headers ?? []) headers.push(name, value)
    if (raw.chunks) headers.push('Transfer-Encoding', 'chunked')
    else if (raw.body !== undefined) headers.push('Content-Length', `${Buffer.byteLength(raw.body)}`)
    const outgoing = request({
      host: hostname.replace(/^\[|\]$/g, ''),
      port,
      method: raw.method ?? 'GET',
      // An empty path would be made "/".
      path: raw.target,
      headers,
      agent: false,
      setHost: false,
      maxHeaderSize: 1 << 20,
    })
    return exchange(outgoing, raw, (got) => seen.push({ raw, got }))
  }

  const connect = (): Promise<Wire> =>
    openWire(hostname.replace(/^\[|\]$/g, ''), Number(port || 80), (raw, got) => seen.push({ raw, got }))

  return { seen, open, connect, send: (raw) => open(raw).rest() }
}

function exchange(outgoing: ClientRequest, raw: Raw, record: (got: Got) => void): Exchange {
  const pieces: { after: number; size: number }[] = []
  const collected: Uint8Array[] = []
  let size = 0
  let sent = 0
  const waiting = new Set<{ bytes: number; come: () => void }>()

  const head = new Promise<IncomingMessage>((resolve, reject) => {
    outgoing.once('response', resolve)
    outgoing.once('error', reject)
    outgoing.once('close', () => reject(new Error('the connection ended before an answer came')))
  })
  const end = head.then(
    (incoming) =>
      new Promise<Got>((resolve) => {
        const began = performance.now()
        incoming.on('data', (piece: Uint8Array) => {
          collected.push(piece)
          size += piece.length
          pieces.push({ after: performance.now() - began, size: piece.length })
          for (const { bytes, come } of waiting) if (size >= bytes) come()
        })
        incoming.on('error', () => {})
        incoming.once('close', () => {
          const got = gotOf(incoming, Buffer.concat(collected), pieces)
          record(got)
          resolve(got)
        })
      }),
  )
  // Whoever only asks for `status` or `read`, or resets, must not crash the process.
  head.catch(() => {})
  end.catch(() => {})
  outgoing.on('error', () => {})

  if (raw.chunks) void feed(outgoing, raw.chunks, (bytes) => (sent += bytes), head)
  else outgoing.end(raw.body)

  return {
    status: async () => (await head).statusCode ?? 0,
    async read(bytes) {
      await head
      if (size >= bytes) return
      await new Promise<void>((resolve, reject) => {
        waiting.add({ bytes, come: resolve })
        void end.then(() => reject(new Error(`the answer ended after ${size} bytes`)))
      })
    },
    sent: () => sent,
    rest: () => end,
    reset() {
      const { socket } = outgoing
      if (socket && 'resetAndDestroy' in socket) (socket as { resetAndDestroy(): void }).resetAndDestroy()
      else outgoing.destroy()
    },
  }
}

/** Writes piece by piece, at the pace of the socket, until the answer has come. */
async function feed(
  outgoing: ClientRequest,
  chunks: NonNullable<Raw['chunks']>,
  count: (bytes: number) => void,
  head: Promise<unknown>,
): Promise<void> {
  let answered = false
  const stop = (): void => void (answered = true)
  const answer = head.then(stop, stop)
  for await (const chunk of chunks) {
    if (answered || outgoing.destroyed) break
    count(chunk.length)
    if (outgoing.write(chunk)) await new Promise((resolve) => setImmediate(resolve))
    else await Promise.race([new Promise((resolve) => outgoing.once('drain', resolve)), answer])
  }
  if (!outgoing.destroyed) outgoing.end()
}

function gotOf(incoming: IncomingMessage, bytes: Uint8Array, pieces: Got['pieces']): Got {
  const headers: [string, string][] = []
  for (let at = 0; at < incoming.rawHeaders.length; at += 2) {
    headers.push([incoming.rawHeaders[at]!, incoming.rawHeaders[at + 1]!])
  }
  return toGot({ status: incoming.statusCode ?? 0, headers, bytes, pieces, complete: incoming.complete })
}
