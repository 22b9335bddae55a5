import { after } from 'next/server.js'

/**
 * The end of an answer, told as Node's own object would tell it. In the Node runtime Next runs `after` when the connection
 * is done with the answer, and fires the request's signal before that if it was cut off.
 */
export class Ending {
  /** Not in the edge runtime, where `after` says the same of both ends, nor outside of Next. */
  readonly told: boolean
  readonly writableEnded = true
  writableFinished = false
  headersSent = false
  statusCode = 500
  // The request, not only its signal: Node stops to pass a signal on to one whose request was collected.
  readonly #request: Request
  readonly #listeners: [event: string, listener: () => void][] = []

  constructor(request: Request) {
    this.#request = request
    this.told = process.env.NEXT_RUNTIME !== 'edge' && later(() => this.#end())
    request.signal.addEventListener('abort', () => this.#end(), { once: true })
  }

  get destroyed(): boolean {
    return this.#request.signal.aborted
  }

  /** `close`, and before it `finish` where all was sent. */
  once(event: string, listener: () => void): void {
    this.#listeners.push([event, listener])
  }

  /** From here on some of this answer may have been sent. */
  begin(response: Response): Response {
    this.statusCode = response.status
    this.headersSent = true
    return response
  }

  #end(): void {
    this.writableFinished = !this.destroyed
    for (const now of this.writableFinished ? ['finish', 'close'] : ['close'])
      for (const [event, listener] of this.#listeners) if (event === now) listener()
  }
}

/** Whether Next takes it: it throws outside of a request's scope, and where the platform cannot wait. */
export function later(work: Promise<unknown> | (() => void)): boolean {
  try {
    after(work)
    return true
  } catch {
    return false
  }
}
