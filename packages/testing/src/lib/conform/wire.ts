import { connect } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { toGot } from '../buyer-wire.ts'
import type { Got, Raw } from '../buyer.ts'

/** Bytes of an answer that are read. */
const MOST = 32 << 20

/** The server could not be reached, or gave no answer. */
export class NoAnswer extends Error {
  override readonly name = 'NoAnswer'
}

/** How to reach a server. */
export interface Place {
  host: string
  port: number
  tls: boolean
  /** What stands in `Host`. */
  authority: string
}

/** Where an `http` or `https` URL points to. Throws `TypeError` for any other. */
export function placeOf(url: URL): Place {
  if (url.protocol !== 'http:' && url.protocol !== 'https:')
    throw new TypeError(`${url.href} is neither http nor https`)
  const tls = url.protocol === 'https:'
  const host = url.hostname.replace(/^\[|\]$/g, '')
  return { host, port: Number(url.port || (tls ? 443 : 80)), tls, authority: url.host }
}

/** Whether the place is this machine. */
export function isLoopback({ host }: Place): boolean {
  return /^(127(\.\d+){3}|localhost|::1)$/.test(host) || host.endsWith('.localhost')
}

/** The bytes of a request that ends its connection; nothing is normalised, and nothing added but framing. */
export function bytesOf({ method = 'GET', target, headers = [], body }: Raw, authority: string): Uint8Array {
  const lines = [['Host', authority], ['Connection', 'close'], ...headers]
  if (body !== undefined) lines.push(['Content-Length', `${Buffer.byteLength(body)}`])
  const head = lines.map(([name, value]) => `${name}: ${value}\r\n`).join('')
  return Buffer.concat([
    Buffer.from(`${method} ${target} HTTP/1.1\r\n${head}\r\n`, 'latin1'),
    typeof body === 'string' ? Buffer.from(body) : (body ?? new Uint8Array(0)),
  ])
}

/**
 * Writes bytes on a connection of their own and reads answers: one, or `count` as long as the connection lasts.
 * Rejects with `NoAnswer` when not even one came within `timeout` milliseconds.
 */
export function exchange(
  place: Place,
  bytes: Uint8Array,
  { methods = ['GET'], timeout = 10_000 }: { methods?: readonly string[]; timeout?: number } = {},
): Promise<Got[]> {
  return new Promise((resolve, reject) => {
    const { host, port, tls } = place
    const socket = tls
      ? connectTls({
          host,
          port,
          servername: /^[\d.:]+$/.test(host) ? '' : host,
          ALPNProtocols: ['http/1.1'],
        })
      : connect({ host, port, noDelay: true })
    let held: Buffer = Buffer.alloc(0)
    let failure = 'the connection was closed without an answer'
    const answers: Got[] = []

    function take(ended: boolean): void {
      while (answers.length < methods.length) {
        const read = readAnswer(held, methods[answers.length]!, ended)
        if (!read) return
        held = held.subarray(read.length)
        if (read.got.status >= 200) answers.push(read.got)
      }
      socket.destroy()
    }

    const timer = setTimeout(() => {
      failure = `no answer within ${timeout / 1000} s`
      socket.destroy()
    }, timeout)
    socket.once(tls ? 'secureConnect' : 'connect', () => socket.write(bytes))
    socket.on('data', (piece) => {
      held = Buffer.concat([held, piece as Buffer])
      // A stream without an end is judged by its beginning.
      if (held.length > MOST) socket.destroy()
      else take(false)
    })
    socket.on('error', (error) => (failure = error.message || String((error as NodeJS.ErrnoException).code)))
    socket.once('close', () => {
      clearTimeout(timer)
      if (answers.length < methods.length) take(true)
      if (answers.length > 0) resolve(answers)
      else reject(new NoAnswer(`${place.authority}: ${failure}`))
    })
  })
}

/** The first answer in these bytes, and how many of them it takes; undefined while it is not there yet. */
function readAnswer(bytes: Buffer, method: string, ended: boolean): { got: Got; length: number } | undefined {
  const end = bytes.indexOf('\r\n\r\n')
  if (end < 0) return undefined
  const [first = '', ...lines] = bytes.subarray(0, end).toString('latin1').split('\r\n')
  const status = Number(/^HTTP\/1\.[01] (\d{3})/.exec(first)?.[1] ?? 0)
  const headers = lines.map((line): [string, string] => {
    const at = line.indexOf(':')
    return [line.slice(0, at), line.slice(at + 1).trim()]
  })
  const valueOf = (name: string): string | undefined =>
    headers.find(([own]) => own.toLowerCase() === name)?.[1]
  const start = end + 4
  const got = (body: Uint8Array, complete: boolean): Got => toGot({ status, headers, bytes: body, complete })
  if (method === 'HEAD' || status < 200 || status === 204 || status === 304)
    return { got: got(new Uint8Array(0), true), length: start }
  if (/chunked/i.test(valueOf('transfer-encoding') ?? '')) {
    const read = readChunks(bytes, start)
    if (!read.complete && !ended) return undefined
    return { got: got(read.body, read.complete), length: read.end }
  }
  const length = Number(valueOf('content-length') ?? NaN)
  const whole = start + (Number.isNaN(length) ? bytes.length - start : length)
  if (Number.isNaN(length) ? !ended : bytes.length < whole && !ended) return undefined
  const body = bytes.subarray(start, whole)
  return { got: got(body, Number.isNaN(length) || body.length === length), length: start + body.length }
}

function readChunks(bytes: Buffer, from: number): { body: Buffer; complete: boolean; end: number } {
  const pieces: Buffer[] = []
  let at = from
  for (;;) {
    const line = bytes.indexOf('\r\n', at)
    const size = line < 0 ? NaN : Number.parseInt(bytes.subarray(at, line).toString('latin1'), 16)
    if (Number.isNaN(size) || bytes.length < line + 2 + size + 2) {
      return { body: Buffer.concat(pieces), complete: false, end: bytes.length }
    }
    if (size === 0) {
      // Trailers are no part of the answer that anybody asks about.
      const end = bytes.indexOf('\r\n', line + 2)
      return { body: Buffer.concat(pieces), complete: true, end: end + 2 }
    }
    pieces.push(bytes.subarray(line + 2, line + 2 + size))
    at = line + 2 + size + 2
  }
}
