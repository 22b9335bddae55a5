import { connect } from 'node:net'
import type { Got, Raw } from './buyer.ts'

/** One connection, written and read byte by byte: for what an HTTP client would not send, or would not leave unread. */
export interface Wire {
  /** Writes bytes as they are; a text is Latin-1. */
  write(bytes: string | Uint8Array): void
  /**
   * Reads the next answer, interim ones (1xx) too; nothing is taken off the wire before. Rejects when the connection
   * ends first.
   *
   * @param method Of the request that is answered: an answer to HEAD has no content.
   */
  next(method?: string): Promise<Got>
  /** Writes a request that keeps the connection open, and reads its answer. */
  send(raw: Raw): Promise<Got>
  /** Breaks the connection with a TCP reset. */
  reset(): void
  /** Ends the connection. */
  close(): void
}

/** Opens a connection to the loopback. */
export async function openWire(
  host: string,
  port: number,
  record: (raw: Raw, got: Got) => void,
): Promise<Wire> {
  const socket = connect({ host, port, noDelay: true })
  await new Promise<void>((resolve, reject) => {
    socket.once('connect', resolve)
    socket.once('error', reject)
  })
  // Whoever breaks the connection must not crash the process.
  socket.on('error', () => {})
  const arriving = socket[Symbol.asyncIterator]() as AsyncIterator<Buffer>
  let held: Buffer = Buffer.alloc(0)

  async function more(): Promise<boolean> {
    const { done, value } = await arriving.next().catch(() => ({ done: true, value: undefined }))
    if (done || !value) return false
    held = Buffer.concat([held, value])
    return true
  }

  async function through(mark: string): Promise<string> {
    let at: number
    while ((at = held.indexOf(mark)) < 0) {
      if (!(await more())) throw new Error('the connection ended before the answer did')
    }
    const before = held.subarray(0, at).toString('latin1')
    held = held.subarray(at + mark.length)
    return before
  }

  /** So many bytes, or all that come until the end. */
  async function bytes(count: number): Promise<Buffer> {
    while (held.length < count && (await more()));
    const taken = held.subarray(0, count)
    held = held.subarray(taken.length)
    return taken
  }

  async function content(headers: Got['headers']): Promise<{ bytes: Uint8Array; complete: boolean }> {
    const valueOf = (name: string): string | undefined =>
      headers.find(([own]) => own.toLowerCase() === name)?.[1]
    if (valueOf('transfer-encoding') === undefined) {
      const length = Number(valueOf('content-length') ?? Infinity)
      const taken = await bytes(length)
      return { bytes: taken, complete: length === Infinity || taken.length === length }
    }
    const pieces: Buffer[] = []
    try {
      for (;;) {
        const size = Number.parseInt(await through('\r\n'), 16)
        if (!(size > 0)) break
        pieces.push(await bytes(size))
        await through('\r\n')
      }
      while ((await through('\r\n')) !== '');
      return { bytes: Buffer.concat(pieces), complete: true }
    } catch {
      return { bytes: Buffer.concat(pieces), complete: false }
    }
  }

  const wire: Wire = {
    write: (data) => void socket.write(typeof data === 'string' ? Buffer.from(data, 'latin1') : data),
    async next(method = 'GET') {
      const [first = '', ...lines] = (await through('\r\n\r\n')).split('\r\n')
      const status = Number(/^HTTP\/1\.[01] (\d{3})/.exec(first)?.[1])
      if (!status) throw new Error(`this is no answer: ${first.slice(0, 100)}`)
      const headers = lines.map((line): [string, string] => {
        const at = line.indexOf(':')
        return [line.slice(0, at), line.slice(at + 1).trim()]
      })
      const none = method === 'HEAD' || status < 200 || status === 204 || status === 304
      const { bytes: body, complete } = none
        ? { bytes: new Uint8Array(0), complete: true }
        : await content(headers)
      return toGot({ status, headers, bytes: body, complete })
    },
    async send(raw) {
      const { body = '' } = raw
      wire.write(headOf(raw, [['Content-Length', String(Buffer.byteLength(body))]]))
      if (body.length > 0) wire.write(typeof body === 'string' ? Buffer.from(body) : body)
      const got = await wire.next(raw.method)
      record(raw, got)
      return got
    },
    reset() {
      if ('resetAndDestroy' in socket) socket.resetAndDestroy()
      else (socket as { destroy(): void }).destroy()
    },
    close: () => void socket.destroy(),
  }
  return wire
}

/** The head of a request as text. */
export function headOf(
  { method = 'GET', target, headers = [] }: Raw,
  more: readonly (readonly [name: string, value: string])[] = [],
  version = '1.1',
): string {
  const lines = [['Host', 'localhost'] as const, ...headers, ...more].map(
    ([name, value]) => `${name}: ${value}\r\n`,
  )
  return `${method} ${target} HTTP/${version}\r\n${lines.join('')}\r\n`
}

/** An answer with what is worked out from its parts. */
export function toGot(parts: Pick<Got, 'status' | 'headers' | 'bytes' | 'complete'> & Partial<Got>): Got {
  const { headers, bytes } = parts
  const all = (name: string): string[] =>
    headers.filter(([own]) => own.toLowerCase() === name.toLowerCase()).map(([, value]) => value)
  const text = new TextDecoder().decode(bytes)
  return {
    pieces: [],
    ...parts,
    get: (name) => (all(name).length > 0 ? all(name).join(', ') : null),
    all,
    text,
    json: () => JSON.parse(text),
  }
}
