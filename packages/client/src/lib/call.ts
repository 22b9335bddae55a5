/** A request that can be sent again, byte for byte. */
export interface Call {
  /** Absolute, without fragment. */
  url: string
  method: string
  /** The caller's, with the content type that belongs to `body`. */
  headers: Headers
  body?: Uint8Array<ArrayBuffer>
  /** Instead of `body`: too large to be held, so it can be sent once. */
  stream?: ReadableStream<Uint8Array>
  redirect: RequestRedirect
  /** The caller's, or one that never fires. */
  signal: AbortSignal
  /** What else the caller said, also what only this runtime knows (`dispatcher`, `cf`, `next`). */
  rest: RequestInit
}

export type Fetch = typeof globalThis.fetch

const fields = [
  'cache',
  'credentials',
  'integrity',
  'keepalive',
  'mode',
  'referrer',
  'referrerPolicy',
  'cf',
] as const

/**
 * Reads the arguments of `fetch`. Bodies are serialised once, so that a multipart boundary stays the same;
 * what is not in memory already is held up to `maxBody` bytes.
 */
export async function readCall(
  input: RequestInfo | URL,
  init: RequestInit | undefined,
  maxBody: number,
): Promise<Call> {
  const request = new Request(input, init)
  const given = input instanceof Request ? input : undefined
  const rest: Record<string, unknown> = {}
  for (const name of given ? fields : []) rest[name] = (given as unknown as typeof rest)[name]
  // No program can ask for it.
  if (rest['mode'] === 'navigate') delete rest['mode']
  Object.assign(rest, init)
  delete rest['body']
  delete rest['duplex']
  const url = new URL(request.url)
  url.hash = ''
  const call: Call = {
    url: url.href,
    method: request.method,
    headers: new Headers(request.headers),
    redirect: request.redirect ?? 'follow',
    rest: rest as RequestInit,
    signal: (init?.signal === undefined ? given?.signal : init.signal) ?? new AbortController().signal,
  }
  call.signal.throwIfAborted()
  if (request.body !== null && request.method !== 'GET' && request.method !== 'HEAD')
    Object.assign(call, await readBody(request, isHeld(init?.body) ? Infinity : maxBody, call.signal))
  return call
}

/** Sends the call once. */
export async function dispatch(
  fetch: Fetch,
  call: Call,
  headers: Headers,
  redirect: RequestRedirect,
): Promise<Response> {
  const { url, rest, method, signal, stream, body = stream } = call
  const duplex = stream && 'half'
  return await fetch(url, { ...rest, method, headers, redirect, signal, body, duplex } as RequestInit)
}

/** Whether the caller pays by himself. */
export function carriesCredential(input: RequestInfo | URL, init: RequestInit | undefined): boolean {
  const headers = new Headers(init?.headers ?? (input instanceof Request ? input.headers : {}))
  return headers.has('payment-authorization') || /(^|,)\s*payment\s/i.test(headers.get('authorization') ?? '')
}

/** Whether extra headers would cost a preflight: in a browser, to another origin. */
export function isForeign(url: string): boolean {
  const home = globalThis.location?.origin
  return home !== undefined && home !== new URL(url).origin
}

/** Gives the connection back; the body is not wanted. */
export async function discard(response: Response): Promise<void> {
  await response.body?.cancel().catch(() => {})
}

/** Settles like `work`, or rejects with the reason of the signal. */
export async function race<T>(work: T | Promise<T>, signal: AbortSignal): Promise<T> {
  let stop!: () => void
  const aborted = new Promise<never>((_, reject) => {
    stop = () => reject(signal.reason)
    if (signal.aborted) stop()
    else signal.addEventListener('abort', stop)
  })
  try {
    return await Promise.race([aborted, work])
  } finally {
    signal.removeEventListener('abort', stop)
  }
}

/** Waits; rejects with the reason of the signal. */
export async function wait(milliseconds: number, signal: AbortSignal): Promise<undefined> {
  let timer: ReturnType<typeof setTimeout> | undefined
  try {
    const rung = new Promise<void>((resolve) => (timer = setTimeout(resolve, milliseconds)))
    return (await race(rung, signal)) as undefined
  } finally {
    clearTimeout(timer)
  }
}

/** What `work` gives; undefined if it takes longer. Its signal fires when the result no longer matters. */
export async function within<T>(
  milliseconds: number,
  signal: AbortSignal,
  work: (signal: AbortSignal) => T | Promise<T>,
): Promise<T | undefined> {
  const stop = new AbortController()
  try {
    return await race(Promise.race([work(stop.signal), wait(milliseconds, stop.signal)]), signal)
  } finally {
    stop.abort()
  }
}

function isHeld(body: unknown): boolean {
  return (
    typeof body === 'string' ||
    body instanceof URLSearchParams ||
    body instanceof ArrayBuffer ||
    ArrayBuffer.isView(body)
  )
}

async function readBody(
  request: Request,
  limit: number,
  signal: AbortSignal,
): Promise<Pick<Call, 'body' | 'stream'>> {
  // Runtimes without `request.body` give the bytes only.
  if (!request.body || limit === Infinity) return { body: new Uint8Array(await request.arrayBuffer()) }
  const reader = request.body.getReader()
  const chunks: Uint8Array<ArrayBuffer>[] = []
  let size = 0
  for (;;) {
    const { done, value } = await race(reader.read(), signal)
    if (done) break
    chunks.push(value)
    size += value.byteLength
    if (size > limit) return { stream: resume(chunks, reader) }
  }
  return { body: new Uint8Array(await new Blob(chunks).arrayBuffer()) }
}

function resume(
  chunks: Uint8Array[],
  reader: ReadableStreamDefaultReader<Uint8Array>,
): ReadableStream<Uint8Array> {
  return new ReadableStream({
    async pull(controller) {
      const chunk = chunks.shift()
      if (chunk) return controller.enqueue(chunk)
      const { done, value } = await reader.read()
      if (done) controller.close()
      else controller.enqueue(value)
    },
    cancel: (reason) => reader.cancel(reason),
  })
}
