import { connect, type Socket } from 'node:net'
import { request, type Agent, type ClientRequest, type IncomingHttpHeaders } from 'node:http'

export interface Reply {
  status: number
  headers: IncomingHttpHeaders
  rawHeaders: string[]
  text: string
}

export interface Call {
  method?: string
  headers?: Record<string, string | string[]>
  body?: string | Uint8Array | AsyncIterable<Uint8Array>
  agent?: Agent
}

/** One request, sent as it is written: no normalising, no redirects, no decoding. */
export function call(
  url: string,
  path: string,
  { method = 'GET', headers = {}, body, agent }: Call = {},
): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const { hostname, port } = new URL(url)
    const outgoing = request(
      { hostname, port, path, method, headers, ...(agent ? { agent } : { agent: false }) },
      (incoming) => {
        const chunks: Buffer[] = []
        incoming.on('data', (chunk: Buffer) => chunks.push(chunk))
        incoming.on('error', reject)
        incoming.on('end', () => {
          const { statusCode: status = 0, headers: got, rawHeaders } = incoming
          resolve({ status, headers: got, rawHeaders, text: Buffer.concat(chunks).toString() })
        })
      },
    )
    outgoing.on('error', reject)
    if (body === undefined || typeof body === 'string' || body instanceof Uint8Array) outgoing.end(body)
    else void feed(outgoing, body)
  })
}

async function feed(outgoing: ClientRequest, body: AsyncIterable<Uint8Array>): Promise<void> {
  const closed = new Promise((resolve) => outgoing.once('close', resolve))
  for await (const chunk of body) {
    if (outgoing.destroyed) return
    if (!outgoing.write(chunk))
      await Promise.race([new Promise((resolve) => outgoing.once('drain', resolve)), closed])
  }
  outgoing.end()
}

export const paid = { 'x-paid': 'yes' }

/** A raw connection that has sent its request's head; `read` resolves when the text has come. */
export async function dial(
  url: string,
  head: string,
): Promise<{ socket: Socket; read(text: string): Promise<string> }> {
  const socket = connect(Number(new URL(url).port), '127.0.0.1')
  let got = ''
  let check = (): void => undefined
  socket.on('data', (chunk) => {
    got += chunk.toString('latin1')
    check()
  })
  socket.on('error', () => undefined)
  await new Promise((resolve) => socket.once('connect', resolve))
  socket.write(`${head}\r\nHost: localhost\r\n\r\n`)
  return {
    socket,
    read: (text) =>
      new Promise((resolve, reject) => {
        check = () => {
          if (got.includes(text)) resolve(got)
        }
        socket.once('close', () => reject(new Error(`closed after ${JSON.stringify(got)}`)))
        check()
      }),
  }
}

/** Waits until something is so, for at most three seconds. */
export async function until(condition: () => boolean): Promise<void> {
  for (let tries = 0; tries < 300 && !condition(); tries++) await pause(10)
  if (!condition()) throw new Error('did not come to pass')
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
