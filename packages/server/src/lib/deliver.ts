import { onceClosed } from './closed.ts'
import type { Grant, Incoming, Outcome } from './seam.ts'
import { concat, type Beside } from './web.ts'

/**
 * Runs a handler that answers with a `Response`, and applies a grant to its answer: headers in place, `keep` before the
 * first byte of a short one, `finish` when the runtime has sent it, or as near to that as the runtime lets us see.
 */
export async function deliver(
  grant: Grant,
  incoming: Pick<Incoming, 'waitUntil' | 'signal'>,
  env: Beside | undefined,
  run: () => Response | Promise<Response>,
): Promise<Response> {
  const { gone, told, report, send } = delivery(grant, incoming, env)
  if (gone) return new Response(null, { status: GONE })
  try {
    return await send(await run())
  } catch (error) {
    if (!told) report(500, 'nothing')
    throw error
  }
}

/** The parts of `deliver`, for a framework whose handlers cannot be run from here. */
export interface Delivery {
  /** The client went before there was an answer: that is reported, and nobody need work for it. */
  readonly gone: boolean
  /** The runtime tells when the answer has ended, so nobody else need `report` it. */
  readonly told: boolean
  /** Ends the grant; only the first report counts. */
  report(status: number, reached: Outcome['reached']): void
  /** What to send instead: with the grant's headers, kept if it is short, followed to its end where nobody tells it. */
  send(response: Response): Promise<Response>
}

export function delivery(
  grant: Grant,
  incoming: Pick<Incoming, 'waitUntil' | 'signal'>,
  env: Beside | undefined,
): Delivery {
  const report = reporter(grant, incoming.waitUntil)
  const told = follow(env, report)
  // Asked for before the handler runs, or Deno does not tell; dear on Node, which tells otherwise.
  const signal = told ? undefined : incoming.signal
  const gone = hasClosed(env) || signal?.aborted === true
  if (gone) report(GONE, 'nothing')
  return {
    gone,
    told,
    report,
    async send(answer) {
      // Whoever has left by now gets nothing, and only of a stream would the runtime say so.
      if (signal?.aborted) {
        report(GONE, 'some')
        answer.body?.cancel().catch(() => undefined)
        return new Response(null, { status: GONE })
      }
      // The handler answers by itself, perhaps later; what it returns only says so, and may be the same object for all requests.
      if (env?.outgoing && (env.outgoing.headersSent || answer.headers.has(ALREADY_SENT))) return answer
      const response = dress(answer, grant)
      const { status } = response
      // An upgrade is not ours to touch. A body is looked at only where it must be: that costs more than all the rest.
      const announced = announcedBy(response)
      if (status >= 200 && (grant.keeps > 0 || !told || announced > 0))
        return inspect(response, announced, grant, (reached, size) => {
          // The runtime ends an answer that is shorter than it says all the same, and it is broken for whoever gets it.
          if (size < announced) report(status, 'some')
          else if (!told) sentBy(env, report)(status, reached)
        })
      if (!told) report(status, 'all')
      return response
    },
  }
}

/** The client went before there was an answer. */
const GONE = 499

/** By which `@hono/node-server` knows that there is nothing for it to send. */
const ALREADY_SENT = 'x-hono-already-sent'

type Report = (status: number, reached: Outcome['reached']) => void

function reporter(grant: Grant, waitUntil: Incoming['waitUntil']): Report {
  let reported = false
  let settle: (() => void) | undefined
  waitUntil?.(
    new Promise<void>((resolve) => {
      settle = resolve
    }),
  )
  return (status, reached) => {
    if (reported) return
    reported = true
    void grant.finish({ status, reached }).then(settle)
  }
}

function hasClosed({ incoming, outgoing }: Beside = {}): boolean {
  if (outgoing?.destroyed) return true
  return incoming?.httpVersionMajor === 1 && incoming.socket?.destroyed === true
}

/** Lets the runtime report the end of an answer. False: it does not tell. */
function follow(env: Beside | undefined, report: Report): boolean {
  const { outgoing, incoming } = env ?? {}
  // Elsewhere a seller may have called something else so.
  if (typeof outgoing?.once !== 'function') return false
  // 'finish' alone does not say so: Node 20 emits it also when the socket dies under an answer, and HTTP/2 at every end.
  const http2 = (incoming?.httpVersionMajor ?? 1) > 1
  // Taken now: a request whose upload was half read has none any more when its answer ends.
  const socket = incoming?.socket
  outgoing.once('finish', () => {
    const complete = outgoing.writableFinished && (http2 ? outgoing.writableEnded : !socket?.destroyed)
    if (complete) report(outgoing.statusCode, 'all')
  })
  // Whether any of the body followed the head is not shown here; it counts as if.
  const closed = (): void => {
    unheard()
    report(outgoing.headersSent ? outgoing.statusCode : GONE, 'some')
  }
  const unheard = onceClosed(http2 ? undefined : socket, closed)
  outgoing.once('close', closed)
  return true
}

/** What was handed over whole is sent when Deno is done with it; that the client left before is not told then. */
function sentBy(env: Beside | undefined, report: Report): Report {
  const completed = env?.completed
  if (!completed) return report
  return (status, reached) => {
    if (reached !== 'all') return report(status, reached)
    completed.then(
      () => report(status, 'all'),
      () => report(status, 'some'),
    )
  }
}

/** Sets the grant's headers in place, or on a copy where they are immutable: `Response.redirect()`, an answer of `fetch()`. */
function dress(response: Response, grant: Grant): Response {
  if (response.status < 200) return response
  const added = grant.headers(response.status)
  let dressed = response
  try {
    for (const [name, value] of added) dressed.headers.set(name, value)
  } catch {
    dressed = new Response(response.body, response)
    for (const [name, value] of added) dressed.headers.set(name, value)
  }
  return dressed
}

/** How many bytes a handler promises; 0 where that cannot be held against them: packed, `fetch()` unpacks them. */
function announcedBy({ headers }: Response): number {
  const length = headers.get('content-length')
  return length === null || headers.has('content-encoding') ? 0 : Number(length)
}

/** How much of an answer has gone, and of how many bytes. */
type End = (reached: Outcome['reached'], size: number) => void

/** Keeps an answer that is there already; follows one that is not to its end. */
async function inspect(response: Response, announced: number, grant: Grant, end: End): Promise<Response> {
  const { status, statusText, headers, body } = response
  const reader = body?.getReader()
  const { reads, bytes = null } = reader ? await peek(reader, grant.keeps) : {}
  if (reader && reads) return new Response(replay(reader, reads, end), { status, statusText, headers })
  const size = bytes?.length ?? (reader ? 0 : announced)
  if (grant.keeps > 0 && size >= announced && size <= grant.keeps)
    await grant.keep({ status, headers: [...headers], body: bytes })
  end('all', size)
  return bytes ? new Response(bytes as BodyInit, { status, statusText, headers }) : response
}

type Reader = ReadableStreamDefaultReader<Uint8Array>
type Peeked =
  | { bytes: Uint8Array; reads?: undefined }
  | { bytes?: undefined; reads: ReturnType<Reader['read']>[] }

/** Reads what is there without waiting, up to `limit` bytes and always far enough to see a single piece end: all of it, or the reads so far. */
async function peek(reader: Reader, limit: number): Promise<Peeked> {
  const chunks: Uint8Array[] = []
  const reads: ReturnType<Reader['read']>[] = []
  let size = 0
  const late = new Promise<undefined>((resolve) => void setTimeout(resolve, 0))
  while (size <= limit || chunks.length < 2) {
    const read = reader.read()
    reads.push(read)
    const result = await Promise.race([read, late]).catch(() => undefined)
    if (!result) break
    if (result.done) return { bytes: concat(chunks) }
    chunks.push(result.value)
    size += result.value.length
  }
  return { reads }
}

/** The body once more, as the runtime asks for it: the reads so far, then the rest. */
function replay(reader: Reader, reads: ReturnType<Reader['read']>[], end: End): ReadableStream {
  let size = 0
  return new ReadableStream(
    {
      async pull(controller) {
        try {
          const { done, value } = await (reads.shift() ?? reader.read())
          if (done) {
            end('all', size)
            controller.close()
          } else {
            size += value.length
            controller.enqueue(value)
          }
        } catch (error) {
          end('some', size)
          controller.error(error)
        }
      },
      cancel(reason) {
        end('some', size)
        return reader.cancel(reason)
      },
    },
    { highWaterMark: 0 },
  )
}
