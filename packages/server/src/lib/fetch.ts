import { adapter, ledger } from './adapter.ts'
import { toResponse } from './answer.ts'
import {
  BodyError,
  type Gate,
  type Grant,
  type Incoming,
  type Outcome,
  type Payment,
  type Transport,
} from './seam.ts'

const payments = ledger<Request>()

/**
 * The payment that let this request in.
 * @throws TypeError for a request that passed no gate
 */
export const payment = (request: Request): Payment => payments.get(request)

/** A fetch handler; what its runtime passes beside the request (`env`, `ctx`, `info`) is handed through. */
export type FetchHandler<Rest extends unknown[]> = (
  request: Request,
  ...rest: Rest
) => Response | Promise<Response>

/** Guards a fetch handler with a gate. */
export function paid(gate: Gate) {
  return <Rest extends unknown[]>(handler: FetchHandler<Rest>) =>
    async (request: Request, ...rest: Rest): Promise<Response> => {
      payments.check(request)
      const [env, context] = rest as Beside[]
      const incoming = new FetchIncoming(request, env, context)
      const opening = await gate(incoming)
      const decision = opening.kind === 'admit' ? await opening.admit() : opening
      if (decision.kind === 'respond') return toResponse(decision.answer)
      // What was read is gone from the request: the handler gets one that holds the same bytes.
      const body = request.bodyUsed ? await incoming.bytes : undefined
      const fresh = body ? new Request(request, { body: body as BodyInit }) : request
      if (decision.kind === 'pass') return handler(fresh, ...rest)
      payments.set(request, decision.grant.payment)
      payments.set(fresh, decision.grant.payment)
      return deliver(decision.grant, incoming, env, () => handler(fresh, ...rest))
    }
}

/** Makes gates for fetch handlers: `export default { fetch: mpp.charge({ amount: '0.01' })(handler) }`. */
export const createMpp = adapter(paid)

/** What a runtime passes to a fetch handler beside the request. Everything may be missing. */
export interface Beside {
  /** Node, through `@hono/node-server`. */
  incoming?: { httpVersionMajor: number; socket?: Socket }
  outgoing?: Outgoing
  /** Deno: settles when the answer has been sent, or cannot be. */
  completed?: PromiseLike<void>
  /** Workers, and those who followed them. */
  waitUntil?: (work: Promise<unknown>) => void
}

interface Socket {
  encrypted?: boolean
  remoteAddress?: string | undefined
  destroyed?: boolean
}

interface Outgoing {
  destroyed?: boolean
  headersSent: boolean
  statusCode: number
  writableEnded: boolean
  writableFinished: boolean
  once(event: string, listener: () => void): unknown
}

/** Judges a connection by its socket. */
export function transportOf({ encrypted, remoteAddress = '' }: Socket): Transport {
  if (encrypted) return 'tls'
  return remoteAddress === '::1' || /^(::ffff:)?127\./.test(remoteAddress) ? 'loopback' : 'plain'
}

/** Transport and address of the peer, where the runtime shows its socket. */
export function peerOf(env: Beside | undefined): { transport: Transport; remote: string | undefined } {
  const socket = env?.incoming?.socket
  return { transport: socket ? transportOf(socket) : 'unknown', remote: socket?.remoteAddress }
}

/** Path and query of a request's URL, untouched. */
export function targetOf(url: string): string {
  return url.slice(url.indexOf('/', url.indexOf(':') + 3))
}

/** The runtime's `waitUntil`, if it has one. */
export function waitUntilOf(beside: Beside | undefined): Incoming['waitUntil'] {
  return typeof beside?.waitUntil === 'function' ? (work) => beside.waitUntil?.(work) : undefined
}

// A class, because an object with getters costs more than the rest of an unpaid request together.
class FetchIncoming implements Incoming {
  readonly method: string
  readonly target: string
  readonly headers: Headers
  readonly transport: Transport
  readonly remote: string | undefined
  /** The body, once a gate has asked for it. */
  bytes: Promise<Uint8Array> | undefined
  readonly #request: Request
  readonly #env: Beside | undefined
  readonly #context: Beside | undefined

  constructor(request: Request, env: Beside | undefined, context: Beside | undefined) {
    const { transport, remote } = peerOf(env)
    this.method = request.method
    this.target = targetOf(request.url)
    this.headers = request.headers
    this.transport = transport
    this.remote = remote
    this.#request = request
    this.#env = env
    this.#context = context
  }

  get signal(): AbortSignal {
    return this.#request.signal
  }

  get waitUntil(): Incoming['waitUntil'] {
    return waitUntilOf(this.#context) ?? waitUntilOf(this.#env)
  }

  body(limit: number): Promise<Uint8Array> {
    return (this.bytes ??= readBody(this.#request, limit))
  }
}

const CONSUMED =
  'mppkit: the body of this request was read before the gate saw it, so a payment cannot be bound to it. Mount the gate ' +
  'before whatever reads the body; it leaves the body readable'

/**
 * Reads the body of a web `Request`, which is then used up.
 * @param limit bytes; a Content-Length above it is refused unread, a body without one where it is passed
 * @param patience milliseconds for the whole body
 * @throws BodyError
 */
export async function readBody(request: Request, limit: number, patience = 10_000): Promise<Uint8Array> {
  if (request.method === 'GET' || request.method === 'HEAD') return new Uint8Array(0)
  if (request.bodyUsed) throw new BodyError('consumed', CONSUMED)
  const { headers } = request
  const length = headers.has('transfer-encoding') ? null : headers.get('content-length')
  if (Number(length) > limit) throw tooLarge(limit)
  let timer: ReturnType<typeof setTimeout> | undefined
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => {
      reject(new BodyError('too-slow', `The body did not arrive within ${String(patience / 1000)} seconds.`))
    }, patience)
  })
  try {
    // A runtime holds a body to its Content-Length, and reads it faster in one piece.
    const sized = length !== null && /^\d+$/.test(length)
    const bytes = await Promise.race([late, sized ? request.arrayBuffer() : collect(request.body, limit)])
    if (bytes.byteLength > limit) throw tooLarge(limit)
    return bytes instanceof Uint8Array ? bytes : new Uint8Array(bytes)
  } catch (error) {
    throw error instanceof BodyError
      ? error
      : new BodyError('broken', 'The connection broke before the body was complete.')
  } finally {
    clearTimeout(timer)
  }
}

async function collect(body: ReadableStream<Uint8Array> | null, limit: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = []
  let size = 0
  const reader = body?.getReader()
  while (reader) {
    const { done, value } = await reader.read()
    if (done) break
    size += value.length
    // Not cancelled: some runtimes would drop the connection, and with it the answer.
    if (size > limit) throw tooLarge(limit)
    chunks.push(value)
  }
  return concat(chunks)
}

function tooLarge(limit: number): BodyError {
  return new BodyError('too-large', `The body is larger than ${String(limit)} bytes.`)
}

function concat(chunks: readonly Uint8Array[]): Uint8Array {
  if (chunks.length === 1) return chunks[0] as Uint8Array
  const all = new Uint8Array(chunks.reduce((size, chunk) => size + chunk.length, 0))
  let at = 0
  for (const chunk of chunks) {
    all.set(chunk, at)
    at += chunk.length
  }
  return all
}

/**
 * Runs a handler that answers with a `Response`, and applies a grant to its answer: headers in place, `keep` before the
 * first byte of a short one, `finish` when the runtime has sent it, or as near to that as the runtime lets us see.
 */
export async function deliver(
  grant: Grant,
  { waitUntil }: Pick<Incoming, 'waitUntil'>,
  env: Beside | undefined,
  run: () => Response | Promise<Response>,
): Promise<Response> {
  const report = reporter(grant, waitUntil)
  if (env?.outgoing?.destroyed) {
    report(GONE, 'nothing')
    return new Response(null, { status: GONE })
  }
  let status = 500
  const told = follow(env, report, () => status)
  try {
    const response = dress(await run(), grant)
    status = response.status
    // An upgrade is not ours to touch. A body is looked at only where it must be: that costs more than all the rest.
    if (status >= 200 && (grant.keeps > 0 || !told))
      return await inspect(response, grant, told ? undefined : report)
    if (!told) report(status, 'all')
    return response
  } catch (error) {
    if (!told) report(500, 'nothing')
    throw error
  }
}

/** The client went before there was an answer. */
const GONE = 499

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

/** Lets the runtime report the end of an answer. False: it does not tell. */
function follow(env: Beside | undefined, report: Report, status: () => number): boolean {
  const { outgoing, incoming, completed } = env ?? {}
  if (outgoing) {
    // 'finish' alone does not say so: Node 20 emits it also when the socket dies under an answer, and HTTP/2 at every end.
    const http2 = (incoming?.httpVersionMajor ?? 1) > 1
    outgoing.once('finish', () => {
      const complete =
        outgoing.writableFinished && (http2 ? outgoing.writableEnded : !incoming?.socket?.destroyed)
      if (complete) report(outgoing.statusCode, 'all')
    })
    // Whether any of the body followed the head is not shown here; it counts as if.
    outgoing.once('close', () =>
      outgoing.headersSent ? report(outgoing.statusCode, 'some') : report(GONE, 'nothing'),
    )
    return true
  }
  completed?.then(
    () => report(status(), 'all'),
    () => report(status(), 'some'),
  )
  return completed !== undefined
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

/** Keeps an answer that is there already; follows one that is not to its end, if somebody wants to know. */
async function inspect(response: Response, grant: Grant, report: Report | undefined): Promise<Response> {
  const { status, statusText, headers, body } = response
  const reader = body?.getReader()
  const { reads, bytes = null } = reader ? await peek(reader, grant.keeps) : {}
  if (reader && reads) {
    const stream = replay(reader, reads, (reached) => report?.(status, reached))
    return new Response(stream, { status, statusText, headers })
  }
  if (grant.keeps > 0 && (bytes?.length ?? 0) <= grant.keeps)
    await grant.keep({ status, headers: [...headers], body: bytes })
  report?.(status, 'all')
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
function replay(
  reader: Reader,
  reads: ReturnType<Reader['read']>[],
  end: (reached: Outcome['reached']) => void,
): ReadableStream {
  let begun = false
  const cut = (): void => end(begun ? 'some' : 'nothing')
  return new ReadableStream(
    {
      async pull(controller) {
        try {
          const { done, value } = await (reads.shift() ?? reader.read())
          if (done) {
            end('all')
            controller.close()
          } else {
            begun = true
            controller.enqueue(value)
          }
        } catch (error) {
          cut()
          controller.error(error)
        }
      },
      cancel(reason) {
        cut()
        return reader.cancel(reason)
      },
    },
    { highWaterMark: 0 },
  )
}
