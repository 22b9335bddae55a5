import type { OutgoingHttpHeader, OutgoingHttpHeaders, ServerResponse } from 'node:http'
import type { Grant, Kept, Outcome } from '@mppkit/server'

type Inline = OutgoingHttpHeaders | OutgoingHttpHeader[] | [name: string, value: OutgoingHttpHeader][]
type Chunk = string | Uint8Array | null | undefined

/**
 * Applies a grant to the answer that somebody else is about to write: its headers once the status is known, `keep` before
 * the first byte of an answer in one piece, `finish` at the end. To be called before the handler runs.
 */
export function watch(res: ServerResponse, grant: Grant): void {
  const { writeHead, write, end, flushHeaders } = res
  const { socket } = res.req
  // HTTP/2 sends the head with writeHead(), so it cannot be held back.
  let phase: 'open' | 'streaming' | 'held' =
    grant.keeps > 0 && res.req.httpVersionMajor === 1 ? 'open' : 'streaming'
  let started = false
  let reported = false
  let sent: number | undefined

  res.once('finish', () => {
    if (isComplete(res, socket)) report('all')
  })
  res.once('close', () => report(started ? 'some' : 'nothing'))

  res.writeHead = ((status: number, reason?: string | Inline, headers?: Inline) => {
    if (res.headersSent) return Reflect.apply(writeHead, res, [status, reason, headers])
    // What was sent, whatever an error handler makes of `statusCode` afterwards.
    if (status >= 200 || status === 101) sent = status
    if (status < 200) return Reflect.apply(writeHead, res, [status, reason, headers])
    // Node lets inline headers win over those that were set, so they are set first.
    const inline = typeof reason === 'object' ? reason : headers
    if (inline) setAll(res, inline)
    const added = grant.headers(status)
    for (const [name, value] of added) res.setHeader(name, value)
    try {
      return Reflect.apply(writeHead, res, typeof reason === 'string' ? [status, reason] : [status])
    } catch (error) {
      // No such status: the error's own answer must not inherit these.
      for (const [name] of added) res.removeHeader(name)
      throw error
    }
  }) as typeof writeHead

  res.write = ((chunk: string | Uint8Array, ...rest: unknown[]) => {
    if (phase === 'held') return false
    phase = 'streaming'
    started ||= chunk.length > 0
    return Reflect.apply(write, res, [chunk, ...rest])
  }) as typeof write

  res.flushHeaders = () => {
    if (phase === 'held') return
    phase = 'streaming'
    flushHeaders.call(res)
  }

  res.end = ((...rest: unknown[]) => {
    if (phase === 'held') return res
    const chunk = (typeof rest[0] === 'function' ? null : rest[0]) as Chunk
    started ||= Boolean(chunk?.length)
    const body = phase === 'open' ? onePiece(chunk, rest[1]) : undefined
    if (body === undefined) return Reflect.apply(end, res, rest)
    phase = 'held'
    hold(body, () => Reflect.apply(end, res, rest))
    return res
  }) as typeof end

  /** What `end(chunk)` would send, if it is worth keeping. */
  function onePiece(chunk: Chunk, encoding: unknown): Kept['body'] | undefined {
    const body = typeof chunk === 'string' ? Buffer.from(chunk, encoding as BufferEncoding) : (chunk ?? null)
    // Anything else is an error that `end` itself reports.
    if (body !== null && !(body instanceof Uint8Array)) return undefined
    return (body?.length ?? 0) <= grant.keeps ? body : undefined
  }

  /** Writes the head, so that nobody can change the answer any more, and releases the bytes when it is kept. */
  function hold(body: Kept['body'], release: () => void): void {
    if (!res.headersSent) {
      if (!hasLength(res)) res.setHeader('content-length', body?.length ?? 0)
      res.writeHead(res.statusCode)
    }
    void grant
      .keep({ status: res.statusCode, headers: listHeaders(res), body })
      .then(release)
      .catch((error: unknown) => res.destroy(error as Error))
  }

  function report(reached: Outcome['reached']): void {
    if (reported) return
    reported = true
    // 499: closed without an answer.
    void grant.finish({ status: sent ?? (res.headersSent ? res.statusCode : 499), reached })
  }
}

/** 'finish' alone does not say so: Node 20 emits it also when the socket dies under an answer, and HTTP/2 at every end. */
function isComplete(res: ServerResponse, socket: { destroyed: boolean }): boolean {
  return res.writableFinished && (res.req.httpVersionMajor > 1 ? res.writableEnded : !socket.destroyed)
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
