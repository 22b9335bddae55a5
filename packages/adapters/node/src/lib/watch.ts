import type { OutgoingHttpHeader, OutgoingHttpHeaders, ServerResponse } from 'node:http'
import { onceClosed, type Grant, type Kept, type Outcome } from '@mppkit/server'

type Socket = Pick<ServerResponse['req']['socket'], 'destroyed' | 'once'> | null
type Inline = OutgoingHttpHeaders | OutgoingHttpHeader[] | [name: string, value: OutgoingHttpHeader][]
type Chunk = string | Uint8Array | null | undefined

const WATCH: unique symbol = Symbol('mppkit.watch')

type Watched = ServerResponse & { [WATCH]: Watch }

/**
 * Applies a grant to the answer that somebody else is about to write: its headers once the status is known, `keep` before
 * the first byte of an answer in one piece, `finish` at the end. To be called before the handler runs.
 */
export function watch(res: ServerResponse, grant: Grant): void {
  const { writeHead, write, end, flushHeaders } = res
  const watched = new Watch(res, grant, { writeHead, write, end, flushHeaders })
  // Functions of the module, not closures: making four of them for each answer costs more than all that they do.
  Object.assign(res, { [WATCH]: watched, ...PATCHES })
  res.once('finish', finished).once('close', closed)
  if (res.req.httpVersionMajor === 1) watched.unheard = onceClosed(watched.socket, closed.bind(res))
}

const PATCHES = {
  writeHead(this: Watched, status: number, reason?: string | Inline, headers?: Inline): ServerResponse {
    return this[WATCH].writeHead(status, reason, headers)
  },
  write(this: Watched, ...rest: [string | Uint8Array, ...unknown[]]): boolean {
    return this[WATCH].write(rest)
  },
  end(this: Watched, ...rest: unknown[]): ServerResponse {
    return this[WATCH].end(rest)
  },
  flushHeaders(this: Watched): void {
    this[WATCH].flushHeaders()
  },
}

function finished(this: ServerResponse): void {
  const watched = (this as Watched)[WATCH]
  if (isComplete(this, watched.socket)) watched.report(watched.isCut() ? 'some' : 'all')
}

function closed(this: ServerResponse): void {
  ;(this as Watched)[WATCH].report('some')
}

type Native = Pick<ServerResponse, 'writeHead' | 'write' | 'end' | 'flushHeaders'>

class Watch {
  /** From the beginning: whoever leaves an upload half read takes it off the request. */
  readonly socket: Socket
  /** Ends listening to the connection. */
  unheard: (() => void) | undefined
  readonly #res: ServerResponse
  readonly #grant: Grant
  readonly #native: Native
  #phase: 'open' | 'streaming' | 'held'
  #reported = false
  #sent: number | undefined
  #head: Kept['headers'] = []
  /** Bytes that the handler has announced and not yet written; undefined before its first word. */
  #owed: number | undefined

  constructor(res: ServerResponse, grant: Grant, native: Native) {
    this.socket = (res.req.socket as Socket) ?? res.socket
    this.#res = res
    this.#grant = grant
    this.#native = native
    // HTTP/2 sends the head with writeHead(), so it cannot be held back.
    this.#phase = grant.keeps > 0 && res.req.httpVersionMajor === 1 ? 'open' : 'streaming'
  }

  writeHead(status: number, reason?: string | Inline, headers?: Inline): ServerResponse {
    const res = this.#res
    if (res.headersSent) return this.#writeHead([status, reason, headers])
    // What was sent, whatever an error handler makes of `statusCode` afterwards.
    if (status >= 200 || status === 101) this.#sent = status
    if (status < 200) return this.#writeHead([status, reason, headers])
    // Node lets inline headers win over those that were set, so they are set first.
    const inline = typeof reason === 'object' ? reason : headers
    if (inline) setAll(res, inline)
    const added = this.#grant.headers(status)
    for (const [name, value] of added) res.setHeader(name, value)
    // Before those who stand around the gate add theirs: a kept answer passes them again, and is not packed when it does.
    if (this.#phase !== 'streaming') this.#head = listHeaders(res)
    try {
      return this.#writeHead(typeof reason === 'string' ? [status, reason] : [status])
    } catch (error) {
      // No such status: the error's own answer must not inherit these.
      for (const [name] of added) res.removeHeader(name)
      throw error
    }
  }

  write(rest: [string | Uint8Array, ...unknown[]]): boolean {
    if (this.#phase === 'held') return false
    this.#phase = 'streaming'
    this.#count(rest[0], rest[1])
    return Reflect.apply(this.#native.write, this.#res, rest)
  }

  flushHeaders(): void {
    if (this.#phase === 'held') return
    this.#phase = 'streaming'
    this.#native.flushHeaders.call(this.#res)
  }

  end(rest: unknown[]): ServerResponse {
    const res = this.#res
    if (this.#phase === 'held') return res
    const chunk = (typeof rest[0] === 'function' ? null : rest[0]) as Chunk
    // HTTP/2 hands it on to write().
    this.#count(res.req.httpVersionMajor === 1 ? chunk : null, rest[1])
    const body = this.#phase === 'open' ? this.#onePiece(chunk, rest[1]) : undefined
    if (body === undefined) return Reflect.apply(this.#native.end, res, rest)
    this.#phase = 'held'
    // As after any end(): a framework that finds the answer open would take it for unsent.
    Object.defineProperty(res, 'writableEnded', { value: true, configurable: true })
    this.#hold(body, () => {
      Reflect.deleteProperty(res, 'writableEnded')
      Reflect.apply(this.#native.end, res, rest)
    })
    return res
  }

  report(reached: Outcome['reached']): void {
    if (this.#reported) return
    this.#reported = true
    this.unheard?.()
    const { headersSent, statusCode } = this.#res
    // 499: closed without an answer.
    void this.#grant.finish({ status: this.#sent ?? (headersSent ? statusCode : 499), reached })
  }

  /** An answer that is shorter than its Content-Length is ended all the same, and broken for whoever gets it. */
  isCut(): boolean {
    return this.#sent !== 204 && (this.#owed ?? 0) > 0
  }

  /** By what the handler announces: whoever stands around the gate may send something else, of another length. */
  #count(chunk: Chunk, encoding: unknown): void {
    this.#owed ??= Number(this.#res.getHeader('content-length') ?? 0)
    if (this.#owed > 0 && chunk) this.#owed -= Buffer.byteLength(chunk, encoding as BufferEncoding)
  }

  #writeHead(parameters: unknown[]): ServerResponse {
    return Reflect.apply(this.#native.writeHead, this.#res, parameters)
  }

  /** What `end(chunk)` would send, if it is worth keeping. */
  #onePiece(chunk: Chunk, encoding: unknown): Kept['body'] | undefined {
    const body = typeof chunk === 'string' ? Buffer.from(chunk, encoding as BufferEncoding) : (chunk ?? null)
    // Anything else is an error that `end` itself reports.
    if (body !== null && !(body instanceof Uint8Array)) return undefined
    return (body?.length ?? 0) <= this.#grant.keeps ? body : undefined
  }

  /** Writes the head, so that nobody can change the answer any more, and releases the bytes when it is kept. */
  #hold(body: Kept['body'], release: () => void): void {
    const res = this.#res
    if (!res.headersSent) {
      if (!hasLength(res)) res.setHeader('content-length', body?.length ?? 0)
      res.writeHead(res.statusCode)
    }
    void this.#grant
      .keep({ status: res.statusCode, headers: this.#head, body })
      .then(release)
      .catch((error: unknown) => res.destroy(error as Error))
  }
}

/** 'finish' alone does not say so: Node 20 emits it also when the socket dies under an answer, and HTTP/2 at every end. */
function isComplete(res: ServerResponse & { isLightMyRequest?: boolean }, socket: Socket): boolean {
  // Fastify's inject() has no socket to flush: its 'finish' is the end.
  if (res.isLightMyRequest) return res.writableEnded
  return res.writableFinished && (res.req.httpVersionMajor > 1 ? res.writableEnded : !socket?.destroyed)
}

/** Whether the length of the body is told in another way, or must not be told. */
function hasLength(res: ServerResponse): boolean {
  if (res.statusCode === 204 || res.statusCode === 304) return true
  return ['content-length', 'transfer-encoding', 'trailer'].some((name) => res.hasHeader(name))
}

function listHeaders(res: ServerResponse): Kept['headers'] {
  return Object.entries(res.getHeaders()).flatMap(([name, value]) =>
    [value ?? []].flat().map((line): [string, string] => [name, String(line)]),
  )
}

/** Sets inline headers as `writeHead` does: an object, a flat list or a list of pairs; a name may stand twice in a list. */
function setAll(res: ServerResponse, inline: Inline): void {
  if (!Array.isArray(inline)) {
    for (const [name, value] of Object.entries(inline)) res.setHeader(name, value as OutgoingHttpHeader)
    return
  }
  const pairs = pairsOf(inline)
  for (const [name] of pairs) res.removeHeader(name)
  for (const [name, value] of pairs) res.appendHeader(name, value as string)
}

function pairsOf(
  list: OutgoingHttpHeader[] | [string, OutgoingHttpHeader][],
): [string, OutgoingHttpHeader][] {
  if (Array.isArray(list[0])) return list as [string, OutgoingHttpHeader][]
  const pairs: [string, OutgoingHttpHeader][] = []
  for (let i = 0; i < list.length; i += 2) pairs.push([String(list[i]), list[i + 1] as OutgoingHttpHeader])
  return pairs
}
