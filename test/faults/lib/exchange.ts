import { createHash } from 'node:crypto'
import { connect } from 'node:net'
import { parseReceipt } from '@mppkit/core'
import type { Got } from './lines.ts'

export interface Answered extends Got {
  headers: Headers
  body: Buffer
}

/**
 * One request on a connection of its own, and what came of it: all, a part or nothing of an answer. Never rejects.
 *
 * @param patience Milliseconds; then the buyer hangs up.
 */
export function exchange(
  port: number,
  target: string,
  headers: Record<string, string>,
  patience = 15_000,
): Promise<Answered> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = []
    let fault: string | undefined
    const socket = connect(port, '127.0.0.1')
    socket.setNoDelay(true)
    const timer = setTimeout(() => socket.destroy(new Error('no answer in time')), patience)
    const lines = Object.entries({ host: `127.0.0.1:${port}`, connection: 'close', ...headers })
    socket.write(
      `GET ${target} HTTP/1.1\r\n${lines.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`,
    )
    socket.on('data', (chunk: Buffer) => void chunks.push(chunk))
    socket.on('error', (error: NodeJS.ErrnoException) => void (fault = error.code ?? error.message))
    socket.on('close', () => {
      clearTimeout(timer)
      resolve(read(Buffer.concat(chunks), fault))
    })
  })
}

function read(bytes: Buffer, fault: string | undefined): Answered {
  const end = bytes.indexOf('\r\n\r\n')
  const nothing = {
    status: 0,
    complete: false,
    bytes: 0,
    sha: '',
    paid: false,
    headers: new Headers(),
    body: Buffer.alloc(0),
  }
  if (end < 0) return { ...nothing, fault: fault ?? 'closed without an answer' }
  const [first = '', ...rest] = bytes.subarray(0, end).toString('latin1').split('\r\n')
  const headers = new Headers()
  for (const line of rest)
    headers.append(line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1).trim())
  const { body, complete } = unframe(bytes.subarray(end + 4), headers)
  const got: Answered = {
    status: Number(first.split(' ')[1]),
    complete,
    bytes: body.length,
    sha: createHash('sha256').update(body).digest('hex'),
    paid: headers.has('payment-receipt'),
    headers,
    body,
  }
  if (headers.has('retry-after')) got.retry = true
  if (fault !== undefined) got.fault = fault
  else if (!complete) got.fault = 'the answer is not complete'
  if (got.paid) {
    const receipt = parseReceipt(headers.get('payment-receipt')!)
    got.reference = receipt.reference
    if (typeof receipt.quote === 'string') got.quote = receipt.quote
  }
  return got
}

/** The body, and whether its framing says that nothing is missing. */
function unframe(bytes: Buffer, headers: Headers): { body: Buffer; complete: boolean } {
  const length = headers.get('content-length')
  if (length !== null) {
    const body = bytes.subarray(0, Number(length))
    return { body, complete: body.length === Number(length) }
  }
  if (headers.get('transfer-encoding') !== 'chunked') return { body: bytes, complete: bytes.length === 0 }
  const chunks: Buffer[] = []
  for (let at = 0; ;) {
    const line = bytes.indexOf('\r\n', at)
    if (line < 0) break
    const size = Number.parseInt(bytes.subarray(at, line).toString('latin1'), 16)
    if (size === 0) return { body: Buffer.concat(chunks), complete: bytes.length >= line + 4 }
    chunks.push(bytes.subarray(line + 2, line + 2 + size))
    at = line + 2 + size + 2
    if (at > bytes.length) break
  }
  return { body: Buffer.concat(chunks), complete: false }
}
