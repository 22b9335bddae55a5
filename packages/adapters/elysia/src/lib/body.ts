import { BodyError, readBody } from '@mppkit/server'

const CONSUMED =
  'mppkit: the body of this request was read before the gate saw it, so a payment cannot be bound to it. Let the gate ' +
  'come first: app.guard(mpp.charge(…), (app) => app.post(…)), without a `parse` hook around it that reads the body'

const FOREIGN =
  'mppkit: the body of this request cannot be read without taking it from the handler: somebody had put a Request of his own ' +
  'in the place of the global one before @elysiajs/node was loaded. With @hono/node-server in the same process, give it ' +
  'overrideGlobalObjects: false'

/**
 * Reads a body from a copy: the original stays whole for handlers that pass it on, and what Elysia's parsers read of it
 * are these bytes.
 * @param node Node's own request, which knows whether somebody has read it already
 * @throws BodyError
 */
export async function readCopy(
  request: Request,
  limit: number,
  node: { readableDidRead?: boolean } | undefined,
): Promise<Uint8Array> {
  if (isUsed(request, node)) throw new BodyError('consumed', CONSUMED)
  if (!request.body) return new Uint8Array(0)
  const copy = request.clone()
  try {
    const bytes = await readBody(copy, limit)
    if (bytes.length === 0 && node?.readableDidRead) throw new BodyError('consumed', CONSUMED)
    lend(request, bytes)
    return bytes
  } catch (error) {
    discard(request, copy)
    throw error
  }
}

function isUsed(request: Request, node: { readableDidRead?: boolean } | undefined): boolean {
  try {
    return request.bodyUsed || request.body?.locked === true
  } catch {
    // On Node a Request is made only now, and not over a stream that somebody has read.
    if (node?.readableDidRead === false) throw new BodyError('consumed', FOREIGN)
    return true
  }
}

const READERS = ['arrayBuffer', 'blob', 'bytes', 'formData', 'json', 'text'] as const

function lend(request: Request, bytes: Uint8Array): void {
  const type = request.headers.get('content-type')
  const init = type === null ? undefined : { headers: { 'content-type': type } }
  for (const name of READERS) {
    const value = (): Promise<unknown> => new Response(bytes as BodyInit, init)[name]()
    Object.defineProperty(request, name, { value, configurable: true })
  }
}

/** Milliseconds for which, and bytes up to which, a client may go on sending a body that nobody wants. */
const PATIENCE = 10_000
const MOST = 16 << 20

/**
 * Takes the rest of a refused body off the wire, keeping nothing: a runtime may hold the connection, and with it the
 * answer, until it has been read.
 */
function discard(request: Request, copy: Request): void {
  copy.body?.cancel().catch(() => undefined)
  drain(request.body).catch(() => undefined)
}

async function drain(body: ReadableStream<Uint8Array> | null): Promise<void> {
  const reader = body?.getReader()
  if (!reader) return
  const stop = (): void => void reader.cancel().catch(() => undefined)
  const timer = setTimeout(stop, PATIENCE)
  try {
    let size = 0
    while (size <= MOST) {
      const { done, value } = await reader.read()
      if (done) return
      size += value.length
    }
    stop()
  } finally {
    clearTimeout(timer)
  }
}
