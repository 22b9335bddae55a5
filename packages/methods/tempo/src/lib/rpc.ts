/** The node. Before its first answer is taken it is asked which chain it is of. */
export interface Rpc {
  /** One JSON-RPC call. */
  (method: string, params: readonly unknown[], options?: CallOptions): Promise<unknown>
  /** Several in one request, so that one and the same node answers. An `RpcError` stands for each that was refused. */
  batch(calls: readonly Call[], options?: CallOptions): Promise<unknown[]>
}

export type Call = readonly [method: string, params: readonly unknown[]]

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
export function createRpc(url: string, timeout: number, chainId: number): Rpc {
  // As it is now: a buyer may later put a `fetch` in its place that pays, and must not pay for what the node says.
  const send = globalThis.fetch
  let checked = false

  async function post(what: string, body: unknown, options: CallOptions): Promise<[unknown, number]> {
    // A-24
    const deadline = AbortSignal.timeout(Math.min(options.timeout ?? timeout, timeout))
    const signal = options.signal ? AbortSignal.any([options.signal, deadline]) : deadline
    let response: Response
    let text: string
    try {
      response = await send(url, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(body),
        // workerd knows no 'error'; the body of a redirect is no answer either.
        redirect: 'manual',
        signal,
      })
      text = await response.text()
    } catch (error) {
      const late = deadline.aborted ? 'did not answer in time' : 'could not be reached'
      throw new Error(`the node ${late} (${what})`, { cause: redacted(error) })
    }
    return [parseJson(text), response.status]
  }

  async function ask(method: string, params: readonly unknown[], options: CallOptions): Promise<unknown> {
    const [answer, status] = await post(method, { jsonrpc: '2.0', id: 1, method, params }, options)
    const result = readAnswer(method, answer, status)
    if (result instanceof RpcError) throw result
    return result
  }

  /** What is signed for one chain and sent to another, or looked for there, is worse than nothing. */
  async function checkChain(options: CallOptions): Promise<void> {
    const told = await ask('eth_chainId', [], options).catch((error: unknown) => {
      throw error instanceof RpcError ? new Error(error.message) : error
    })
    if (typeof told !== 'string' || !/^0x[0-9a-f]{1,14}$/i.test(told))
      throw new Error('the node did not say which chain it is of')
    if (Number(told) !== chainId) {
      throw new Error(
        `the node is of chain ${Number(told)}, but chain ${chainId} is configured: set rpcUrl or chainId`,
      )
    }
    checked = true
  }

  async function call(
    method: string,
    params: readonly unknown[],
    options: CallOptions = {},
  ): Promise<unknown> {
    if (!checked) await checkChain(options)
    return ask(method, params, options)
  }

  async function batch(calls: readonly Call[], options: CallOptions = {}): Promise<unknown[]> {
    if (!checked) await checkChain(options)
    const body = calls.map(([method, params], id) => ({ jsonrpc: '2.0', id, method, params }))
    const [answers, status] = await post('a batch', body, options)
    if (!Array.isArray(answers) || answers.length !== calls.length)
      throw new Error(`the node answered a batch with status ${status} and no list: it has to take batches`)
    return calls.map(([method], id) =>
      readAnswer(
        method,
        answers.find((answer: { id?: unknown } | null) => answer?.id === id),
        status,
      ),
    )
  }

  return Object.assign(call, { batch })
}

interface Answer {
  result?: unknown
  error?: { code?: unknown; message?: unknown } | null
}

/** The result, or the node's refusal. Throws if it is neither. */
function readAnswer(method: string, value: unknown, status: number): unknown {
  const answer = typeof value === 'object' && value !== null ? (value as Answer) : undefined
  if (answer?.error) {
    const { code, message } = answer.error
    return new RpcError(method, Number(code ?? 0), typeof message === 'string' ? message : 'no reason given')
  }
  if (!answer || !('result' in answer))
    throw new Error(`the node answered ${method} with status ${status} and no result`)
  return answer.result
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
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
