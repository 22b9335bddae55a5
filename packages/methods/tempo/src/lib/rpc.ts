/** One JSON-RPC call to the node. */
export type Rpc = (method: string, params: readonly unknown[], options?: CallOptions) => Promise<unknown>

export interface CallOptions {
  signal?: AbortSignal
  /** Milliseconds, where that is less than usual. */
  timeout?: number
}

/** The node answered, and the answer was an error. Whatever else is thrown means that there was no (whole) answer. */
export class RpcError extends Error {
  override readonly name = 'RpcError'
  readonly code: number

  constructor(method: string, code: number, message: string) {
    super(`the node refused ${method}: ${shorten(message)} (${code})`)
    this.code = code
  }

  /** The node does not know the method, or does not offer it. */
  get unknownMethod(): boolean {
    return (
      this.code === -32601 ||
      this.code === -32004 ||
      /method .*not (found|supported|available|exist)/i.test(this.message)
    )
  }
}

/**
 * A JSON-RPC client over `fetch`. Its errors name neither the address of the node (it may hold a key)
 * nor what was sent (it may be a signed transaction).
 */
export function createRpc(url: string, timeout: number): Rpc {
  return async (method, params, options = {}) => {
    // A-24
    const deadline = AbortSignal.timeout(Math.min(options.timeout ?? timeout, timeout))
    const signal = options.signal ? AbortSignal.any([options.signal, deadline]) : deadline
    let response: Response
    let text: string
    try {
      response = await fetch(url, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }),
        // workerd knows no 'error'; the body of a redirect is no answer either.
        redirect: 'manual',
        signal,
      })
      text = await response.text()
    } catch (error) {
      const late = deadline.aborted ? 'did not answer in time' : 'could not be reached'
      throw new Error(`the node ${late} (${method})`, { cause: redacted(error) })
    }
    const answer = readAnswer(text)
    if (answer?.error) {
      const { code, message } = answer.error
      throw new RpcError(method, Number(code ?? 0), typeof message === 'string' ? message : 'no reason given')
    }
    if (!answer || !('result' in answer))
      throw new Error(`the node answered ${method} with status ${response.status} and no result`)
    return answer.result
  }
}

interface Answer {
  result?: unknown
  error?: { code?: unknown; message?: unknown } | null
}

function readAnswer(text: string): Answer | undefined {
  try {
    const answer: unknown = JSON.parse(text)
    return typeof answer === 'object' && answer !== null ? answer : undefined
  } catch {
    return undefined
  }
}

/** Nodes like to repeat what they were sent. */
function shorten(message: string): string {
  return message.replace(/(0x)?[0-9a-fA-F]{67,}/g, '…').slice(0, 300)
}

/** The reason without the request that some runtimes hang on it. */
function redacted(error: unknown): string {
  const {
    name = 'Error',
    message = '',
    cause,
  } = (error ?? {}) as { name?: string; message?: string; cause?: { code?: string } }
  return `${name}: ${shorten(message)}${cause?.code ? ` (${cause.code})` : ''}`
}
