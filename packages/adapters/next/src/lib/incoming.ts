import { readBody, targetOf, type Incoming } from '@mppkit/server'
import { later } from './ending.ts'

const PRERENDERED =
  "mppkit: this route is forced to be static, so what the first request gets would be everybody's. Take " +
  "`export const dynamic = 'force-static'` out of the file that guards it"

/**
 * Shows a request of a route handler as the gate wants to see it.
 * @throws TypeError where Next hands out a request without its headers, to have the answer prerendered
 */
export function incoming(request: Request): NextIncoming {
  // First of all, and read in any case: while Next prerenders, this makes it turn to serving the route on demand.
  if (isBlank(request.headers)) throw new TypeError(PRERENDERED)
  return new NextIncoming(request)
}

// A class, because an object with getters costs more than the rest of an unpaid request together.
export class NextIncoming implements Incoming {
  readonly method: string
  /** As Next routed it and as the handler sees it; what came over the wire is not shown. */
  readonly target: string
  readonly headers: Headers
  readonly transport = 'unknown'
  /** The body, once a gate has asked for it. */
  bytes: Promise<Uint8Array> | undefined
  readonly #request: Request

  constructor(request: Request) {
    this.method = request.method
    this.target = targetOf(request.url)
    this.headers = request.headers
    this.#request = request
  }

  get signal(): AbortSignal {
    return this.#request.signal
  }

  get waitUntil(): (work: Promise<unknown>) => void {
    return (work) => void later(work)
  }

  body(limit: number): Promise<Uint8Array> {
    return (this.bytes ??= readBody(this.#request, limit).catch((error: unknown) => {
      drain(this.#request.body)
      throw error
    }))
  }
}

/** Takes the rest of a body off the wire that was read in part: nobody else does, and the connection would wait for ever. */
function drain(body: ReadableStream | null): void {
  if (body && !body.locked)
    body.pipeTo(new WritableStream(), { signal: AbortSignal.timeout(PATIENCE) }).catch(() => undefined)
}

/** Milliseconds. */
const PATIENCE = 10_000

/** Only a request that is forced to be static shows no header and takes none. */
function isBlank(headers: Headers): boolean {
  if (!headers.keys().next().done) return false
  try {
    headers.delete('x-mppkit')
    return false
  } catch {
    return true
  }
}
